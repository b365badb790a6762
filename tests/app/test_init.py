"""`init`: writes a configuration that `check` finds right, and secrets that only their owner can read."""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from proxy.commands.init_files import PRIVATE, PUBLIC, write_all
from proxy.commands.local_camunda import Found, Kind, find
from proxy.config.load import load
from proxy.config.model import OAuth2, Session
from proxy.demo import simulated_camunda
from proxy.errors import StartError
from tests.app.command import command
from tests.app.terminal import Terminal, terminal

SECRET = "canary-${HOME}-$$-'\"-0815"
CLUSTER = "5c34c0a7-0000-0000-0000-000000000000"
CONSOLE = f"""
export CAMUNDA_CLIENT_ID='an~id'
export CAMUNDA_CLIENT_SECRET={json.dumps(SECRET).replace("$", chr(92) + "$")}
export CAMUNDA_CLUSTER_ID='{CLUSTER}'
export CAMUNDA_CLUSTER_REGION='bru-2'
export CAMUNDA_CREDENTIALS_SCOPES='Zeebe,Optimize'
export CAMUNDA_OAUTH_URL='https://login.cloud.camunda.io/oauth/token'
"""
YAML, SECRET_FILE = "camunda-auth-proxy.yaml", "camunda-auth-proxy.camunda.secret"


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def right(folder: Path, *options: str) -> None:
    code, out, err = await command("check", *options, folder=folder)
    assert code == 0, out + err


async def test_consoles_file_becomes_a_yaml_file_and_a_secret(tmp_path: Path) -> None:
    (tmp_path / "console.txt").write_text(CONSOLE)
    code, out, err = await command("init", "--from", "console.txt", folder=tmp_path)
    assert code == 0, err
    assert out.splitlines()[0] == f"{YAML} is written."
    assert out.splitlines()[-1] == "Next:  camunda-auth-proxy run"
    text = (tmp_path / YAML).read_text()
    assert text.startswith("# Written by `camunda-auth-proxy init`, from the variables of console.txt.\n")
    assert "  # http://localhost:19083, Optimize: /api/public/...\n  optimize:\n" in text
    assert "canary" not in text + out + err
    assert (tmp_path / SECRET_FILE).read_text() == SECRET + "\n"
    assert (mode(tmp_path / YAML) & 0o077, mode(tmp_path / SECRET_FILE)) == (0o044 & ~umask(), 0o600)
    assert names(tmp_path) == sorted((YAML, SECRET_FILE, "console.txt"))
    await right(tmp_path)
    config = load(config=tmp_path / YAML, env_file=None, environ={}, directory=tmp_path)
    assert [str(each.url) for each in config.upstreams] == [
        f"https://bru-2.api.camunda.io/{CLUSTER}",
        f"https://bru-2.optimize.camunda.io/{CLUSTER}",
    ]


def umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


