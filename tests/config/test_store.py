"""The section `store`: what is taken, and what is said of it."""

from pathlib import Path

import pytest

from proxy.commands.tables import configuration
from proxy.config.model import Config, SecretRef, Store
from tests.config.writing import ZEEBE, read, refused
from tests.federated import unsigned

OAUTH2 = (
    "credentials:\n  c: {type: oauth2, client_id: id, client_secret: s, token_url: 'http://localhost/t'}\n"
)
MTLS = (
    "credentials:\n  c: {type: oauth2, client_id: id, token_url: 'https://login.example/t',"
    " auth_method: tls_client_auth, tls: {cert_file: c.pem, key_file: k.pem}}\n"
)
KEY = "a key of 44 characters, as openssl makes them".replace(" ", "-")


def config(folder: Path, store: str) -> Config:
    return read(folder, ZEEBE + OAUTH2 + f"store: {{{store}}}\n")


def store(folder: Path, written: str) -> Store:
    found = config(folder, written).store
    assert found is not None
    return found


def test_without_the_section_there_is_none(tmp_path: Path) -> None:
    assert read(tmp_path, ZEEBE + OAUTH2).store is None


def test_one_server_needs_its_url_only(tmp_path: Path) -> None:
    one = store(tmp_path, "url: 'rediss://Valkey.example'")
    assert (one.kind, one.addresses, one.encrypted, one.database) == (
        "standalone",
        (("valkey.example", 6379),),
        True,
        0,
    )
    assert (one.prefix, one.password, one.key) == ("camunda-auth-proxy:", None, None)


@pytest.mark.parametrize(
    ("url", "addresses", "encrypted", "database"),
    [
        ("redis://localhost:6380/2", (("localhost", 6380),), False, 2),
        ("valkey://10.0.0.1", (("10.0.0.1", 6379),), False, 0),
        ("valkeys://h:1/", (("h", 1),), True, 0),
        ("redis://[::1]:7000", (("::1", 7000),), False, 0),
    ],
)
def test_urls_of_one_server(
    url: str, addresses: tuple[tuple[str, int], ...], encrypted: bool, database: int, tmp_path: Path
) -> None:
    one = store(tmp_path, f"url: '{url}'")
    assert (one.addresses, one.encrypted, one.database) == (addresses, encrypted, database)


def test_check_names_the_store(tmp_path: Path) -> None:
    shown = configuration(config(tmp_path, "url: 'rediss://a,[::1]:1', cluster: true, password: canary"))
    assert shown.endswith("\nstore  rediss://a:6379,[::1]:1 (cluster)")
    assert "canary" not in shown


def test_sentinels_and_a_cluster_have_several_hosts(tmp_path: Path) -> None:
    sentinel = store(tmp_path, "url: 'redis://a,b:1', sentinel_master: main")
    assert (sentinel.kind, sentinel.master) == ("sentinel", "main")
    assert sentinel.addresses == (("a", 26379), ("b", 1))
    cluster = store(tmp_path, "url: 'redis://a,b:1', cluster: true")
    assert (cluster.kind, cluster.addresses) == ("cluster", (("a", 6379), ("b", 1)))


def test_passwords_and_the_sealing_key_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("p")
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "key").chmod(0o600)
    one = store(tmp_path, "url: 'redis://h', username: u, password_file: password, key_file: key")
    assert one.password == SecretRef(file=tmp_path / "password")
    assert one.key == SecretRef(file=tmp_path / "key")
    assert "canary" not in repr(store(tmp_path, "url: 'redis://h', password: canary"))


def test_a_sealing_key_that_could_be_guessed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("short")
    [problem] = refused(tmp_path, ZEEBE + OAUTH2 + "store: {url: 'redis://h', key_file: key}\n")
    assert "16 or more visible ASCII characters" in problem


def test_a_client_without_a_secret_needs_a_sealing_key(tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_text("-----BEGIN CERTIFICATE-----")
    (tmp_path / "k.pem").write_text("-----BEGIN PRIVATE KEY-----")
    [problem] = refused(tmp_path, ZEEBE + MTLS + "store: {url: 'rediss://h'}\n")
    assert "store.key_file" in problem
    assert "credential `c` has no secret to derive a key from" in problem
    (tmp_path / "key").write_text(KEY)
    assert read(tmp_path, ZEEBE + MTLS + "store: {url: 'rediss://h', key_file: key}\n").store


def test_a_store_that_has_no_effect_is_said(tmp_path: Path) -> None:
    bearer = "credentials:\n  c: {type: bearer, token: t}\n"
    assert "store has no effect: no credential is of type oauth2, and no session has shared: true" in (
        read(tmp_path, ZEEBE + bearer + "store: {url: 'rediss://h'}\n").notices
    )


def test_a_connection_off_this_machine_that_is_not_encrypted_is_said(tmp_path: Path) -> None:
    def said(url: str) -> bool:
        return any(
            "connections are not encrypted" in each for each in config(tmp_path, f"url: '{url}'").notices
        )

    assert said("redis://valkey.example")
    assert not said("rediss://valkey.example")
    assert not said("redis://localhost")
    assert not said("redis://127.0.0.1:7")


def test_a_token_of_another_issuer_is_not_shared(tmp_path: Path) -> None:
    (tmp_path / "jwt").write_text(unsigned())
    foreign = "type: oauth2, token_url: 'http://localhost/t', auth_method: client_assertion"
    text = f"{ZEEBE}credentials:\n  c: {{{foreign}, client_assertion_file: jwt}}\n"
    found = read(tmp_path, f"{text}store: {{url: 'rediss://h'}}\n")
    assert "store has no effect: a token of another issuer is each proxy's own" in found.notices


def session(shared: str) -> str:
    return f"credentials:\n  c: {{type: session, username: u, password: canary{shared}}}\n"


def test_a_session_is_shared_only_where_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    store = "store: {url: 'redis://localhost', key_file: key}\n"
    alone = read(tmp_path, ZEEBE + session("") + store)
    both = read(tmp_path, ZEEBE + session(", shared: true") + store)
    shared = [getattr(each.credentials["c"], "shared", None) for each in (alone, both)]
    assert shared == [False, True]
    assert "no session has shared: true" in " ".join(alone.notices)
    assert "no effect" not in " ".join(both.notices)
    assert ["shared by the fleet" in configuration(each) for each in (alone, both)] == [False, True]


@pytest.mark.parametrize(
    ("store", "words"),
    [
        ("", "credentials.c.shared (line 4): needs a store"),
        ("store: {url: 'redis://localhost'}\n", "credentials.c.shared (line 4): needs store.key_file"),
    ],
)
def test_a_shared_session_needs_a_store_and_a_key_that_is_no_password(
    store: str, words: str, tmp_path: Path
) -> None:
    [problem] = refused(tmp_path, ZEEBE + session(", shared: true") + store)
    assert words in problem
    assert "canary" not in problem
