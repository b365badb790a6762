"""Pure: what was asked of an API, and with which credential."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from proxy.commands.doctor.calls import Call
from proxy.commands.doctor.claims import Claims


@dataclass(frozen=True, slots=True)
class ApiAsked:
    """What the meaning of an answer depends on, beside the answer.

    Attributes:
        section: `upstreams.NAME`.
        url: base URL.
        saas: whether Camunda itself runs it.
        kind: type of the credential: oauth2, session, bearer, basic, none.
        credential: `credentials.NAME`.
        principal: name of the user, or the client's id; empty: none.
        audience: that was requested; empty: none.
        known: audiences that this API usually has, on SaaS and Self-Managed.
        token_endpoint: where the token came from, as messages show it; empty: from nowhere.
        claims: of the token; None: there is none, or it is no JWT.
        sent: bytes of our request's head.
        version: of Camunda, if it is known.
        ahead: seconds by which the clock of the API is ahead of the token endpoint's, or of ours if that one
            is not known; None: not known.
        wall: seconds since 1970.
    """

    section: str
    url: str
    api: str
    saas: bool
    kind: str
    credential: str
    call: Call
    principal: str = ""
    audience: str = ""
    known: tuple[str, ...] = ()
    token_endpoint: str = ""
    claims: Claims | None = None
    sent: int = 0
    version: str = ""
    ahead: float | None = None
    wall: float = 0.0

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def host(self) -> str:
        return (urlsplit(self.url).hostname or "").removesuffix(".")

    def __str__(self) -> str:
        return f"{self.url} ({self.section}.url)"
