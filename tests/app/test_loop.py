"""Who owns an open file: a number that libuv has closed is never closed a second time."""

import asyncio
import gc
import os
import select
import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from proxy.commands.loop import new_loop
from tests.certificates import certificate, serving

uvloop = pytest.importorskip("uvloop", reason="on Windows there is none, and nothing to mend")


def connected_pair() -> tuple[socket.socket, socket.socket]:
    """Ours and the peer's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        return ours, server.accept()[0]


def reset(peer: socket.socket, ours: socket.socket) -> None:
    """Reset the connection, and wait until our side has noticed."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    poll = select.poll()
    poll.register(ours, 0)
    assert poll.poll(5000)


async def handshake_after_a_reset() -> socket.socket:
    """A socket that was handed to the loop for a TLS handshake, which failed at once."""
    ours, peer = connected_pair()
    reset(peer, ours)
    with pytest.raises(ConnectionResetError):
        await asyncio.get_running_loop().create_connection(
            asyncio.Protocol, sock=ours, ssl=ssl.create_default_context(), server_hostname="localhost"
        )
    return ours


def test_uvloop_itself_leaves_the_number_of_a_closed_file_with_its_socket() -> None:
    """If this fails, uvloop has mended it (issues 646, 738): `OwningLoop` can go."""
    loop = uvloop.Loop()
    sock = loop.run_until_complete(handshake_after_a_reset())
    loop.close()
    number = sock.detach()
    assert number != -1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


@contextmanager
def a_loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = new_loop()
    yield loop
    loop.close()


def test_a_socket_whose_handshake_was_reset_has_no_number() -> None:
    with a_loop() as loop:
        assert loop.run_until_complete(handshake_after_a_reset()).fileno() == -1


def test_a_socket_whose_handshake_is_cancelled_has_no_number_and_its_file_is_closed() -> None:
    async def scenario() -> int:
        loop = asyncio.get_running_loop()
        ours, peer = connected_pair()
        with peer:
            peer.setblocking(False)
            handshake = loop.create_task(
                loop.create_connection(
                    asyncio.Protocol, sock=ours, ssl=ssl.create_default_context(), server_hostname="localhost"
                )
            )
            assert await loop.sock_recv(peer, 4096)  # it has begun, and gets no answer
            handshake.cancel()
            await asyncio.wait([handshake])
            assert handshake.cancelled()
            while await loop.sock_recv(peer, 4096):
                pass
        return ours.fileno()

    with a_loop() as loop:
        assert loop.run_until_complete(scenario()) == -1


@pytest.mark.parametrize("secure", [False, True])
def test_a_socket_that_became_a_connection_has_no_number_and_the_connection_works(
    secure: bool, tmp_path: Path
) -> None:
    files = certificate(tmp_path / "pki", "localhost")

    async def scenario() -> tuple[int, bytes]:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.read(100))
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=serving(files) if secure else None)
        sock = socket.create_connection(server.sockets[0].getsockname())
        trust = ssl.create_default_context(cafile=files[0]) if secure else None
        name = "localhost" if secure else None
        reader, writer = await asyncio.open_connection(sock=sock, ssl=trust, server_hostname=name)
        number = sock.fileno()
        writer.write(b"hello")
        said = await reader.read(100)
        writer.close()
        server.close()
        return number, said

    with a_loop() as loop:
        assert loop.run_until_complete(scenario()) == (-1, b"hello")


def test_a_listening_socket_belongs_to_its_server_which_can_still_be_shared() -> None:
    async def scenario() -> None:
        sock = socket.create_server(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        server = await asyncio.start_server(lambda _, writer: writer.close(), sock=sock)
        assert sock.fileno() == -1
        with server.sockets[0].dup() as shared:
            server.close()
            assert shared.getsockname()[1] == port
            socket.create_connection(("127.0.0.1", port)).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))

    with a_loop() as loop:
        loop.run_until_complete(scenario())


def test_a_unix_socket_belongs_to_its_server_and_its_path_to_us(tmp_path: Path) -> None:
    async def scenario() -> None:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(tmp_path / "s"))
        server = await asyncio.start_unix_server(lambda _, writer: writer.close(), sock=sock)
        assert sock.fileno() == -1
        server.close()
        await server.wait_closed()

    with a_loop() as loop:
        loop.run_until_complete(scenario())
    assert (tmp_path / "s").exists()


def test_a_failed_handshake_that_no_task_waits_for_any_more_is_not_reported() -> None:
    """uvloop leaves a future with the error behind if its task is cancelled between connect and handshake."""
    reported: list[str] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reported.append(str(context)))

        def speak(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(speak, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        context = ssl.create_default_context()
        for turns in [*range(12)] * 40:
            handshake = loop.create_task(
                loop.create_connection(
                    asyncio.Protocol, "127.0.0.1", port, ssl=context, server_hostname="localhost"
                )
            )
            for _ in range(turns):
                await asyncio.sleep(0)
            handshake.cancel()
            await asyncio.wait([handshake])
            with suppress(OSError, asyncio.CancelledError):
                handshake.result()
        gc.collect()
        assert not reported
        left_behind = loop.create_future()
        left_behind.set_exception(ValueError("a fault of ours"))
        del left_behind
        gc.collect()
        assert len(reported) == 1, "other faults are still reported"
        server.close()

    with a_loop() as loop:
        loop.run_until_complete(scenario())
