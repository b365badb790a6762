"""A TLS server that sends alerts, as real ones do: asyncio's and uvloop's close a connection without one."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class TlsServer:
    """Answers one request on each connection.

    Attributes:
        port: on 127.0.0.1.
        names: server names that clients have sent (SNI).
        asked: beginnings of requests.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self.names: list[str | None] = []
        self.asked: list[bytes] = []
        self._context = context
        context.sni_callback = self._note_name
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()

    def _note_name(self, _object: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        self.names.append(name)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                site, _ = self._listening.accept()
                with suppress(OSError), site:
                    site.settimeout(5)
                    with self._context.wrap_socket(site, server_side=True) as connection:
                        self.asked.append(connection.recv(65536))
                        connection.sendall(ANSWER)


@contextmanager
def tls_server(context: ssl.SSLContext) -> Iterator[TlsServer]:
    server = TlsServer(context)
    try:
        yield server
    finally:
        server.close()
