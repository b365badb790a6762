"""Pure: what a server may take a target's path for, however it is spelled.

Servers read a path differently. Tomcat and Jetty cut `;...` off before they decode, Spring afterwards. Jetty
up to 11 decodes `%u006c`, old decoders take UTF-8 that is longer than it need be, Windows takes `\\` for a
slash and drops dots and spaces at the end of a segment, and a proxy before the server may decode once more.
So a path is decoded until nothing is left to decode, and judged by all that it could be: what one server may
take for a login is one, and what one server may take for `..` is that. The target itself is sent as it came.
"""

import re
from typing import Final
from unicodedata import normalize
from urllib.parse import unquote_to_bytes

MAX_DECODINGS: Final = 8
"""A path that is encoded more often than that counts as whatever is asked of it."""

# Where nothing of this occurs, a path is what it looks like: almost all are.
_ODD: Final = re.compile(rb"[^!-$&-:<-\[\]-~]")  # `%`, `;`, `\`, controls, space, beyond ASCII
_UNICODE: Final = re.compile(rb"%[uU]([0-9A-Fa-f]{4})")
# UTF-8 of ASCII in two, three or four bytes (RFC 3629 section 10): Java's decoder took it up to version 6.
_OVERLONG: Final = re.compile(rb"(?:[\xc0\xc1]|\xe0[\x80\x81]|\xf0\x80[\x80\x81])[\x80-\xbf]")

_SIGN_IN: Final = (  # a regular expression, of whole segments in lower case
    b"login|logout"  # Camunda's own, 8.2 to 8.10, also per tenant; below /login, Spring Security's callbacks
    b"|sso-callback|login-callback|logout-callback"  # callbacks of Camunda's applications
    b"|oauth2/authorization|authentication/callback"  # Spring Security: a login begins; Optimize: it ends
)
_BLANK: Final = rb"[\x00-\x20]*"
_DOOR: Final = re.compile(
    rb"(?:^|[/\\;])" + _BLANK + rb"(?:" + _SIGN_IN + rb")[.\x00-\x20]*(?=[/\\;?#\x00]|$)"
)
# The API's own resources, whose ids are free text: /v2/users/login is a user. /v2/login is not.
_RESOURCE: Final = re.compile(rb"(?:/physical-tenants/[^/]+)?/v[12]/(?!(?:" + _SIGN_IN + rb")(?:/|$))[^/]")
_UNCLEAR: Final = re.compile(rb"[\\;?#\x00]|//|/\.{1,2}(?:/|$)")
_PRINTABLE: Final = re.compile(rb"[!-\[\]-~\x80-\xff]+")  # no `\`, no space, no control character
_TAIL: Final = re.compile(rb"[?#].*", re.DOTALL)
_AT_HOME: Final = re.compile(rb"/" + _BLANK + rb"(?:[^/\\\x00-\x20]|$)")
_DOTS: Final = re.compile(rb"(?:^|[/\\])" + _BLANK + rb"\.{1,2}" + _BLANK + rb"(?=[/\\;?#\x00]|$)")


def read(path: bytes) -> bytes | None:
    """A path as the most willing server reads it; total, idempotent, linear.

    Args:
        path: without its query; any bytes.

    Returns:
        Decoded until nothing is left to decode, in lower case, with compatibility characters such as the
        full-width letters folded to ASCII; None: it is encoded more than MAX_DECODINGS times.
    """
    for _ in range(MAX_DECODINGS + 1):
        once = _decoded(path)
        if once == path:
            return path
        path = once
    return None


def signs_in(target: bytes) -> bool:
    """Whether a request for this logs in or out, or comes back from an identity provider that did.

    Under a session of ours such a request would change who every caller is. What the API's resources are
    called is no reason: `/v2/users/login` passes. Whatever is unclear and holds a login somewhere is one.

    Args:
        target: origin-form, or `*`; its query is not looked at.
    """
    path = target.partition(b"?")[0]
    text = read(path) if _ODD.search(path) else path.lower()
    if text is None:
        return True
    if b"log" not in text and b"callback" not in text and b"oauth2" not in text:  # cheaper than a search
        return False
    if not _DOOR.search(text):
        return False
    clear = not _UNCLEAR.search(text) and text.count(b"/") == path.count(b"/")
    return not (clear and _RESOURCE.match(text))


def has_dot_segments(target: bytes) -> bool:
    """Whether a target has a segment that a server may take for `.` or `..` (RFC 3986 section 3.3).

    Args:
        target: of visible ASCII, as a request's is; its query is not looked at.
    """
    if b"/." not in target and b"%" not in target and b"\\" not in target:  # all but a few
        return False
    text = read(target.partition(b"?")[0])
    return text is None or _DOTS.search(text) is not None


def stays_here(reference: bytes) -> bool:
    """Whether every client takes a relative reference for a path of the host that sent it, and for that path.

    Browsers drop tabs, read `\\` as `/`, and go to another host with `//`; others decode or resolve first.

    Args:
        reference: of a Location, with its query and fragment; any bytes.
    """
    if not _PRINTABLE.fullmatch(reference):
        return False
    text = read(_TAIL.sub(b"", reference))
    return text is not None and _AT_HOME.match(text) is not None and _DOTS.search(text) is None


def is_plain(path: bytes) -> bool:
    """Whether all servers read this path alike: it holds no `%`, no `;` and no `\\`."""
    return not _ODD.search(path)


def _decoded(path: bytes) -> bytes:
    """Decoded once."""
    if b"%" in path:
        path = unquote_to_bytes(_UNICODE.sub(_character, path))
    if path.isascii():
        return path.lower()
    path = _OVERLONG.sub(_shortest, path)
    text = path.decode("utf-8", "surrogateescape")
    # By character, so that it is linear. Java compares without case by way of upper case.
    text = "".join([normalize("NFKC", each) for each in text]).upper().lower().replace("\u0307", "")
    return text.encode("utf-8", "surrogateescape")


def _character(match: re.Match[bytes]) -> bytes:
    return chr(int(match[1], 16)).encode("utf-8", "surrogatepass")


def _shortest(match: re.Match[bytes]) -> bytes:
    first, last = match[0][-2:]
    return bytes([(first & 1) << 6 | last & 0x3F])
