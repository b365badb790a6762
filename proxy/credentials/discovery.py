"""Where an issuer's token endpoint is (OpenID Connect Discovery 1.0 section 4).

Reading the answer is a pure function; `Discovery` asks, and remembers until told to forget.
"""

from collections.abc import Callable
from re import compile as pattern
from urllib.parse import urlsplit

from proxy.credentials.outbound import Outbound
from proxy.credentials.reply import Reply, invalid, json_object
from proxy.errors import CredentialUnavailable
from proxy.terms import DISCOVERY

ISSUER = "the issuer"
"""How messages name it."""

_URL = pattern(r"[\x21-\x7e]{1,2048}")
_AUTHORITY = pattern(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")


def token_endpoint(answer: Reply, issuer_url: str, wall: float) -> str:
    """The token URL in an issuer's answer.

    Args:
        issuer_url: as asked for, without a trailing slash.
        wall: seconds since 1970, for Retry-After.

    Raises:
        CredentialUnavailable: there is none, or none to which a secret may be sent.
    """
    status = answer.status
    wait = answer.retry_after(wall)
    if status == 429:
        raise CredentialUnavailable("the issuer limits us (429)", outcome="limited", retry_after=wait)
    if status >= 500:
        raise CredentialUnavailable(f"the issuer failed: {status}", retry_after=wait)
    if 300 <= status < 400:
        raise invalid(
            f"the issuer answered with a redirect ({status}), which is not followed;"
            " issuer_url has to name the place itself",
            wait,
        )
    if status != 200:
        raise invalid(f"the issuer's {DISCOVERY} is not there: {status}; look at issuer_url", wait)
    document = json_object(answer, ISSUER)
    # Section 4.3: exactly the same; the slash at the end is ours to forgive, since we took it off.
    named = document.get("issuer")
    if not isinstance(named, str) or named.removesuffix("/") != issuer_url:
        raise invalid("the issuer calls itself by another name than issuer_url: write that one, or token_url")
    endpoint = document.get("token_endpoint")
    if not isinstance(endpoint, str) or not _is_token_url(endpoint):
        raise invalid("the issuer names no token_endpoint that is an http(s) URL")
    if issuer_url.lower().startswith("https:") and not endpoint.lower().startswith("https:"):
        raise invalid(
            "the issuer is asked by https, yet its token_endpoint is plain http: no secret goes there"
        )
    return endpoint


def _is_token_url(text: str) -> bool:
    """Without a fragment (RFC 6749 section 3.2), and without user and password."""
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
    """An issuer's token URL, asked for once.

    Args:
        issuer_url: without a trailing slash.
        timeout: seconds.
        wall: seconds since 1970.
    """

    def __init__(
        self, issuer_url: str, outbound: Outbound, timeout: float, wall: Callable[[], float]
    ) -> None:
        self._issuer_url = issuer_url
        self._outbound = outbound
        self._timeout = timeout
        self._wall = wall
        self._found: str | None = None

    async def token_url(self) -> str:
        """Raises CredentialUnavailable: the issuer cannot be asked, or what it says makes no sense."""
        if self._found is None:
            answer = await self._outbound.send(
                "GET",
                self._issuer_url + DISCOVERY,
                to=ISSUER,
                headers={"Accept": "application/json"},
                timeout=self._timeout,
            )
            self._found = token_endpoint(answer, self._issuer_url, self._wall())
        return self._found

    def forget(self) -> None:
        """Ask again next time: the endpoint may have moved."""
        self._found = None
