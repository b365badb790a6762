"""Addresses that neither accept nor refuse."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs all of 127.0.0.0/8, and its full backlogs")


@contextmanager
def silent(host: str, port: int = 0) -> Iterator[int]:
    """A port that takes no more connections, and refuses none."""
    with socket.socket() as site:
        site.bind((host, port))
        site.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(site.getsockname())
        try:
            yield site.getsockname()[1]
        finally:
            for filler in fillers:
                filler.close()
