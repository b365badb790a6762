"""The `run` command: start, tell, wait for a signal, stop."""

import asyncio
import gc
import logging
import signal
import sys
from typing import TYPE_CHECKING

from proxy import __version__, log
from proxy.app import Proxy, running
from proxy.clock import SystemClock
from proxy.commands.tables import running as running_table
from proxy.loop import run_loop

if TYPE_CHECKING:
    from proxy.config.model import Config

FIRST_FETCHES = 3.0
"""Seconds that the table waits for first fetches, so that it can say how they went."""

logger = logging.getLogger("proxy")


def serve(config: "Config") -> int:
    """Run until a signal ends it; the exit code.

    Raises:
        StartError: a port is taken, or a file makes no sense.
    """
    redact = log.Redactor()
    log.set_up(config.log.level, config.log.format, redact)
    return run_loop(_serve(config, redact))


async def _serve(config: "Config", redact: log.Redactor) -> int:
    clock = SystemClock()
    stop, hurry = _signals()
    async with running(config, clock) as proxy:
        redact.known = proxy.known_secrets
        logger.info("started", extra={"version": __version__, "configuration": config.source})
        for notice in config.notices:
            logger.warning(notice)
        await _tell(proxy, config, stop)
        _spare_the_collector()
        await stop
        logger.info("stopping", extra={"requests": proxy.busy})
        ended = await proxy.drain(hurry)
    if not ended:
        logger.warning("stopped: requests that still ran were cut")
        return 1
    logger.info("stopped")
    return 0


def _spare_the_collector() -> None:
    """What is here now stays: no need to look through it again and again. Requests leave no cycles behind,
    so looking less often costs no memory, and it was 5 to 8 % of a request's CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _signals() -> "tuple[asyncio.Future[None], asyncio.Future[None]]":
    """Done at the first signal, and at the second."""
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[None] = loop.create_future()
    hurry: asyncio.Future[None] = loop.create_future()

    def asked() -> None:
        for future in (stop, hurry):
            if not future.done():
                future.set_result(None)
                return

    def reload() -> None:
        logger.warning("SIGHUP: the configuration cannot be read again yet; restart to apply a change")

    if sys.platform == "win32":
        signal.signal(signal.SIGINT, lambda *_: loop.call_soon_threadsafe(asked))
    else:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, asked)
        loop.add_signal_handler(signal.SIGHUP, reload)
    return stop, hurry


async def _tell(proxy: Proxy, config: "Config", stop: "asyncio.Future[None]") -> None:
    """One table on a terminal, else one event per listener."""
    if not sys.stderr.isatty() or config.log.format == "json":
        for served in proxy.served:
            logger.info(
                "listening",
                extra={
                    "upstream": served.upstream.name,
                    "listen": list(served.bound.addresses),
                    "url": str(served.upstream.url),
                    "credential": served.upstream.credential,
                },
            )
        logger.info("admin listening", extra={"listen": proxy.admin_address})
        return
    try:
        async with asyncio.timeout(FIRST_FETCHES):
            await proxy.first_fetches(stop)
    except TimeoutError:
        pass
    print(running_table(proxy), file=sys.stderr)  # noqa: T201
