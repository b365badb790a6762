"""Connections to the first address that answers, and sockets that notice when a peer vanishes."""

import asyncio
import socket
from collections.abc import Callable, Mapping

import pytest

from proxy.commands.loop import new_loop
from proxy.outgoing.addresses import AddressInfo
from proxy.outgoing.connect import Connector, open_socket
from tests.clock import FakeClock
from tests.silent import linux, silent


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": new_loop}


def at(host: str, port: int) -> AddressInfo:
    return socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)


async def test_a_name_without_an_address_that_tcp_can_use_is_an_error() -> None:
    def look_up(*_: object, **__: object) -> list[AddressInfo]:
        return [(99, socket.SOCK_STREAM, 6, "", ("x",))]

    with pytest.raises(socket.gaierror, match="no address that TCP can use"):
        await Connector(FakeClock().now, look_up).addresses("camunda.test", 80)


@linux
async def test_a_silent_first_address_costs_a_quarter_second_once() -> None:
    connector = Connector(FakeClock().now)
    with silent("127.0.0.2") as port, socket.create_server(("127.0.0.1", port)):
        addresses = [at("127.0.0.2", port), at("127.0.0.1", port)]
        async with asyncio.timeout(4):
            made, address = await connector.connect(addresses)
        with made:
            assert address == at("127.0.0.1", port)
            assert made.getpeername() == ("127.0.0.1", port)
        assert connector.failures.order(addresses) == [at("127.0.0.1", port), at("127.0.0.2", port)]


@linux
async def test_a_refused_address_is_passed_over_and_tried_last_next_time() -> None:
    connector = Connector(FakeClock().now)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        addresses = [at("127.0.0.2", port), at("127.0.0.1", port)]
        made, address = await connector.connect(addresses)
        made.close()
        assert address == at("127.0.0.1", port)
        assert connector.failures.order(addresses) == [at("127.0.0.1", port), at("127.0.0.2", port)]


@linux
async def test_where_no_address_answers_the_error_says_why_and_no_socket_stays_open() -> None:
    connector = Connector(FakeClock().now)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        addresses = [at("127.0.0.1", port), at("127.0.0.2", port)]
        with pytest.raises(OSError, match=r"refused|Errno 111|Connect call failed"):
            await connector.connect(addresses)
    assert connector.failures.order([at("127.0.0.3", port), *addresses]) == [
        at("127.0.0.3", port),
        *addresses,
    ]


@linux
async def test_whoever_gives_up_does_not_blame_the_address_that_had_no_time() -> None:
    connector = Connector(FakeClock().now)
    with silent("127.0.0.2") as port:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await connector.connect([at("127.0.0.2", port)])
        both = [at("127.0.0.2", port), at("127.0.0.1", port)]
        assert connector.failures.order(both) == both


@linux
def test_a_socket_notices_that_its_peer_has_vanished() -> None:
    with open_socket(at("127.0.0.1", 1)) as made:
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
        idle, interval = (
            made.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL)
        )
        assert idle + 3 * interval <= 30, "one lost probe must not end a connection"
