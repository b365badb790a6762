"""How long an upstream, and a caller, may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: connect with TLS; until the response head; between two bytes of the upstream's; between two
    bytes of a request's body from the caller."""

    connect: float = 5.0
    response: float = 600.0
    idle: float = 600.0
    caller: float = 60.0
