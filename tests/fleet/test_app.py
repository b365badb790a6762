"""The whole proxy with a store: two of them fetch as one, over reloads, and `doctor` says what is wrong."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from proxy.app.proxy import Proxy, running
from proxy.clock import SystemClock
from proxy.config.load import load
from proxy.config.model import Config
from proxy.demo import simulated_camunda
from tests.doctor.rig import diagnose
from tests.fleet.servers import ACL, server
from tests.token_server import TokenServer, token_server

pytestmark = pytest.mark.store

NOAUTH = "NOAUTH Authentication required."


def document(tokens: TokenServer, store: Mapping[str, object] | None) -> dict[str, object]:
    found: dict[str, object] = {
        "upstreams": {"zeebe": {"url": "http://localhost:9", "listen": "127.0.0.1:0"}},
        "credentials": {
            "c": {
                "type": "oauth2",
                "client_id": "id",
                "client_secret": "canary-secret",
                "token_url": tokens.url,
            }
        },
        "admin": {"listen": "127.0.0.1:0"},
    }
    return found | ({"store": store} if store is not None else {})


def configured(folder: Path, written: dict[str, object]) -> Config:
    (folder / "c.yaml").write_text(json.dumps(written))
    return load(config=Path("c.yaml"), env_file=None, environ={}, directory=folder)


async def until(reached: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not reached():
            await asyncio.sleep(0.02)


def usable(proxy: Proxy) -> bool:
    return proxy.served[0].keeper.current is not None


@asynccontextmanager
async def two(config: Config) -> AsyncIterator[tuple[Proxy, Proxy]]:
    async with running(config, SystemClock()) as one, running(config, SystemClock()) as other:
        yield one, other


async def test_two_proxies_fetch_as_one_and_a_later_one_asks_no_token_endpoint(tmp_path: Path) -> None:
    async with server(tmp_path) as store, token_server() as tokens:
        config = configured(tmp_path, document(tokens, {"url": f"redis://127.0.0.1:{store.port}"}))
        async with two(config) as both:
            await until(lambda: all(usable(each) for each in both))
            async with running(config, SystemClock()) as late:
                await until(lambda: usable(late))
        assert len(tokens.asked) == 1
        assert store.cli("client", "list").count("\n") == 0  # all connections were closed


@pytest.mark.parametrize("name", ["operate-8.2", "operate-8.6", "cluster-8.10"])
async def test_two_proxies_share_one_login_and_heal_with_one_more(tmp_path: Path, name: str) -> None:
    (tmp_path / "key").write_text("canary-key-of-44-characters-as-openssl-makes")
    async with server(tmp_path) as store, simulated_camunda() as camunda:
        user = {"username": camunda.username, "password": camunda.password}
        written = {
            "upstreams": {"operate": {"url": camunda.url(name), "listen": "127.0.0.1:0", "api": "other"}},
            "credentials": {"c": {"type": "session", "shared": True, **user}},
            "admin": {"listen": "127.0.0.1:0"},
            "store": {"url": f"redis://127.0.0.1:{store.port}", "key_file": "key"},
        }
        config, sessions = configured(tmp_path, written), camunda.sessions(name)
        path = "/v2/process-instances/search" if name == "cluster-8.10" else "/v1/process-definitions/search"

        async def asked(proxy: Proxy) -> int:
            url = f"http://127.0.0.1:{proxy.served[0].bound.port}{path}"
            async with aiohttp.ClientSession() as client, client.post(url, json={}) as answer:
                return answer.status

        async with two(config) as both:
            await until(lambda: all(usable(each) for each in both))
            assert (sessions.count("ok"), sessions.live) == (1, 1)
            assert [await asked(each) for each in both] == [200, 200]
            await asyncio.sleep(1.1)  # a login's shortest distance
            sessions.kill()
            assert [await asked(each) for each in both] == [200, 200]
            assert (sessions.count("ok"), sessions.live) == (2, 1)
            everything = "".join(store.cli("get", key) for key in store.cli("keys", "*").split())
            assert not [each for each in ("SESSION", "CSRF", *user.values()) if each in everything]
        assert (sessions.logouts, sessions.live) == (0, 1)
        assert camunda.complaints == []


async def test_a_reload_keeps_the_token_and_changes_the_store(tmp_path: Path) -> None:
    async with server(tmp_path) as first, server(tmp_path) as second, token_server() as tokens:
        places = [{"url": f"redis://127.0.0.1:{each.port}"} for each in (first, second)]
        async with running(configured(tmp_path, document(tokens, places[0])), SystemClock()) as proxy:
            await until(lambda: usable(proxy))
            for store in (places[1], None, places[0]):
                await proxy.apply(configured(tmp_path, document(tokens, store)))
                assert usable(proxy)
                await until(lambda: not proxy._seeing_off)
                assert len(proxy.state.stores) == (store is not None)
        assert len(tokens.asked) == 1


async def test_what_is_in_the_store_shows_neither_token_nor_secret(tmp_path: Path) -> None:
    async with server(tmp_path) as store, token_server() as tokens:
        config = configured(tmp_path, document(tokens, {"url": f"redis://127.0.0.1:{store.port}"}))
        async with running(config, SystemClock()) as proxy:
            await until(lambda: usable(proxy))
        keys = store.cli("keys", "*").split()
        assert keys
        everything = "".join([*keys, *(store.cli("get", key) for key in keys)])
        for secret in ("abc.def", "canary", "/token"):
            assert secret not in everything


async def test_the_doctor_tries_the_store(tmp_path: Path) -> None:
    (tmp_path / "users.acl").write_text(
        ACL + "user reader on >hunter2 ~camunda-auth-proxy:* +get +eval +pttl\n"
    )
    acl = ("--aclfile", str(tmp_path / "users.acl"))
    async with server(tmp_path, *acl, ready=NOAUTH) as store, token_server() as tokens:
        url = f"redis://127.0.0.1:{store.port}"

        async def found(user: str, password: str) -> tuple[str, str]:
            written = document(tokens, {"url": url, "username": user, "password": password})
            result = await diagnose(tmp_path, written, canaries=("hunter2", "canary-secret"))
            step = result.step("store", "store")
            return step.mark, step.why.words if step.why else step.said

        assert await found("proxy", "hunter2") == ("ok", "a sealed value was written, read and removed")
        mark, words = await found("proxy", "wrong")
        assert mark == "wrong"
        assert "refuses the user or the password" in words
        assert "does its ACL allow all commands" in (await found("reader", "hunter2"))[1]
        assert len(tokens.asked) == 3  # each tried the credential without the store
