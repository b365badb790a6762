"""The `exec` command: runs a command beside a proxy of its own, and ends with it."""

import asyncio
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from errno import ENOENT, ENOEXEC
from pathlib import Path
from secrets import token_urlsafe
from threading import Thread
from typing import TYPE_CHECKING, Final, TextIO

import click

from proxy.app.ports import POLL
from proxy.app.proxy import Proxy, running
from proxy.clock import SystemClock, pause
from proxy.commands import log
from proxy.commands.child_environment import child_environment
from proxy.commands.child_signals import ChildSignals
from proxy.commands.loop import run_loop
from proxy.config.model import Admin, Listen, SecretRef
from proxy.errors import StartError
from proxy.masking import masked

if TYPE_CHECKING:
    from proxy.config.model import Config, GuardConfig

logger = logging.getLogger("proxy")

FAILED, NOT_EXECUTABLE, NOT_FOUND, SIGNALLED = 1, 126, 127, 128
"""Exit codes, the last three as a shell's (POSIX.1-2017, Shell Command Language 2.8.2)."""

_FREE: Final = Listen("localhost", 0)
_QUIET: Final = {"debug": "warning", "info": "warning", "warning": "warning", "error": "error"}


def execute(config: "Config", command: Sequence[str], *, timeout: float, log_file: Path | None) -> int:
    """Run the command; return its exit code, or 128 plus the number of the signal that ended it.

    Args:
        timeout: seconds until the proxy must be ready; the command starts only then.
        log_file: gets the proxy's log; None: stderr gets warnings and errors.

    Raises:
        StartError: the proxy cannot start, or the log cannot be written.
    """
    if not (file := shutil.which(command[0])):
        return _refused(command[0])
    _hide_from_child()
    own = replace(
        config,
        upstreams=tuple(replace(upstream, listen=_FREE) for upstream in config.upstreams),
        admin=Admin(_FREE),
        guard=_with_token(config),
    )
    redact = log.Redactor()
    stream = None if log_file is None else _opened(log_file)
    level = _QUIET[config.log.level] if stream is None else config.log.level
    log.set_up(level, config.log.format, redact, stream)
    program = file if sys.platform == "win32" else command[0]  # there a script is found by its whole name
    return run_loop(_execute(own, (program, *command[1:]), timeout, redact))


def _with_token(config: "Config") -> "GuardConfig":
    """Return the guard; if callers need tokens, with one for the command, which this process alone knows."""
    if not config.callers or config.guard.caller_token is not None:
        return config.guard
    return replace(config.guard, caller_token=SecretRef(text=token_urlsafe(32)))


def _refused(name: str) -> int:
    """Tell why there is no such command; return the exit code."""
    if shutil.which(name, mode=os.F_OK) or Path(name).is_dir():
        click.echo(f"{name} cannot be executed: it is a folder, or it has no permission for that.", err=True)
        return NOT_EXECUTABLE
    click.echo(f"There is no command {name}.", err=True)
    return NOT_FOUND


def _opened(path: Path) -> TextIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    try:
        return os.fdopen(os.open(path, flags, 0o600), "a", encoding="utf-8", buffering=1)
    except OSError as error:
        raise StartError(f"--log-file {path} cannot be written: {error.strerror}.") from None


def _hide_from_child() -> None:
    """Keep the command from reading our environment and memory, where the credential is (Linux, prctl(2)).

    The command runs as the same user. This also disables core dumps, and unlike RLIMIT_CORE the command does
    not inherit it.
    """
    if sys.platform == "linux":
        import ctypes

        pr_set_dumpable = 4
        ctypes.CDLL(None).prctl(pr_set_dumpable, 0, 0, 0, 0)


async def _execute(config: "Config", command: Sequence[str], limit: float, redact: log.Redactor) -> int:
    signals = ChildSignals()
    async with running(config, SystemClock()) as proxy:
        redact.known = proxy.known_secrets
        for notice in config.notices:
            logger.warning(notice)
        if not await _ready(proxy, limit, signals.before):
            return FAILED
        if signals.before.done():
            return SIGNALLED + signals.before.result()
        try:
            child = subprocess.Popen(command, env=_environment(proxy, config), close_fds=False)  # noqa: S603, ASYNC220
        except OSError as error:
            return _not_started(command[0], error)
        signals.child = child
        try:
            code = await _ended(child)
        finally:
            if child.returncode is None:  # a fault of ours
                child.terminate()
    return code if code >= 0 else SIGNALLED - code


def _not_started(name: str, error: OSError) -> int:
    """Tell why the command could not be executed; return the exit code."""
    reasons = {
        ENOENT: "the interpreter that its first line names is missing",
        ENOEXEC: "it is no program of this system, and has no #! line",
    }
    reason = reasons.get(error.errno or 0, error.strerror)
    click.echo(f"{name} cannot be executed: {reason}.", err=True)
    return NOT_FOUND if error.errno == ENOENT else NOT_EXECUTABLE


async def _ended(child: "subprocess.Popen[bytes]") -> int:
    """Wait until the command has ended; return its exit code, negative for a signal.

    A thread waits, because uvloop's own subprocesses get copies of our stdout and stderr beside theirs. With
    these, a pipe would stay open as long as a process that the command has left behind.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()

    def tell(code: int) -> None:
        if not ended.done():
            ended.set_result(code)

    def wait() -> None:
        code = child.wait()
        with suppress(RuntimeError):  # the loop is closed, after a fault of ours
            loop.call_soon_threadsafe(tell, code)

    Thread(target=wait, daemon=True).start()
    return await ended


async def _ready(proxy: Proxy, limit: float, until: "asyncio.Future[int]") -> bool:
    """Wait until the proxy is ready or a signal asks to stop; after `limit` seconds tell why it is not."""
    clock = SystemClock()
    give_up = clock.now() + limit
    while not (snapshot := proxy.state.snapshot(clock.now())).ready:
        if until.done():
            return True
        if clock.now() >= give_up:
            break
        await pause(clock, POLL, until)
    else:
        return True
    click.echo(f"The command was not started, because the proxy was not ready within {limit:g} s:", err=True)
    for upstream in snapshot.upstreams:
        if not upstream.status.usable:
            reason = snapshot.reason(upstream) or "there is no answer to the first request for a credential"
            click.echo(f"  {upstream.name}: {masked(reason, proxy.known_secrets())}", err=True)
    click.echo("`camunda-auth-proxy doctor` finds the cause.", err=True)
    return False


def _environment(proxy: Proxy, config: "Config") -> dict[str, str]:
    caller_token = config.guard.caller_token
    token = _text(caller_token) if caller_token is not None else None
    ports = {served.upstream.name: served.bound.port for served in proxy.served}
    secrets = [*proxy.known_secrets()]
    return child_environment(os.environ, config, ports, proxy.admin_address, secrets, token)


def _text(secret: "SecretRef") -> str:
    if secret.file is None:
        return secret.text or ""
    return secret.file.read_text(encoding="utf-8").rstrip("\r\n")
