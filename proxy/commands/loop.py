"""Makes the event loop: uvloop if it is installed, changed so that each open file has one owner."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

Result = TypeVar("Result")

try:
    import uvloop
except ImportError:  # Windows
    uvloop = None  # type: ignore[assignment, unused-ignore]


def loop_name() -> str:
    """Return the name of the loop, for people."""
    from importlib.metadata import version  # with all that it imports it takes 1 MiB

    return f"uvloop {version('uvloop')}" if uvloop is not None else "asyncio"


def run_loop(main: Coroutine[Any, Any, Result]) -> Result:
    """Run `main` to its end, on uvloop if it is installed."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main)


@contextmanager
def _handed_over(sock: socket.socket | None) -> Iterator[None]:
    """Make libuv the only owner of the socket's file: detach the Python object, even after an error.

    libuv closes the file by itself when a TLS handshake fails, when the peer resets or when a connect is
    cancelled. If a Python socket still has the file's number, its finaliser closes that number later, when it
    belongs to another connection (uvloop issues 646, 738, 740; aiohttp issue 10506). uvloop 0.23 detaches
    the object after a failed connect, but not after a failed handshake.
    """
    try:
        yield
    finally:
        if sock is not None:
            sock.detach()


if TYPE_CHECKING or uvloop is None:

    def new_loop() -> asyncio.AbstractEventLoop:
        """Make an event loop; the caller closes it."""
        return asyncio.new_event_loop()

else:

    class OwningLoop(uvloop.Loop):
        """uvloop, but it becomes the owner of each socket that it is given, even if it raises.

        On other loops the socket object remains the owner of its file, so nothing changes there.
        """

        def call_exception_handler(self, context: dict[str, Any]) -> None:
            """Report a fault, unless it is the failed handshake of a connection that is not wanted any more.

            If the task that makes a connection is cancelled before its TLS handshake fails, uvloop leaves a
            future behind, which holds the error and which no code can reach.
            """
            if "never retrieved" in context.get("message", "") and isinstance(
                context.get("exception"), (ssl.SSLError, ConnectionError)
            ):
                return
            super().call_exception_handler(context)

        async def create_connection(
            self, protocol_factory: Callable[[], Any], host: Any = None, port: Any = None, **options: Any
        ) -> Any:
            with _handed_over(options.get("sock")):
                return await super().create_connection(protocol_factory, host, port, **options)

        async def create_server(
            self, protocol_factory: Callable[[], Any], host: Any = None, port: Any = None, **options: Any
        ) -> Any:
            with _handed_over(options.get("sock")):
                return await super().create_server(protocol_factory, host, port, **options)

        async def create_unix_connection(
            self, protocol_factory: Callable[[], Any], path: Any = None, **options: Any
        ) -> Any:
            with _handed_over(options.get("sock")):
                return await super().create_unix_connection(protocol_factory, path, **options)

        async def create_unix_server(
            self, protocol_factory: Callable[[], Any], path: Any = None, **options: Any
        ) -> Any:
            # No cleanup by uvloop, because it would ask the detached socket object for the path.
            with _handed_over(options.get("sock")):
                return await super().create_unix_server(
                    protocol_factory, path, cleanup_socket=False, **options
                )

    def new_loop() -> asyncio.AbstractEventLoop:
        """Make an event loop; the caller closes it."""
        return OwningLoop()
