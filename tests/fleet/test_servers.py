"""The scripts and the client on real servers: what each failure is called, and that it passes by itself."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from proxy.app.tls import TlsContexts
from proxy.clock import Clock, SystemClock
from proxy.config.model import Tls
from proxy.credentials.fleet.client import StoreClient, StoreSettings
from proxy.credentials.fleet.entry import Entry, HostEntry, Starved, Store, StoreError
from proxy.credentials.fleet.seal import Sealer
from proxy.credentials.secret import FileSecret, Secret, TextSecret
from proxy.credentials.sharing import StoreTally
from tests.certificates import certificate
from tests.clock import FakeClock
from tests.credentials.fleet.memory_store import MemoryStore
from tests.credentials.fleet.proxies import facts
from tests.fleet.servers import ACL, Encryption, cluster, free_ports, sentinels, server

pytestmark = pytest.mark.store

PREFIX = "camunda-auth-proxy:"
SEALER = Sealer("s3cret", facts("s3cret"))
ONE, OTHER = (((b"Authorization", b"Bearer %d" % number),) for number in (1, 2))


def client(settings: StoreSettings, clock: Clock | None = None) -> StoreClient:
    """A client that does not leave the store alone after an error."""
    tally = StoreTally(settings.peer.url)
    return StoreClient(settings, tally, clock or SystemClock(), random=lambda low, high: 0.0)


def at(port: int) -> StoreSettings:
    return StoreSettings("standalone", (("127.0.0.1", port),))


def entry(store: Store, owner: str = "me") -> Entry:
    return Entry(store, SEALER, PREFIX, owner)


async def failure(one: StoreClient) -> str:
    """Call until the store counts as unreachable; return why."""
    for _ in range(2):
        with pytest.raises(StoreError):
            await entry(one).look("")
    assert not one.tally.reachable
    await one.close()
    return one.tally.reason


async def recovered(one: StoreClient) -> None:
    """Wait until the store can be used again."""
    async with asyncio.timeout(20):
        while True:
            try:
                await entry(one).put(SEALER.seal(ONE, 60.0), 60.0)
            except StoreError:
                await asyncio.sleep(0.1)
            else:
                return


# -- the scripts --


async def told(store: Store) -> list[object]:
    """Ask each question in each state; return the answers, with their times in whole seconds."""
    mine, theirs = entry(store, "me"), entry(store, "other")
    mark, other = SEALER.mark(ONE), SEALER.mark(OTHER)
    host = HostEntry(store, PREFIX, "login.example", always=False)
    answers: list[object] = []

    async def asked(one: Entry, unwanted: str) -> None:
        answer = await one.acquire(unwanted)
        answers.append((answer.kind, len(answer.value), round(answer.left + 0.4)))

    answers.append((await mine.look("")).kind)
    await asked(mine, "")
    await asked(theirs, "")
    answers.append([await mine.extend(), await theirs.extend()])
    await mine.put(SEALER.seal(ONE, 60.0), 60.0, "pace", 1.0)
    await asked(theirs, "")
    await asked(theirs, mark)
    await theirs.put(SEALER.seal(OTHER, 30.0), 30.0)  # not longer
    await asked(theirs, "")
    answers.append([await mine.forget(other), await mine.forget(mark)])
    await asked(mine, mark)
    await mine.put(SEALER.seal(ONE, 60.0), 60.0, "same", 100.0)
    answers.append(await mine.forget(mark))
    await asked(mine, mark)
    await asked(mine, "")
    await mine.remove(b"another value")
    answers.append((await mine.look("")).kind)
    await mine.remove((await mine.look("")).value)
    answers.append((await mine.look("")).kind)
    for outcome, least in (("rejected", 0.0), ("limited", 20.0), ("unavailable", 0.0)):
        await mine.end(outcome, least, 6.0, 300.0)
        await asked(mine, "")
    for _ in range(4):
        await mine.refused(450.0, (400.0, 500.0, 600.0))
        await asked(mine, "")
    await mine.put(SEALER.seal(ONE, 60.0), 60.0)
    answers.append([await mine.put(SEALER.seal(OTHER, 60.0), 30.0, over=each) for each in (0.0, 1e9)])
    for left in (20.0, 50.0):
        answers.append(((await mine.keep(other, left)).kind, (await mine.keep(mark, left)).kind))
        await asked(theirs, mark)
    answers.append([await host.turn(1.05), await host.turn(1.05)])
    await host.limited()
    answers.append([await host.turn(1.05), await host.turn(1.05) > 0.9])
    return answers


async def test_the_scripts_answer_as_the_store_in_memory_does(tmp_path: Path) -> None:
    async with server(tmp_path) as one:
        store = client(at(one.port))
        real = await told(store)
        await store.close()
    assert real == await told(MemoryStore(FakeClock()))


async def test_a_lock_or_a_wait_that_others_made_without_end_holds_up_nothing(tmp_path: Path) -> None:
    async with server(tmp_path) as one:
        store = client(at(one.port))
        key = f"{PREFIX}{{{SEALER.name}}}"
        one.cli("set", f"{key}:lock", "x")
        one.cli("set", f"{key}:lane", "rejected")
        assert (await entry(store).acquire("")).kind == "acquired"
        one.cli("set", f"{key}:value", "x" * 50)
        assert (await entry(store).acquire("")).left < 0
        await store.close()


async def test_many_credentials_of_one_proxy_take_turns_on_its_few_connections(tmp_path: Path) -> None:
    async with server(tmp_path) as one:
        store = client(at(one.port))
        answers = await asyncio.gather(*(entry(store, str(each)).look("") for each in range(50)))
        assert {answer.kind for answer in answers} == {"none"}
        assert store.tally.answers["error"] == 0
        await store.close()


# -- failures --


async def test_a_key_of_another_type_is_a_store_in_error(tmp_path: Path) -> None:
    async with server(tmp_path) as one:
        one.cli("rpush", f"{PREFIX}{{{SEALER.name}}}:value", "x")
        assert "refuses our script" in await failure(client(at(one.port)))


async def test_a_full_store_is_said_and_passes(tmp_path: Path) -> None:
    async with server(tmp_path, "--maxmemory", "1", "--maxmemory-policy", "noeviction") as one:
        store = client(at(one.port))
        for _ in range(2):
            with pytest.raises(StoreError, match="full; raise its maxmemory"):
                await entry(store).put(SEALER.seal(ONE, 60.0), 60.0)
        one.cli("config", "set", "maxmemory", "0")
        await recovered(store)
        assert store.tally.reachable
        await store.close()


async def test_a_store_that_is_gone_is_said_once_and_taken_up_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "proxy")
    async with server(tmp_path) as one:
        port = one.port
        store = client(at(port))
        await recovered(store)
        one.kill()
        for _ in range(5):
            with pytest.raises(StoreError):
                await entry(store).look("")
    async with server(tmp_path, port=port):
        await recovered(store)
        await store.close()
    said = [record.getMessage() for record in caplog.records if record.name == "proxy"]
    assert len(said) == 2
    assert f"the store at redis://127.0.0.1:{port} (store.url): " in said[0]
    assert "each proxy fetches its own tokens" in said[0]
    assert "can be used again" in said[1]


async def test_a_paused_store_is_not_waited_for(tmp_path: Path) -> None:
    async with server(tmp_path) as one:
        store = client(at(one.port))
        await recovered(store)
        one.pause()
        assert "does not answer in time" in await failure(store)
        one.resume()
        await recovered(store)
        await store.close()


async def test_a_process_without_cpu_does_not_take_the_store_for_one_in_error(tmp_path: Path) -> None:
    class Late:
        """A clock by which each call takes a second longer than its bound."""

        def __init__(self) -> None:
            self.at = 0.0

        def now(self) -> float:
            self.at += 1.5
            return self.at

        call_later = SystemClock().call_later

    async with server(tmp_path) as one:
        store = client(at(one.port), Late())
        one.pause()
        for _ in range(3):
            with pytest.raises(Starved):
                await entry(store).look("")
        assert store.tally.reachable
        await store.close()


async def test_a_store_in_error_is_left_alone_for_a_moment(tmp_path: Path) -> None:
    clock = FakeClock()
    async with server(tmp_path) as one:
        store = StoreClient(at(one.port), StoreTally(""), clock, random=lambda low, high: high)
        await entry(store).look("")
        one.pause()
        with pytest.raises(StoreError):
            await entry(store).look("")
        one.resume()
        with pytest.raises(StoreError):
            await entry(store).look("")
        assert store.tally.answers["error"] == 1
        clock.jump(2.0)
        await entry(store).look("")
        await store.close()


@pytest.mark.parametrize(
    ("username", "password", "reason"),
    [
        (None, None, "refuses the user or the password"),
        ("proxy", "wrong", "refuses the user or the password"),
        ("reader", "hunter2", "does not allow this user our commands or keys"),
    ],
)
async def test_a_wrong_password_or_too_few_rights_are_said(
    username: str | None, password: str | None, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "users.acl").write_text(ACL + "user reader on >hunter2 ~other:* +get +eval\n")
    async with server(
        tmp_path, "--aclfile", str(tmp_path / "users.acl"), ready="NOAUTH Authentication required."
    ) as one:
        known = TextSecret(password) if password is not None else None
        said = await failure(client(replace(at(one.port), username=username, password=known)))
    assert reason in said
    assert "hunter2" not in said


async def test_a_changed_password_counts_for_the_next_connection(tmp_path: Path) -> None:
    (tmp_path / "users.acl").write_text(ACL)
    path = tmp_path / "password"
    path.write_text("not yet")
    async with server(
        tmp_path, "--aclfile", str(tmp_path / "users.acl"), ready="NOAUTH Authentication required."
    ) as one:
        secret: Secret = FileSecret(path)
        store = client(replace(at(one.port), username="proxy", password=secret))
        with pytest.raises(StoreError):
            await entry(store).look("")
        path.write_text("hunter2")
        assert await told(store)
        await store.close()


# -- TLS --


class Encrypted:
    """Certificates of one CA, and a server with them that asks for ours."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.folder = folder
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(authority.cert_pem.bytes())
        self.cert, self.key = certificate(folder / "server", "localhost", authority)
        self.ours = certificate(folder / "client", "proxy.example", authority)
        (folder / "users.acl").write_text(ACL)

    def options(self, port: int) -> Sequence[str]:
        served = ("--tls-cert-file", str(self.cert), "--tls-key-file", str(self.key))
        trusted = ("--tls-ca-cert-file", str(self.ca), "--tls-auth-clients", "yes")
        return (
            "--tls-port",
            str(port),
            "--port",
            "0",
            *served,
            *trusted,
            "--aclfile",
            str(self.folder / "users.acl"),
        )

    @property
    def cli(self) -> Sequence[str]:
        return ("--tls", "--cacert", str(self.ca), "--cert", str(self.ours[0]), "--key", str(self.ours[1]))

    def settings(self, port: int, tls: Tls, host: str = "localhost") -> StoreSettings:
        return replace(
            at(port),
            addresses=((host, port),),
            username="proxy",
            password=TextSecret("hunter2"),
            tls=TlsContexts().context(tls, "store"),
            server_name=tls.server_name,
        )


