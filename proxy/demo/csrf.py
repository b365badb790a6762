"""CSRF protection as Spring Security does it in Camunda: a cookie, and a header from the server."""

import base64
import binascii
import secrets
import uuid

from aiohttp import web

ATTRIBUTES = "Path=/; HttpOnly; SameSite=Lax"  # observed on 8.6.0
EPOCH = "Expires=Thu, 01 Jan 1970 00:00:10 GMT"
TOMCAT_10 = f"Max-Age=0; {EPOCH}"  # how it deletes a cookie
TOMCAT_11 = EPOCH  # under Spring Boot 4: without Max-Age

Fields = list[tuple[str, str]]


class Pairs:
    """The cookies and header values of one server.

    Attributes:
        name: of the cookie, and of the header.
    """

    def __init__(self, name: str, attributes: str = ATTRIBUTES) -> None:
        self.name = name
        self._attributes = attributes
        self._good: set[str] = set()
        self._given: set[str] = set()

    def spoil(self) -> None:
        """Make all present pairs invalid."""
        self._good.clear()

    def known(self, value: str) -> bool:
        """Tell whether a cookie's or a header's value was issued here.

        A cookie's value in the header is a mistake (observed: 403), but it is known.
        """
        return value in self._given or unmasked(value) in self._given

    def fits(self, request: web.BaseRequest) -> bool:
        """Tell whether header and cookie are a valid pair."""
        token = dict(cookies(request)).get(self.name)
        shown = request.headers.get(self.name)
        return token in self._good and shown is not None and unmasked(shown) == token

    def fields(self, request: web.BaseRequest) -> Fields:
        """Return the header, and the cookie if the request had no valid one."""
        token = dict(cookies(request)).get(self.name)
        return [(self.name, masked(token))] if token in self._good else self.fresh()

    def fresh(self) -> Fields:
        token = str(uuid.uuid4())
        self._good.add(token)
        self._given.add(token)
        return [("Set-Cookie", f"{self.name}={token}; {self._attributes}"), (self.name, masked(token))]

    def new_cookie(self, request: web.BaseRequest) -> Fields:
        """Return a cookie for a refused request without one; never the header (observed on Operate 8.6)."""
        return [] if self.name in dict(cookies(request)) else self.fresh()[:1]


def cookies(request: web.BaseRequest) -> list[tuple[str, str]]:
    """Return the names and values of the request's cookies, as they were sent."""
    pairs = (pair.strip().partition("=") for pair in request.headers.get("Cookie", "").split(";"))
    return [(name, value) for name, _, value in pairs if name]


def masked(token: str) -> str:
    """Mask a token: random bytes, then the token xored with them. Each value differs, and all are valid.

    Spring's XorCsrfTokenRequestAttributeHandler; observed on 8.6: 96 characters.
    """
    noise = secrets.token_bytes(len(token))
    return base64.urlsafe_b64encode(noise + _xored(noise, token.encode())).decode()


def unmasked(value: str) -> str | None:
    """Return the token in a header's value; None: there is none."""
    try:
        data = base64.b64decode(value, altchars=b"-_", validate=True)
        half = len(data) // 2
        return _xored(data[:half], data[half:]).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None


def _xored(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
