"""Shows on a terminal that a command waits for a person, and for how long it still does."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from proxy.clock import Clock, Timer

_CLEAR = "\r\x1b[K"


@contextmanager
def waiting(text: str, seconds: float, clock: Clock) -> Iterator[None]:
    """Show a line until the block ends: on a terminal one that counts down, else one line.

    Args:
        text: without a full stop.
        seconds: from now, until the command gives up.
    """
    if not sys.stderr.isatty():
        click.echo(f"{text}, for at most {_left(seconds)}.", err=True)
        yield
        return
    ends_at = clock.now() + seconds
    timer: Timer | None = None

    def count_down() -> None:
        nonlocal timer
        left = max(ends_at - clock.now(), 0.0)
        click.echo(f"{_CLEAR}{text}: {_left(left)} left. Ctrl-C stops.", err=True, nl=False)
        timer = clock.call_later(1.0, count_down)

    count_down()
    try:
        yield
    finally:
        if timer is not None:
            timer.cancel()
        click.echo(_CLEAR, err=True, nl=False)


def warn(text: str) -> None:
    """Print a line on stderr, in place of a line that counts down."""
    click.echo(f"{_CLEAR if sys.stderr.isatty() else ''}{text}", err=True)


def _left(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
