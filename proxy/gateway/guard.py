"""Pure: decides whether a request may pass, by its host name and the page it comes from.

Two rules together keep web pages out (for the reasons see docs/design.md): the check of host names stops DNS
rebinding, the check of Fetch Metadata and Origin stops cross-site requests. Both apply to every method. A
document that the API itself serves passes both; `fields.py` sends it to the browser in a sandbox. Who the
caller is, `admission.py` finds out.
"""

import re
from dataclasses import dataclass, field
from itertools import product
from typing import Final

from proxy.errors import RequestRefused
from proxy.gateway.callers import Callers
from proxy.gateway.memo import Memo
from proxy.gateway.options import VARY, is_preflight, readable_by
from proxy.gateway.request_head import RequestHead

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
NOT_PASSED: Final = frozenset(
    bytes(letters)
    for method in (b"CONNECT", b"TRACE", b"TRACK")
    for letters in product(*zip(method, method.lower(), strict=True))
)
"""Methods that are not forwarded, in every mix of cases: methods are case-sensitive (RFC 9110 section 9.1),
but some servers ignore the case. TRACK is IIS's name for TRACE."""

_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._~!$&'()*+;=%-]{1,255})(?::[0-9]{0,5})?")
_ORIGIN = re.compile(rb"(?i:\r\norigin):[ \t]*+([\x21-\x7e]++)[ \t]*+(?=\r\n)")
_OWN_SITES: Final[tuple[list[bytes], ...]] = ([], [b"same-origin"], [b"none"])
_ALL_SITES: Final = (*_OWN_SITES, [b"same-site"], [b"cross-site"])


def _no_hosts() -> Memo[bytes, bool]:
    return Memo(entries=256, longest=256)


@dataclass(frozen=True, slots=True)
class Guard:
    """The rules of one listener.

    Attributes:
        names: accepted host names, in lower case, IPv6 literals in brackets; any port.
        where: the setting that adds host names, for messages.
        origins: of pages that may send requests and read the answers.
        vary: header line for every answer of a port that has such origins, ready to send; else empty.
        browsers: whether a browser can reach the listener; if not, every name and every page passes.
        seen: values of Host that were accepted.
        scheme: of our own pages: https if the port has TLS.
        callers: each request must come from one of them; None: every caller may use the port.
        anonymous: name of the caller that requests without a token come from; empty: they are refused.
    """

    names: frozenset[str] = LOOPBACK_NAMES
    where: str = "guard.allowed_hosts"
    origins: frozenset[bytes] = frozenset()
    browsers: bool = True
    scheme: bytes = b"http"
    callers: Callers | None = None
    anonymous: str = ""
    vary: bytes = field(init=False, repr=False, compare=False)
    seen: Memo[bytes, bool] = field(default_factory=_no_hosts, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "vary", VARY if self.origins and self.browsers else b"")

    def cors(self, head: RequestHead) -> bytes:
        """Return header lines that let the requesting page read the answer, ready to send; mostly empty."""
        if not self.vary or len(head.notable) < 2:
            return self.vary
        return self._readable_by([value for name, value in head.notable if name == b"origin"])

    def cors_of(self, raw: bytes) -> bytes:
        """Do as `cors`, for the bytes of a head that could not be read."""
        return self._readable_by(_ORIGIN.findall(raw)) if self.vary else b""

    def _readable_by(self, origins: list[bytes]) -> bytes:
        if len(origins) == 1 and origins[0] in self.origins:
            return readable_by(origins[0])
        return self.vary

    def check(self, head: RequestHead) -> None:
        """Refuse requests that must not reach the upstream; works for all bytes in the head.

        Raises:
            RequestRefused: `bad_request`, `wrong_host`, `not_allowed`, `cross_site` or `unsupported`.
        """
        if head.passed is self:  # neither of them ever changes
            return
        known = self.seen.known.get(head.host)
        if known is None:
            # HTTP/1.0 needs no Host (RFC 9112 section 3.2). Health checks send none, browsers always do.
            known = not (head.host or head.minor) or self._answers_to(head.host)
        if not known:
            raise RequestRefused(
                "wrong_host",
                f"This port does not accept the host name of the request; {self.where} adds names.",
            )
        if len(head.notable) > 1 or head.method in NOT_PASSED:
            _check_method(head)
            if self.browsers:
                self._check_page(head)
        head.passed = self

    def _answers_to(self, host: bytes) -> bool:
        match = _HOST.fullmatch(host)
        if match is None:
            raise RequestRefused("bad_request", "The Host field is not a host name and a port.")
        known = not self.browsers or match[1].decode("ascii").lower() in self.names
        if known:
            self.seen.put(host, True)
        return known

    def _check_page(self, head: RequestHead) -> None:
        """Check Fetch Metadata and Origin. A missing field proves nothing, as tools send none."""
        sites: list[bytes] = []
        origins: list[bytes] = []
        prefetch = False
        for name, value in head.notable:
            if name == b"sec-fetch-site":
                sites.append(value)
            elif name == b"origin":
                origins.append(value)
            elif name in (b"sec-purpose", b"purpose"):
                prefetch = prefetch or b"prefetch" in value.lower()
        preflight = head.method == b"OPTIONS" and is_preflight(head)
        if not (sites or origins or prefetch or preflight):
            return
        allowed = len(origins) == 1 and origins[0] in self.origins
        own = not origins or (head.host != b"" and origins == [self.scheme + b"://" + head.host.lower()])
        # Speculation rules of any page make Chromium prefetch from localhost, with `Sec-Fetch-Site: none`.
        hidden = prefetch and sites != [b"same-origin"]
        if allowed and not hidden and sites in _ALL_SITES:
            return
        if own and not hidden and sites in _OWN_SITES and not preflight:
            return
        raise RequestRefused(
            "cross_site",
            "The request comes from a web page of another site, and these may not use this port. "
            "guard.allowed_origins allows the pages of an origin.",
        )


def _check_method(head: RequestHead) -> None:
    if head.method in NOT_PASSED:
        # the answer to TRACE would show the credential to the caller (RFC 9110 section 9.3.8)
        message = "This port does not forward CONNECT, TRACE and TRACK."
        raise RequestRefused("not_allowed", message, status=405)
    # A server may ignore an offer to upgrade, and must ignore it in HTTP/1.0 (RFC 9110 section 7.8). But a
    # client that wants a WebSocket cannot use an ordinary answer, so it gets an error.
    if head.minor and b"upgrade" in head.connection and _offers_websocket(head):
        raise RequestRefused(
            "unsupported",
            "WebSocket connections do not pass through this proxy. Use the API over plain HTTP requests.",
            status=501,
        )


def _offers_websocket(head: RequestHead) -> bool:
    offers = b",".join(value for name, value in head.notable if name == b"upgrade").lower().split(b",")
    return any(offer.strip(b" \t").partition(b"/")[0] == b"websocket" for offer in offers)
