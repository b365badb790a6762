"""How long an upstream, and a caller, may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Time-outs in seconds.

    Attributes:
        connect: to connect, DNS and TLS included.
        response: until the response head.
        idle: between two bytes from the upstream.
        caller: between two bytes of a request's body from the caller.
    """

    connect: float = 5.0
    response: float = 600.0
    idle: float = 600.0
    caller: float = 60.0
