"""The event loop: uvloop where it can be installed, and with it one owner for each open file."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar

Result = TypeVar("Result")

try:
    import uvloop
except ImportError:  # Windows
    uvloop = None  # type: ignore[assignment, unused-ignore]


def loop_name() -> str:
    """For people: which loop runs."""
    return f"uvloop {version('uvloop')}" if uvloop is not None else "asyncio"


def run_loop(main: Coroutine[Any, Any, Result]) -> Result:
    """Run to the end on the best loop there is."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main)


@contextmanager
def _handed_over(sock: socket.socket | None) -> Iterator[None]:
    """libuv owns the socket's file from now on: the Python object forgets its number, whatever happens.

    libuv closes the file by itself: when a TLS handshake fails, when the peer resets, when a connect is
    cancelled. If a Python socket still has the number then, its finaliser closes that number later, and by
    then it is the file of another connection (uvloop issues 646, 738, 740; aiohttp issue 10506). uvloop 0.23
    forgets the number after a failed connect, but not after a failed handshake.
    """
    try:
        yield
    finally:
        if sock is not None:
            sock.detach()


if TYPE_CHECKING or uvloop is None:

    def new_loop() -> asyncio.AbstractEventLoop:
        """A new event loop; its caller closes it."""
        return asyncio.new_event_loop()

else:

    class OwningLoop(uvloop.Loop):
        """uvloop that takes a socket which it is handed for good, also where it raises.

        On other loops the socket object goes on owning its file, so nothing changes there.
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
            # To remove the path at the end uvloop would ask the socket object for it.
            with _handed_over(options.get("sock")):
                return await super().create_unix_server(
                    protocol_factory, path, cleanup_socket=False, **options
                )

    def new_loop() -> asyncio.AbstractEventLoop:
        """A new event loop; its caller closes it."""
        return OwningLoop()