async def test_tls_with_our_own_ca_a_client_certificate_and_an_acl_user(tmp_path: Path) -> None:
    tls = Encrypted(tmp_path)
    [port] = free_ports(1)
    ready = "NOAUTH Authentication required."
    async with server(tmp_path, *tls.options(port), port=port, cli=tls.cli, ready=ready):
        known = Tls(ca_file=tls.ca, cert_file=tls.ours[0], key_file=tls.ours[1])
        store = client(tls.settings(port, known))
        assert await told(store)
        await store.close()
        named = client(tls.settings(port, replace(known, server_name="localhost"), "127.0.0.1"))
        await recovered(named)
        await named.close()
        assert "store.tls" in await failure(client(tls.settings(port, known, "127.0.0.1")))  # another name
        assert "store.tls" in await failure(client(tls.settings(port, replace(known, ca_file=None))))
        bare = replace(known, cert_file=None, key_file=None)
        assert "certificate" in await failure(client(tls.settings(port, bare)))
        assert "rediss://" in await failure(client(replace(tls.settings(port, known), tls=None)))


# -- several servers --


@pytest.fixture(params=["plain", "tls"])
def tls(request: pytest.FixtureRequest, tmp_path: Path) -> Encryption | None:
    """How the servers are reached; over TLS they want a certificate of ours."""
    if request.param == "plain":
        return None
    authority = trustme.CA()
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    return Encryption(tmp_path / "ca.pem", *certificate(tmp_path / "tls", "127.0.0.1", authority))