async def test_the_environment_will_do_and_another_folder_too(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    environ = {
        "CAMUNDA_REST_ADDRESS": "http://camunda:8080",
        "CAMUNDA_BASIC_AUTH_USERNAME": "${USER}",
        "CAMUNDA_BASIC_AUTH_PASSWORD": "canary-0815",
        "CAMUNDA_MTLS_CA_PATH": "ca.pem",
    }
    code, out, err = await command("init", "--output", "sub/p.yml", folder=tmp_path, environ=environ)
    assert code == 0, err
    assert out.splitlines()[-1] == "Next:  camunda-auth-proxy run --config sub/p.yml"
    assert (tmp_path / "sub" / "p.camunda.secret").read_text() == "canary-0815\n"
    config = load(config=tmp_path / "sub/p.yml", env_file=None, environ={"USER": "x"}, directory=tmp_path)
    credential = config.credentials["camunda"]
    assert getattr(credential, "username", "") == "${USER}"
    assert config.upstreams[0].tls.ca_file == tmp_path / "ca.pem"


@pytest.mark.parametrize("taken", [YAML, SECRET_FILE])
async def test_no_file_is_replaced_without_force(taken: str, tmp_path: Path) -> None:
    (tmp_path / "console.txt").write_text(CONSOLE)
    (tmp_path / taken).write_text("mine")
    code, out, err = await command("init", "--from", "console.txt", folder=tmp_path)
    assert (code, out) == (2, "")
    assert err == f"{taken} exists already. --force replaces it, --output names another file.\n"
    assert names(tmp_path) == sorted((taken, "console.txt"))
    assert (tmp_path / taken).read_text() == "mine"
    code, _, err = await command("init", "--from", "console.txt", "--force", folder=tmp_path)
    assert code == 0, err
    await right(tmp_path)


def test_all_files_are_written_or_none(tmp_path: Path) -> None:
    """A folder stands where the second file belongs, so that it cannot even be replaced."""
    (tmp_path / "b").mkdir()
    with pytest.raises(StartError, match="b cannot be written: Is a directory"):
        write_all({tmp_path / "b": ("y", PUBLIC), tmp_path / "a": ("x", PRIVATE)}, force=True)
    with pytest.raises(StartError, match="b exists already"):
        write_all({tmp_path / "a": ("x", PRIVATE), tmp_path / "b": ("y", PUBLIC)}, force=False)
    with pytest.raises(StartError, match="no/c cannot be written: No such file"):
        write_all({tmp_path / "a": ("x", PRIVATE), tmp_path / "no" / "c": ("y", PUBLIC)}, force=False)
    assert names(tmp_path) == ["b"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "name the credentials file that you downloaded from Console with --from FILE"),
        (("--from", "no.txt"), "no.txt: does not exist"),
        (("--from", "half.txt"), "CAMUNDA_CLIENT_SECRET"),
        (("--form", "x"), "No such option"),
        (("x",), "unexpected extra argument"),
    ],
)
async def test_what_cannot_be_used_is_told_and_nothing_is_written(
    arguments: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    (tmp_path / "half.txt").write_text("CAMUNDA_REST_ADDRESS=http://x\nCAMUNDA_CLIENT_ID=a\n")
    code, out, err = await command("init", *arguments, folder=tmp_path)
    assert (code, out) == (2, "")
    assert words in err
    assert names(tmp_path) == ["half.txt"]


def answer(screen: Terminal, *pairs: tuple[str, str]) -> None:
    for question, text in pairs:
        screen.until(question)
        screen.type(f"{text}\r")


async def test_saas_takes_three_answers_and_does_not_show_the_secret(tmp_path: Path) -> None:
    with terminal("init", folder=tmp_path) as screen:
        await asyncio.to_thread(
            answer,
            screen,
            ("Address of Camunda's REST API", "nonsense"),
            ("The address ", f"https://bru-2.api.camunda.io/{CLUSTER}/v2"),
            ("Client id: ", "an~id"),
            ("Client secret (not shown): ", "canary-0815"),
        )
        await asyncio.to_thread(screen.rest)
        assert screen.ended() == 0, screen.shown
        assert "canary" not in screen.shown
    await right(tmp_path)
    config = load(config=tmp_path / YAML, env_file=None, environ={}, directory=tmp_path)
    assert str(config.upstreams[0].url) == f"https://bru-2.api.camunda.io/{CLUSTER}"
    assert isinstance(config.credentials["camunda"], OAuth2)
    assert (tmp_path / SECRET_FILE).read_text() == "canary-0815\n"


async def test_a_cluster_of_this_machine_says_what_it_wants(tmp_path: Path) -> None:
    """One with users is asked for a user and a password, an open one for nothing."""
    async with simulated_camunda() as camunda:
        with terminal("init", folder=tmp_path) as screen:
            await asyncio.to_thread(
                answer,
                screen,
                ("Address of Camunda's REST API", camunda.url("cluster-8.8")),
                ("User name [demo]: ", ""),
                ("Password (not shown): ", camunda.password),
            )
            await asyncio.to_thread(screen.rest)
            assert screen.ended() == 0, screen.shown
        credential = load(config=tmp_path / YAML, env_file=None, environ={}, directory=tmp_path).credentials[
            "camunda"
        ]
        assert isinstance(credential, Session)
        assert credential.username == "demo"
        with terminal("init", "--force", folder=tmp_path) as screen:
            await asyncio.to_thread(answer, screen, ("REST API", camunda.url("zeebe-open")))
            await asyncio.to_thread(screen.rest)
            assert screen.ended() == 0, screen.shown
    assert "It answers without a credential." in screen.shown
    await right(tmp_path)


async def test_an_interrupt_writes_nothing(tmp_path: Path) -> None:
    with terminal("init", folder=tmp_path) as screen:
        await asyncio.to_thread(screen.until, "REST API")
        await asyncio.to_thread(screen.until, ": ")
        assert screen.interrupted() == 130
    assert names(tmp_path) == []


async def looked(url: str, *kinds: Kind) -> list[Found]:
    port = urlsplit(url).port
    assert port is not None
    found = await asyncio.to_thread(find, {port: kinds})
    assert all(each.url.endswith(f"localhost:{port}") for each in found)
    return found


async def test_servers_are_recognised_by_what_they_answer() -> None:
    expected: dict[str, tuple[Kind, str, str]] = {
        "zeebe-open": ("cluster", "nothing", "8.6.0"),
        "zeebe": ("cluster", "credential", "before 8.8, as it seems"),
        "orchestration": ("cluster", "token", "8.8 or later"),
        "cluster-8.8": ("cluster", "login", "8.8 or later"),
        "orchestration-8.10": ("cluster", "token", "8.10 or later"),
        "cluster-8.10": ("cluster", "login", "8.10 or later"),
        "operate-8.6": ("operate", "unknown", ""),
        "tasklist-8.6": ("tasklist", "unknown", ""),
        "optimize": ("optimize", "token", ""),
    }
    async with simulated_camunda() as camunda:
        for name, (kind, wants, version) in expected.items():
            (found,) = await looked(camunda.url(name), kind)
            assert (found.kind, found.wants, found.version) == (kind, wants, version), name
        (hub,) = await looked(camunda.url("hub"), "cluster", "hub")  # both are looked for at port 8088
        assert hub.kind == "hub"


@asynccontextmanager
async def server(answers: dict[str, bytes]) -> AsyncIterator[str]:
    """Another program; it never answers a path that is not among them."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
            writer.write(answers.get(path, b""))
            await writer.drain()
        except asyncio.IncompleteReadError:
            pass  # it only looked whether the port is open
        finally:
            writer.close()

    async with await asyncio.start_server(play, "127.0.0.1", 0) as listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


def ok(body: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


async def test_keycloak_and_the_management_port_are_recognised_and_other_programs_are_not() -> None:
    kinds: tuple[Kind, ...] = ("cluster", "operate", "tasklist", "optimize", "hub", "keycloak", "management")
    async with server({"/auth/realms/camunda-platform": ok('{"realm": "camunda-platform"}')}) as url:
        assert [each.kind for each in await looked(url, *kinds)] == ["keycloak"]
    async with server({"/actuator/health": ok('{"status": "UP"}')}) as url:
        assert [each.kind for each in await looked(url, *kinds)] == ["management"]
    strange = ok('{"gatewayVersion": 1, "realm": "other", "brokers": 0}')
    async with server(dict.fromkeys(("/v2/topology", "/auth/realms/camunda-platform"), strange)) as url:
        assert await looked(url, *kinds) == []
    async with server({"/v2/topology": ok("[" * 100_000)}) as url:
        assert await looked(url, *kinds) == []
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        assert await looked(f"http://127.0.0.1:{sock.getsockname()[1]}", *kinds) == []
