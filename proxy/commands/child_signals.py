"""Passes signals on to a command that `exec` runs."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress


class ChildSignals:
    """Receives the signals of this process from now on.

    Attributes:
        child: gets each signal; None: it has not been started.
        before: done with the number of the first signal that came before that.
    """

    def __init__(self) -> None:
        self.child: subprocess.Popen[bytes] | None = None
        loop = asyncio.get_running_loop()
        self.before: asyncio.Future[int] = loop.create_future()
        if sys.platform == "win32":
            # The console sends Ctrl-C and Ctrl-Break to every process itself. Here they must only not end us.
            for each in (signal.SIGINT, signal.SIGBREAK):
                signal.signal(each, lambda number, _: loop.call_soon_threadsafe(self._begin_to_stop, number))
            return
        passed = (
            signal.SIGTERM,
            signal.SIGHUP,
            signal.SIGINT,
            signal.SIGQUIT,
            signal.SIGUSR1,
            signal.SIGUSR2,
        )
        for each in passed:
            if signal.getsignal(each) != signal.SIG_IGN:  # the command ignores it too, as with nohup
                loop.add_signal_handler(each, self._pass_on, each)

    def _begin_to_stop(self, number: int) -> None:
        if self.child is None and not self.before.done():
            self.before.set_result(number)

    def _pass_on(self, number: signal.Signals) -> None:
        if self.child is None:
            self._begin_to_stop(number)
        elif number not in (signal.SIGINT, signal.SIGQUIT) or not _sent_by_terminal():
            with suppress(ProcessLookupError):
                self.child.send_signal(number)


def _sent_by_terminal() -> bool:
    """Tell whether a terminal sends its signals to our process group, and so to the command itself."""
    if sys.platform == "win32":
        return True
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