def reached(settings: StoreSettings, tls: Encryption | None) -> StoreSettings:
    if tls is None:
        return settings
    files = Tls(ca_file=tls.ca, cert_file=tls.cert, key_file=tls.key)
    return replace(settings, tls=TlsContexts().context(files, "store"))


async def test_sentinel_names_the_new_master(tls: Encryption | None, tmp_path: Path) -> None:
    async with sentinels(tmp_path, tls) as several:
        where = tuple(("127.0.0.1", port) for port in several.ports)
        store = client(reached(StoreSettings("sentinel", where, master="m1"), tls))
        assert await told(store)
        unknown = client(reached(StoreSettings("sentinel", where, master="other"), tls))
        assert "store.sentinel_master" in await failure(unknown)
        several.master.kill()
        assert await failure(store)
        await recovered(store)
        await store.close()


async def test_a_cluster_goes_on_when_a_master_is_gone(tls: Encryption | None, tmp_path: Path) -> None:
    async with cluster(tmp_path, tls) as nodes:
        where = tuple(("127.0.0.1", node.port) for node in nodes)
        store = client(reached(StoreSettings("cluster", where), tls))
        assert await told(store)
        for node in nodes:
            key = f"{PREFIX}{{{SEALER.name}}}:value"
            if "role:master" in node.cli("info", "replication") and node.cli("exists", key) == "1":
                node.kill()
                break
        await recovered(store)
        await store.close()


async def test_a_cluster_with_a_certificate_of_another_ca_is_not_used(tmp_path: Path) -> None:
    authority = trustme.CA()
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    (tmp_path / "other.pem").write_bytes(trustme.CA().cert_pem.bytes())
    known = Encryption(tmp_path / "ca.pem", *certificate(tmp_path / "tls", "127.0.0.1", authority))
    async with cluster(tmp_path, known) as nodes:
        settings = StoreSettings("cluster", (("127.0.0.1", nodes[0].port),))
        wrong = client(reached(settings, replace(known, ca=tmp_path / "other.pem")))
        await failure(wrong)
