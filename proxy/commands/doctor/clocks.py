"""Pure: how far the clock of a server differs from ours, by its Date field (RFC 9110 section 6.6.1)."""

from typing import Final

from proxy.commands.doctor.finding import Step, Why, duration
from proxy.credentials.reply import unix_time

A_LITTLE: Final = 5.0
"""Seconds that get a notice. A Date field has whole seconds, and may be a moment old."""

MUCH: Final = 60.0
"""Seconds that are wrong: Spring tolerates this much, Keycloak and Camunda's engine of 8.6 nothing."""


def difference(date: str | None, wall: float) -> float | None:
    """Return the seconds by which a server's clock is ahead of ours; None: it does not tell.

    Args:
        date: its Date field.
        wall: our time at the end of its answer, in seconds since 1970.
    """
    sent = unix_time(date) if date else None
    return sent + 0.5 - wall if sent is not None else None


def clock_step(ahead: float | None, whose: str) -> Step | None:
    """Return the step about a server's clock; None: it does not tell its time."""
    if ahead is None:
        return None
    said = f"{duration(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'} ours"
    facts = {"ahead": round(ahead, 1)}
    if abs(ahead) < A_LITTLE:
        return Step("clock", "ok", "as ours", facts=facts)
    mark = "wrong" if abs(ahead) >= MUCH else "notice"
    text = (
        f"The clock of {whose} is {said}. Tokens and assertions then look expired or not yet valid to one"
        " side. Set the clock of this machine, and of that server, by NTP (timedatectl, chronyc tracking)."
    )
    return Step("clock", "wrong" if mark == "wrong" else "notice", said, why=Why("clock", text), facts=facts)
