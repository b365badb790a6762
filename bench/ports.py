"""Free ports, so that two runs on one machine seldom try the same ones."""

import random
import socket
from collections.abc import Iterator
from typing import Final


def _candidates() -> Iterator[int]:
    """Ports below those that the system gives to outgoing connections, each once, from a random one on."""
    first = random.randrange(12_000, 32_000)
    yield from range(first, 32_000)
    yield from range(12_000, first)


_UNTRIED: Final = _candidates()


def free_ports(count: int) -> list[int]:
    """Ports on which nothing listens, each given out once."""
    return [next(port for port in _UNTRIED if _is_free(port)) for _ in range(count)]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
