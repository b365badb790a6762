"""Finds an issuer's endpoints (OpenID Connect Discovery 1.0 section 4).

Pure functions read the answer. `Discovery` sends the request, and caches the result until `forget`.
"""

from collections.abc import Callable, Mapping
from re import compile as pattern
from typing import Any
from urllib.parse import urlsplit

from proxy.credentials.outbound import Outbound
from proxy.credentials.reply import Reply, invalid, json_object
from proxy.errors import CredentialUnavailable
from proxy.outgoing.answer_causes import speaks_tls
from proxy.outgoing.causes import Peer, cause, shown
from proxy.terms import DISCOVERY

ISSUER = "the issuer"
"""Its name in messages."""

_URL = pattern(r"[\x21-\x7e]{1,2048}")
_AUTHORITY = pattern(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")


def token_endpoint(
    answer: Reply,
    issuer_url: str,
    wall: float,
    peer: Peer = Peer(ISSUER),  # noqa: B008 -- a value
) -> str:
    """Return the token URL in an issuer's answer; arguments and errors as those of `discovery_document`."""
    return str(discovery_document(answer, issuer_url, wall, peer)["token_endpoint"])


def discovery_document(
    answer: Reply,
    issuer_url: str,
    wall: float,
    peer: Peer = Peer(ISSUER),  # noqa: B008 -- a value
) -> dict[str, Any]:
    """Return the discovery document in an issuer's answer; its `issuer` and `token_endpoint` are checked.

    Args:
        issuer_url: as requested, without a trailing slash.
        wall: seconds since 1970, for Retry-After.
        peer: the issuer, as messages name it.

    Raises:
        CredentialUnavailable: there is none, or it has no token URL to which a secret may be sent.
    """
    status = answer.status
    wait = answer.retry_after(wall)
    if status == 429:
        text = f"{peer}: {cause('limited', peer).words}"
        raise CredentialUnavailable(text, outcome="limited", retry_after=wait)
    if status >= 500:
        text = f"{peer}: {cause('server_error', peer, status=status).words}"
        raise CredentialUnavailable(text, retry_after=wait)
    if 300 <= status < 400:
        to = shown(answer.get("location") or "").removesuffix(DISCOVERY)
        said = f" to {to}" if to else ""
        raise invalid(f"{peer}: {cause('redirect', peer, status=status, said=said).words}", wait)
    if status != 200:
        speaks = speaks_tls(status, answer.body)
        why = cause("plain_to_tls" if speaks else "no_discovery", peer, status=status, said=DISCOVERY)
        raise invalid(f"{peer}: {why.words}", wait)
    document = json_object(answer, str(peer))
    # Section 4.3 demands exactly the same name. A slash at its end is allowed, because we removed ours.
    named = document.get("issuer")
    if not isinstance(named, str) or named.removesuffix("/") != issuer_url:
        other = f" ({shown(named)})" if isinstance(named, str) and shown(named) else ""
        raise invalid(f"{peer}: {cause('issuer_name', peer, said=other).words}")
    if endpoint_of(document, "token_endpoint", issuer_url, peer) is None:
        raise invalid(f"{peer}: it names no token_endpoint that is an http(s) URL; set token_url instead")
    return document


def endpoint_of(document: Mapping[str, Any], member: str, issuer_url: str, peer: Peer) -> str | None:
    """Return an endpoint that a discovery document names; None: it names none that is an http(s) URL.

    Raises:
        CredentialUnavailable: it is plain http, although the issuer is not.
    """
    endpoint = document.get(member)
    if not isinstance(endpoint, str) or not _is_endpoint(endpoint):
        return None
    if issuer_url.lower().startswith("https:") and not endpoint.lower().startswith("https:"):
        raise invalid(
            f"{peer}: issuer_url is https but its {member} is plain http, so no secret is sent"
            " there; set the issuer's public URL at the identity provider"
        )
    return endpoint


def _is_endpoint(text: str) -> bool:
    """Tell whether it is a URL without a fragment (RFC 6749 sections 3.1, 3.2), user and password."""
    try:
        url = urlsplit(text)
        return (
            _URL.fullmatch(text) is not None
            and url.scheme in ("http", "https")
            and _AUTHORITY.fullmatch(url.netloc) is not None
            and url.port != 0
            and "#" not in text
        )
    except ValueError:
        return False


class Discovery:
    """Finds an issuer's endpoints, and caches its document.

    Args:
        issuer_url: without a trailing slash.
        timeout: seconds.
        wall: returns seconds since 1970.
    """

    def __init__(
        self, issuer_url: str, outbound: Outbound, timeout: float, wall: Callable[[], float]
    ) -> None:
        self._issuer_url = issuer_url
        self._outbound = outbound
        self._timeout = timeout
        self._wall = wall
        self._found: dict[str, Any] | None = None

    async def token_url(self) -> str:
        """Return the token URL; errors as those of `document`."""
        return str((await self.document())["token_endpoint"])

    async def document(self) -> Mapping[str, Any]:
        """Return the issuer's document, as `discovery_document` has checked it.

        Raises:
            CredentialUnavailable: the issuer does not answer, or its answer cannot be used.
        """
        if self._found is None:
            answer = await self._outbound.send(
                "GET",
                self._issuer_url + DISCOVERY,
                to=ISSUER,
                headers={"Accept": "application/json"},
                timeout=self._timeout,
            )
            self._found = discovery_document(answer, self._issuer_url, self._wall(), self.peer)
        return self._found

    @property
    def peer(self) -> Peer:
        """The issuer, as messages name it."""
        return self._outbound.peer(ISSUER, self._issuer_url)

    def forget(self) -> None:
        """Ask the issuer again next time, because an endpoint may have moved."""
        self._found = None
