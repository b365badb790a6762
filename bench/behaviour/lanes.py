"""A lane: one port of a peer, and the origin behind it."""

from dataclasses import dataclass
from typing import Final

from tests.http.runner import CANARY

STATIC: Final = CANARY
"""The token where none is fetched."""
CLIENT: Final = "behaviour"
SECRET: Final = "secret-77b1f3"
HOSTS: Final = ("localhost", "127.0.0.1", "[::1]")
"""Names under which the port may be asked for; every peer is configured to refuse others with 421."""


@dataclass(frozen=True, slots=True)
class Lane:
    """Attributes:
    listen: port on 127.0.0.1.
    origin: port of the origin on 127.0.0.1.
    tls: whether the origin speaks TLS, with a certificate for 127.0.0.1.
    hasty: time-outs towards client and origin are about a second.
    bare: nothing is injected and cookies pass.
    token_url: of the token endpoint; None: the token is STATIC.
    """

    listen: int
    origin: int
    tls: bool = False
    hasty: bool = False
    bare: bool = False
    token_url: str | None = None

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.origin}"

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.authority}"
