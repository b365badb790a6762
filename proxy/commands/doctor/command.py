"""Runs the `doctor` command: shows the progress on a terminal, prints what was found, writes the report."""

import os
import platform
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from proxy import __version__
from proxy.clock import SystemClock, wall_time
from proxy.commands import log
from proxy.commands.doctor import show
from proxy.commands.doctor.examine import examine
from proxy.commands.doctor.finding import day
from proxy.commands.doctor.places import Surroundings
from proxy.commands.loop import run_loop
from proxy.errors import StartError
from proxy.outgoing.connect import Connector

if TYPE_CHECKING:
    from proxy.config.model import Config

_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


def run(read: "Callable[[], Config]", *, as_json: bool, report: Path | None) -> int:
    """Examine the configuration; return exit code 0, or 1 if anything is wrong.

    Args:
        read: reads the configuration.
        report: file to write; None: none.

    Raises:
        ConfigError: the configuration cannot be used.
        StartError: the report cannot be written.
    """
    config = read()
    if report is not None:
        _write(report, "")  # now, and not after all the waiting
    redact = log.Redactor()
    log.set_up("critical", "console", redact)  # what fails is told by the findings
    clock = SystemClock()
    around = Surroundings(clock, Connector(clock.now), wall_time, dict(os.environ))
    progress = Progress()
    try:
        examined = run_loop(examine(config, around, progress))
    finally:
        progress.clear()
    redact.known = lambda: examined.secrets
    findings = examined.findings
    click.echo(show.as_json(findings, redact, __version__) if as_json else show.text(findings, redact))
    if report is not None:
        system = f"{platform.system()}, Python {platform.python_version()}"
        _write(
            report,
            show.report(findings, redact, version=__version__, system=system, date=day(wall_time())),
        )
        click.echo(f"The report is in {report}.", err=True)
    return 1 if findings.wrong else 0


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    try:
        with os.fdopen(os.open(path, _NEW, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        reason = error.strerror or "the system gives no reason"
        raise StartError(f"--report {path} cannot be written: {reason}; name another file.") from error


class Progress:
    """Shows on a terminal what is tried now, in one line that is overwritten."""

    def __init__(self) -> None:
        self._shown = ""
        self._terminal = sys.stderr is not None and sys.stderr.isatty()

    def __call__(self, text: str) -> None:
        if not self._terminal or text == self._shown:
            return
        self._shown = text
        width = max(shutil.get_terminal_size().columns - 1, 20)
        sys.stderr.write(f"\r\x1b[2K{text[:width]}")
        sys.stderr.flush()

    def clear(self) -> None:
        """Remove the line."""
        if self._terminal and self._shown:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
