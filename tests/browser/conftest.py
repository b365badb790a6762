"""One browser for all tests here, and one world around it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.app.command import proxy
from tests.browser.chromium import Browser, chromium
from tests.browser.servers import Tap, Upstream, page_server, recording_upstream, tapped

TOKEN = "a-token-that-no-page-may-see"


@dataclass(frozen=True)
class Port:
    """A port as the browser sees it."""

    tap: Tap
    path: str

    def url(self, mark: str, kind: str = "text", host: str = "localhost") -> str:
        return f"http://{host}:{self.tap.port}{self.path}?as={kind}&mark={mark}"


@dataclass(frozen=True)
class World:
    """What is there.

    Attributes:
        pages: the port of the server of pages.
        attacked: an upstream that nothing may reach.
        used: one that may be reached.
        naked: one without a proxy.
        ports: of these, and of the proxy's admin, by name.
    """

    pages: int
    attacked: Upstream
    used: Upstream
    naked: Upstream
    ports: dict[str, Port]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    async with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        pages = await enter(page_server())
        attacked, used, naked = [await enter(recording_upstream()) for _ in range(3)]
        config = configuration({"zeebe": attacked, "operate": used})
        running = await enter(proxy(tmp_path_factory.mktemp("proxy"), config))
        admin = await enter(tapped(number(await running.admin())))
        ports = {
            "attacked": Port(await enter(tapped(number(await running.url("zeebe")))), "/v2/topology"),
            "used": Port(await enter(tapped(number(await running.url("operate")))), "/v2/topology"),
            "status": Port(admin, "/status.json"),
            "metrics": Port(admin, "/metrics"),
            "page": Port(admin, "/"),
            "script": Port(admin, "/page.js"),
            "events": Port(admin, "/events"),
            "naked": Port(await enter(tapped(naked.port)), "/v2/topology"),
        }
        yield World(pages, attacked, used, naked, ports)
        assert attacked.requests == []  # nor did anything come late


def number(url: str) -> int:
    """The port of an address."""
    return int(url.rpartition(":")[2])


def configuration(upstreams: dict[str, Upstream], **more: object) -> dict[str, object]:
    """A proxy before these, with one shared token."""
    return {
        "upstreams": {
            name: {
                "url": f"http://127.0.0.1:{upstream.port}",
                "listen": "localhost:0",
                "credential": "shared",
            }
            for name, upstream in upstreams.items()
        },
        "credentials": {"shared": {"type": "bearer", "token": TOKEN}},
        "admin": {"listen": "127.0.0.1:0"},
        **more,
    }
