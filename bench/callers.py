"""Callers who are merely there: connected and idle, waiting for an answer, or not reading one."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def connected(
    port: int, count: int, path: str, *, answer: int = 0, receive_buffer: int = 0
) -> Iterator[list[socket.socket]]:
    """`count` connections, on each of which one request for `path` has been sent.

    Args:
        answer: bytes to wait for before the next one; 0: none.
        receive_buffer: bytes that the system takes in for us; 0: as usual.

    Raises:
        OSError: no connection, or not this answer.
    """
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    with ExitStack() as stack:
        callers: list[socket.socket] = []
        for _ in range(count):
            caller = stack.enter_context(socket.socket())
            caller.settimeout(60)
            if receive_buffer:
                caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            caller.connect(("127.0.0.1", port))
            caller.sendall(request)
            if answer and not answered(caller, answer):
                raise OSError(f"caller {len(callers)} got another answer")
            callers.append(caller)
        yield callers


def answered(caller: socket.socket, size: int) -> bool:
    """Whether a 200 with a body of `size` bytes arrives; a body in chunks is not measured."""
    got = b""
    while True:
        head, end, body = got.partition(b"\r\n\r\n")
        if end and len(body) >= size:
            return head[9:12] == b"200"
        try:
            data = caller.recv(65_536)
        except OSError:
            return False
        if not data:
            return False
        got += data
