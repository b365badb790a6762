"""The field of a comparison: the origin on one core, every proxy up at once on another."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Final

from bench import peers
from bench.load import ask
from bench.peers import BENCH, Setting
from bench.ports import free_ports
from bench.process import Command, Process, cores, open_files, started

SMALL: Final = ("/small", 807)
LARGE: Final = ("/large", 1 << 20)
HUGE: Final = ("/huge", 64 << 20)
_PATIENCE: Final = 180.0
"""Seconds until a start has failed: valgrind is slow."""


@dataclass(frozen=True)
class Up:
    """A proxy that answers.

    Attributes:
        first_answer: seconds from its start to its first forwarded request, the token call included.
    """

    process: Process
    setting: Setting
    first_answer: float

    @property
    def name(self) -> str:
        return self.process.name


class Field:
    """Starts proxies before one origin.

    Attributes:
        faults: what went wrong that may not: by peer.
    """

    def __init__(self, folder: Path, origin: Setting, ours: Path, before: Path) -> None:
        self.folder = folder
        self.origin = origin
        self.faults: dict[str, list[str]] = {}
        self.up: list[Up] = []
        self._ours, self._before = ours, before
        self._proxy_core, self._load_core = cores()

    @contextmanager
    def start(
        self, name: str, *, token: str = "/token", lone: bool = False, before: Sequence[str] = ()
    ) -> Iterator[Up]:
        """The proxy `name`, and proof that it forwards.

        Args:
            token: path of the token endpoint.
            lone: one process only.
            before: a program to run it under, with options.

        Raises:
            RuntimeError: it does not answer.
        """
        plain, tls, admin = free_ports(3)
        folder = self.folder / f"{name}-{plain}"
        setting = Setting(
            folder=folder,
            plain=plain,
            tls=tls,
            admin=admin,
            origin_plain=self.origin.plain,
            origin_tls=self.origin.tls,
            certificate=self.origin.certificate,
            files=self.origin.files,
            token=token,
            lone=lone,
            ours=self._ours,
            before=self._before,
        )
        command = peers.command(name, setting)
        command = Command((*before, *command.arguments), command.folder, command.workdir, command.environment)
        begun = time.perf_counter()
        with started(name, command, self._proxy_core) as process:
            _until_answered(process, plain)
            first = time.perf_counter() - begun
            _until_answered(process, tls)
            yield Up(process, setting, first)

    @property
    def names(self) -> list[str]:
        return [up.name for up in self.up]

    def blame(self, name: str, fault: str) -> None:
        self.faults.setdefault(name, []).append(fault)

    @contextmanager
    def forgiving(self, name: str) -> Iterator[None]:
        """What goes wrong is a fault of the proxy `name`; the others are measured all the same."""
        try:
            yield
        except (OSError, RuntimeError, HTTPException, subprocess.CalledProcessError) as error:
            self.blame(name, f"{type(error).__name__}: {error}")

    @property
    def polls(self) -> "Polls":
        return Polls(self.origin.folder / "polls")


class Polls:
    """The origin's callers that wait."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def held(self) -> int:
        return self._ask(b"held")

    def release(self) -> None:
        self._ask(b"release")

    def _ask(self, what: bytes) -> int:
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(self._path))
            caller.sendall(b"GET /%s HTTP/1.1\r\n\r\n" % what)
            answer = b""
            while data := caller.recv(4096):
                answer += data
        return int(answer.rpartition(b"\r\n")[2])


@contextmanager
def laid_out(folder: Path, names: Sequence[str], ours: Path, before: Path) -> Iterator[Field]:
    """The origin, and all of `names` before it."""
    origin = _origin(folder / "origin")
    _, load_core = cores()
    with ExitStack() as stack:
        command = Command(("nginx", "-e", "stderr", "-c", str(origin.folder / "origin.conf")), origin.folder)
        stack.enter_context(started("origin", command, load_core))
        polls = Command(
            (sys.executable, "-m", "bench.polls", str(origin.folder / "polls")),
            origin.folder,
            workdir=BENCH.parent,
        )
        stack.enter_context(started("polls", polls, load_core))
        field = Field(folder, origin, ours, before)
        for name in names:
            with field.forgiving(name):
                field.up.append(stack.enter_context(field.start(name)))
        yield field


def _origin(folder: Path) -> Setting:
    """The origin's files, and where it will stand."""
    (folder / "www").mkdir(parents=True)
    for path, size in (SMALL, LARGE, HUGE):
        (folder / "www" / path[1:]).write_bytes(b"x" * size)
    plain, tls = free_ports(2)
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", "2", "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    peers.filled("origin.conf", folder, dir=folder, plain=plain, tls=tls, certificate=certificate, key=key)
    return Setting(folder, plain, tls, 0, plain, tls, certificate, open_files())


def _until_answered(process: Process, port: int) -> None:
    path, size = SMALL
    end = time.perf_counter() + _PATIENCE
    while time.perf_counter() < end and process.running:
        try:
            status, body = ask(port, path)
        except OSError:
            time.sleep(0.002)
            continue
        if status == 200 and len(body) == size:
            return
        time.sleep(0.01)
    raise RuntimeError(f"{process.name} does not answer; what it said: {process.output.read_text()[-2000:]}")
