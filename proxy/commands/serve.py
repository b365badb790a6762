"""The `run` command: starts the proxy, logs its listeners, reloads the configuration on SIGHUP, and stops."""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from proxy import __version__
from proxy.app.proxy import Proxy, running
from proxy.clock import SystemClock
from proxy.commands import log, notify
from proxy.commands.loop import run_loop
from proxy.commands.memory import give_back
from proxy.commands.tables import running_table
from proxy.errors import ConfigError, StartError

if TYPE_CHECKING:
    from proxy.app.upstreams import RunningUpstream
    from proxy.config.model import Config

FIRST_FETCHES = 3.0
"""Seconds that the blocks wait for the first fetches, so that they can show the results."""

logger = logging.getLogger("proxy")


def serve(read: "Callable[[], Config]") -> int:
    """Run until a signal ends it; return the exit code.

    Args:
        read: reads the configuration as it is now.

    Raises:
        ConfigError: the configuration cannot be used.
        StartError: a port is taken, or a file cannot be used.
    """
    config = read()
    redact = log.Redactor()
    log.set_up(config.log.level, config.log.format, redact)
    return run_loop(_serve(config, read, redact))


async def _serve(config: "Config", read: "Callable[[], Config]", redact: log.Redactor) -> int:
    signals, clock = _Signals(), SystemClock()
    async with running(config, clock) as proxy, asyncio.TaskGroup() as tasks:
        redact.known = proxy.known_secrets
        logger.info("started", extra={"version": __version__, "configuration": config.source})
        _give_notice(config)
        notify.ready()
        await _tell(proxy, config, signals.stop)
        _spare_the_collector()
        giving_back = tasks.create_task(give_back(clock))
        while await signals.reload_wanted():
            notify.reloading()
            await reload(proxy, read, redact)
            notify.ready()
        notify.stopping()
        logger.info("stopping", extra={"requests": proxy.busy})
        ended = await proxy.drain(signals.hurry)
        giving_back.cancel()
    if not ended:
        logger.warning("stopped: the requests that were still running were cut off; see shutdown.grace")
        return 1
    logger.info("stopped")
    return 0


async def reload(proxy: Proxy, read: "Callable[[], Config]", redact: log.Redactor) -> None:
    """Read the configuration and apply all of it or nothing; log which."""
    admin_before, refused = proxy.admin_address, ""
    try:
        config = read()
        change = await proxy.apply(config)
    except (ConfigError, StartError) as error:
        refused = str(error)
    except Exception:  # a fault of a library or ours: only the reload has failed, the proxy goes on
        logger.exception("a fault in the proxy while it read the configuration")
        refused = "the proxy itself failed while it read the configuration"
    if refused:
        proxy.state.reloads["refused"] += 1
        for problem in refused.splitlines():
            logger.error("configuration refused: %s", problem)
        logger.error("everything stays as it was")
        return
    proxy.state.reloads["ok"] += 1
    if not change.anything:
        logger.info("configuration read again: nothing changed", extra={"configuration": config.source})
        return
    log.set_up(config.log.level, config.log.format, redact)
    names = {"added": change.added, "changed": change.changed, "removed": change.removed}
    logger.info(
        "configuration applied",
        extra={"configuration": config.source, **{how: list(which) for how, which in names.items() if which}},
    )
    _give_notice(config)
    new = {*change.added, *change.changed}
    _tell_listeners([served for served in proxy.served if served.upstream.name in new])
    if proxy.admin_address != admin_before:
        _tell_admin(proxy)


def _spare_the_collector() -> None:
    """Exempt all present objects from garbage collection: they stay, and each pass over them takes 11 ms."""
    gc.collect()
    gc.freeze()


class _Signals:
    """Receives the signals of the process.

    Attributes:
        stop, hurry: done at the first signal to stop, and at the second.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.stop: asyncio.Future[None] = loop.create_future()
        self.hurry: asyncio.Future[None] = loop.create_future()
        self._news = asyncio.Event()
        if sys.platform == "win32":
            for number in (signal.SIGINT, signal.SIGBREAK):  # Ctrl-C, Ctrl-Break
                signal.signal(number, lambda *_: loop.call_soon_threadsafe(self._asked_to_stop))
            return
        # If SIGHUP is ignored at the start (nohup), the proxy has to outlive the terminal.
        self._ends_with_terminal = signal.getsignal(signal.SIGHUP) != signal.SIG_IGN and _has_terminal()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop)
        loop.add_signal_handler(signal.SIGHUP, self._asked_to_reload)

    async def reload_wanted(self) -> bool:
        """Wait for a signal to reload; several signals meanwhile count as one. Return False to stop."""
        await self._news.wait()
        self._news.clear()
        return not self.stop.done()

    def _asked_to_stop(self) -> None:
        self._news.set()
        for future in (self.stop, self.hurry):
            if not future.done():
                future.set_result(None)
                return

    def _asked_to_reload(self) -> None:
        if self._ends_with_terminal and not _has_terminal():  # the terminal was closed
            self._asked_to_stop()
        elif self.stop.done():
            logger.warning("SIGHUP while stopping: the configuration is not read again")
        else:
            self._news.set()


def _has_terminal() -> bool:
    """Tell whether the process has a controlling terminal, even if its output goes elsewhere."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _give_notice(config: "Config") -> None:
    for notice in config.notices:
        logger.warning(notice)


async def _tell(proxy: Proxy, config: "Config", stop: "asyncio.Future[None]") -> None:
    """Print a block per upstream on a terminal, else log one event per listener."""
    if not sys.stderr.isatty() or config.log.format == "json":
        _tell_listeners(proxy.served)
        _tell_admin(proxy)
        return
    try:
        async with asyncio.timeout(FIRST_FETCHES):
            await proxy.first_fetches(stop)
    except TimeoutError:
        pass
    with suppress(OSError):  # a terminal that has just been closed
        print(f"\n{running_table(proxy)}\n", file=sys.stderr)  # noqa: T201


def _tell_listeners(listeners: "Sequence[RunningUpstream]") -> None:
    for served in listeners:
        logger.info(
            "listening",
            extra={
                "upstream": served.upstream.name,
                "listen": list(served.bound.addresses),
                **({"tls": True} if served.plan.listen_tls is not None else {}),
                "url": str(served.upstream.url),
                "credential": served.upstream.credential,
            },
        )


def _tell_admin(proxy: Proxy) -> None:
    logger.info("admin listening", extra={"listen": proxy.admin_address})
