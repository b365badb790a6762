"""Where the configuration comes from, and what our own variables change in it."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy.config.load import load
from proxy.config.model import Listen
from proxy.errors import ConfigError
from tests.config.writing import BEARER, ZEEBE, read, refused
from tests.federated import unsigned

ROOT = Path(__file__).parents[2]
PREFIX = "CAMUNDA_AUTH_PROXY_"


def written(path: Path, name: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{BEARER}upstreams: {{{name}: {{api: zeebe, url: 'http://localhost:8080'}}}}\n")
    return path


def test_the_first_place_that_has_a_configuration_wins(tmp_path: Path) -> None:
    here = tmp_path / "here"
    home = written(tmp_path / "home/.config/camunda-auth-proxy/config.yaml", "home").parents[2]
    environ = {"HOME": str(home)}

    def first(config: Path | None = None) -> str:
        return load(config=config, env_file=None, environ=environ, directory=here).upstreams[0].name

    assert first() == "home"
    written(tmp_path / "xdg/camunda-auth-proxy/config.yaml", "xdg")
    environ["XDG_CONFIG_HOME"] = str(tmp_path / "xdg")
    assert first() == "xdg"
    written(tmp_path / "roaming/camunda-auth-proxy/config.yaml", "roaming")
    environ["APPDATA"] = str(tmp_path / "roaming")  # Windows
    assert first() == "xdg"
    del environ["XDG_CONFIG_HOME"], environ["HOME"]
    assert first() == "roaming"
    written(here / "camunda-auth-proxy.yaml", "here")
    assert first() == "here"
    written(here / "named.yaml", "named")
    environ[PREFIX + "CONFIG"] = "named.yaml"
    assert first() == "named"
    assert first(written(tmp_path / "asked.yaml", "asked")) == "asked"


def test_where_nothing_is_found_the_three_ways_to_begin_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"three ways to begin.*yaml.*--env-file.*CAMUNDA_REST_ADDRESS"):
        load(config=None, env_file=None, environ={}, directory=tmp_path)


@pytest.mark.parametrize(("name", "why"), [("missing.yaml", "does not exist"), ("folder", "is a directory")])
def test_a_named_file_that_cannot_be_read_is_said_so(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "folder").mkdir()
    for arguments in ({"config": Path(name), "env_file": None}, {"config": None, "env_file": Path(name)}):
        with pytest.raises(ConfigError) as caught:
            load(**arguments, environ={}, directory=tmp_path)
        assert str(caught.value) == f"{name}: {why}"


def test_our_own_variables_win_over_the_file(tmp_path: Path) -> None:
    environ = {
        PREFIX + "LOG_LEVEL": "debug",
        PREFIX + "LOG_FORMAT": "json",
        PREFIX + "ADMIN_LISTEN": "0.0.0.0:1",
        PREFIX + "LISTEN_HOST": "0.0.0.0",
        PREFIX + "ALLOW_NON_LOOPBACK": "true",
    }
    config = read(tmp_path, ZEEBE + BEARER + "log: {level: error, requests: true}\nadmin:", environ)
    assert (config.log.level, config.log.format, config.log.requests) == ("debug", "json", True)
    assert config.admin.listen == Listen("0.0.0.0", 1)
    assert config.upstreams[0].listen == Listen("0.0.0.0", 19080)
    assert config.upstreams[0].origins["listen"] == PREFIX + "LISTEN_HOST"
    assert config.guard.allow_non_loopback


def test_our_own_variables_are_checked_like_the_file(tmp_path: Path) -> None:
    environ = dict.fromkeys(
        (
            PREFIX + name
            for name in ("LOG_LEVEL", "LOG_FORMAT", "ADMIN_LISTEN", "LISTEN_HOST", "ALLOW_NON_LOOPBACK")
        ),
        "canary",
    )
    problems = refused(tmp_path, ZEEBE + BEARER, environ)
    assert sorted(problem.split(":")[0] for problem in problems) == sorted(environ)
    assert "canary" not in str(problems)


def test_empty_variables_of_ours_count_as_not_set(tmp_path: Path) -> None:
    assert (
        read(tmp_path, ZEEBE + BEARER, {PREFIX + "LOG_LEVEL": "", PREFIX + "LISTEN_HOST": ""}).log.level
        == "info"
    )


def test_the_host_of_every_listener_needs_to_be_allowed(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, ZEEBE + BEARER, {PREFIX + "LISTEN_HOST": "0.0.0.0"})
    assert (
        "refusing to listen on 0.0.0.0:19080: anyone who can reach it acts with credential `shared`"
        in problem
    )


def pem(folder: Path) -> None:
    """The certificates and keys that the example names."""
    (folder / "tls").mkdir(exist_ok=True)
    for name in ("company-ca.pem", "client.pem", "clients-ca.pem", "tls/cert.pem"):
        (folder / name).write_text("-----BEGIN CERTIFICATE-----\n")
    for name in ("client.key", "tls/key.pem"):
        (folder / name).write_text("-----BEGIN PRIVATE KEY-----\n")
    (folder / "token.jwt").write_text(unsigned())


def test_the_example_is_a_good_configuration(tmp_path: Path) -> None:
    example = (ROOT / "config.example.yaml").read_text()
    pem(tmp_path)
    names = set(re.findall(r"\$\{(\w+)\}", example)) - {"NAME"}
    config = read(tmp_path, example, dict.fromkeys(names, "a-value-of-any-kind"))
    assert {type(credential).__name__ for credential in config.credentials.values()} == {
        "OAuth2",
        "User",
        "Session",
        "Bearer",
        "Basic",
        "NoCredential",
    }
    gone = [notice for notice in config.notices if "8.10" in notice]
    assert [notice.split("`")[1] for notice in gone] == [
        "operate",
        "optimize-test",
        "operate-test",
        "tasklist-test",
    ]
    assert len(config.notices) == len(gone) + 2


def test_the_example_stays_good_without_its_comment_signs_before_settings(tmp_path: Path) -> None:
    example = (ROOT / "config.example.yaml").read_text()
    pem(tmp_path)
    names = set(re.findall(r"\$\{(\w+)\}", example)) - {"NAME"}
    whole = re.sub(r"^( +)# (?=( *)[a-z_]+:(?: |$))", r"\1", example, flags=re.MULTILINE)
    assert whole != example
    config = read(tmp_path, whole, dict.fromkeys(names, "a-value-of-any-kind"))
    assert config.upstreams[3].max_connections == 256


def test_a_file_without_permission_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").touch(mode=0)
    with as_nobody(), pytest.raises(ConfigError, match="permission denied"):
        load(config=Path("c.yaml"), env_file=None, environ={}, directory=tmp_path)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root reads everything, so it steps down meanwhile."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
