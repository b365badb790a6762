"""A Python that has imported the proxy, and is copied for each command that a test runs.

To import everything anew for each of a hundred commands took half of the quick suite's time. Each copy is a
real process all the same: it has arguments, an environment, a folder, standard streams, signals and an exit
code of its own. Run as a module, this is that Python. Linux only.
"""

import asyncio
import gc
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMPORTED = ("cli", "config.load", "commands.serve", "commands.show", "commands.notify")  # of the proxy
REQUEST = 1 << 18  # bytes


class Copied:
    """A copy that runs; as far as tests need it, what asyncio calls a Process."""

    def __init__(self, pid: int, pipes: "list[_Pipe]") -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdout, self.stderr, self._status = [pipe.reader for pipe in pipes]
        self._pipes = pipes

    async def wait(self) -> int:
        """Its exit code, negative for a signal."""
        if self.returncode is None:
            self.returncode = int(await self._status.readline())
            for pipe in self._pipes:
                await pipe.ended.wait()
        return self.returncode

    async def communicate(self) -> tuple[bytes, bytes]:
        await self.wait()
        return await self.stdout.read(), await self.stderr.read()

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Template:
    """Started at the first use; ends with this process, which holds the other end of its socket."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    async def begin(
        self, arguments: Sequence[str], environ: Mapping[str, str], folder: Path, files: int | None = None
    ) -> Copied:
        """Run a command.

        Args:
            files: limit of its open files; None: ours.
        """
        pipes = [os.pipe() for _ in range(3)]  # stdout, stderr, and what is told of the process itself
        request = json.dumps([list(arguments), dict(environ), str(folder), files]).encode()
        socket.send_fds(self._started(), [request], [write for _, write in pipes])
        for _, write in pipes:
            os.close(write)
        readers = [await _Pipe.of(read) for read, _ in pipes]
        return Copied(int(await readers[-1].reader.readline()), readers)

    def _started(self) -> socket.socket:
        if self._socket is None:
            self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            for each in (self._socket, theirs):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, REQUEST)
            with theirs:
                process = subprocess.Popen(
                    [sys.executable, "-m", "tests.app.template", str(theirs.fileno())],
                    env={**os.environ, "PYTHONPATH": str(ROOT)},
                    cwd=ROOT,
                    pass_fds=[theirs.fileno()],
                )
            process.returncode = 0  # it outlives us by a moment, and there is nothing to wait for
        return self._socket


class _Pipe(asyncio.StreamReaderProtocol):
    """The end of a pipe that we read: all of it is kept.

    Attributes:
        ended: set once there is no writer left.
    """

    def __init__(self) -> None:
        self.reader = asyncio.StreamReader(limit=1 << 24)
        self.ended = asyncio.Event()
        super().__init__(self.reader)

    @classmethod
    async def of(cls, descriptor: int) -> "_Pipe":
        file = os.fdopen(descriptor, "rb", 0)
        _, pipe = await asyncio.get_running_loop().connect_read_pipe(cls, file)
        return pipe

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.ended.set()


def _copies(descriptor: int) -> list[str]:
    """Serve requests. Returns only in a copy: the arguments of its command."""
    requests = socket.socket(fileno=descriptor)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        data, descriptors, _, _ = socket.recv_fds(requests, REQUEST, 3)
        if not data:
            os._exit(0)
        arguments, environ, folder, files = json.loads(data)
        out, err, status = descriptors
        if os.fork():
            for each in descriptors:
                os.close(each)
            continue
        requests.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if child := os.fork():
            for each in (out, err):
                os.close(each)
            os.write(status, b"%d\n" % child)
            _, ended = os.waitpid(child, 0)
            os.write(status, b"%d\n" % os.waitstatus_to_exitcode(ended))
            os._exit(0)
        os.close(status)
        for each, standard in ((out, 1), (err, 2)):
            os.dup2(each, standard)
            os.close(each)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
        os.environ.clear()
        os.environ.update(environ)
        os.chdir(folder)
        if files is not None:
            import resource

            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        return [str(each) for each in arguments]


if __name__ == "__main__":
    import importlib

    for module in IMPORTED:
        importlib.import_module(f"proxy.{module}")
    from proxy.__main__ import main

    gc.freeze()  # else each copy's collector would write to all pages, and copy them
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["proxy", *_copies(int(sys.argv[1]))]
    sys.exit(main())
