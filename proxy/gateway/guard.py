"""Pure: may this caller, under this host name, from this page, talk to us.

Two rules together keep web pages out (the reasons stand in docs/design.md): the names we answer to stop
DNS rebinding, Fetch Metadata and Origin stop requests across sites. They hold for every method.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from proxy.errors import RequestRefused
from proxy.gateway.framing import RequestHead

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._~!$&'()*+;=%-]{1,255})(?::[0-9]{0,5})?")


@dataclass(frozen=True, slots=True)
class Guard:
    """The rules of one listener.

    Attributes:
        names: host names we answer to, in lower case, IPv6 literals in brackets; any port.
        where: the setting that adds one, for the answer.
    """

    names: frozenset[str] = LOOPBACK_NAMES
    where: str = "guard.allowed_hosts"
    _seen: dict[bytes, bool] = field(default_factory=dict, repr=False, compare=False)

    def check(self, head: RequestHead) -> None:
        """Refuse what must not reach the upstream; total, whatever octets the head holds.

        Raises:
            RequestRefused: `bad_request`, `wrong_host`, `not_allowed`, `cross_site` or `unsupported`.
        """
        known = self._seen.get(head.host)
        if known is None:
            known = self._answers_to(head.host)
        if not known:
            raise RequestRefused(
                "wrong_host",
                f"This port does not answer to the host name that was asked for; {self.where} adds names.",
            )
        if len(head.notable) > 1 or head.method in (b"CONNECT", b"TRACE"):
            _check_method(head)
            _check_page(head)

    def _answers_to(self, host: bytes) -> bool:
        match = _HOST.fullmatch(host)
        if match is None:
            raise RequestRefused("bad_request", "The Host field is not a host name and a port.")
        known = match[1].decode("ascii").lower() in self.names
        if known and len(self._seen) < 256:
            self._seen[host] = True
        return known


def _check_method(head: RequestHead) -> None:
    if head.method in (b"CONNECT", b"TRACE"):
        # TRACE would show the credential to the caller, RFC 9110 section 9.3.8
        raise RequestRefused("not_allowed", "CONNECT and TRACE do not pass here.", status=405)
    if b"upgrade" in head.connection:
        protocols = [value.lower() for name, value in head.notable if name == b"upgrade"]
        if head.has_body or protocols != [b"h2c"]:  # h2c is an offer that may be left unanswered
            raise RequestRefused("unsupported", "Protocol upgrades (WebSocket) do not pass here.", status=501)


def _check_page(head: RequestHead) -> None:
    """Fetch Metadata and Origin. A missing field says nothing: tools send none of them."""
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
    if not (sites or origins or prefetch):
        return
    foreign = RequestRefused("cross_site", "A web page of another site asked; pages may not use this port.")
    if sites and sites not in ([b"same-origin"], [b"none"]):
        raise foreign
    if origins and origins != [b"http://" + head.host.lower()]:
        raise foreign
    # Any page's speculation rules make Chromium prefetch from localhost with `Sec-Fetch-Site: none`.
    if prefetch and sites != [b"same-origin"]:
        raise foreign
