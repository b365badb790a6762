"""Ports: both loopbacks together, or not at all."""

import socket

import pytest

from proxy.errors import StartError
from proxy.gateway.sockets import bind

BOTH = ("127.0.0.1", "::1")


def test_a_free_port_is_the_same_on_both_loopbacks() -> None:
    bound = bind(BOTH, 0, "upstreams.zeebe.listen")
    try:
        assert {sock.getsockname()[1] for sock in bound.sockets} == {bound.port}
        assert bound.addresses == (f"127.0.0.1:{bound.port}", f"[::1]:{bound.port}")
        assert not bound.notice
    finally:
        bound.close()


@pytest.mark.parametrize("taken", BOTH)
def test_a_port_that_somebody_owns_on_either_is_refused_and_nothing_stays_bound(taken: str) -> None:
    family = socket.AF_INET6 if ":" in taken else socket.AF_INET
    with socket.socket(family) as owner:
        owner.bind((taken, 0))
        owner.listen()
        port = owner.getsockname()[1]
        with pytest.raises(StartError, match=rf"upstreams\.zeebe\.listen: port {port} .* is taken"):
            bind(BOTH, port, "upstreams.zeebe.listen")
        other = BOTH[1] if taken == BOTH[0] else BOTH[0]
        bind((other,), port, "again").close()


def test_a_second_listener_on_a_bound_port_is_refused_before_either_accepts() -> None:
    bound = bind(BOTH, 0, "first")
    try:
        with pytest.raises(StartError, match="second: port"):
            bind(BOTH, bound.port, "second")
    finally:
        bound.close()


def test_an_address_of_another_machine_is_said_so() -> None:
    with pytest.raises(StartError, match=r"192\.0\.2\.1 is not an address of this machine"):
        bind(("192.0.2.1",), 0, "upstreams.zeebe.listen")
