"""Pure: decides what a server may take a target's path for, in any spelling.

Servers read a path differently. Tomcat and Jetty cut `;...` off before they decode, Spring afterwards. Jetty
up to 11 decodes `%u006c`, old decoders accept overlong UTF-8, Windows takes `\\` for a slash and drops dots
and spaces at the end of a segment, and a proxy before the server may decode once more. So a path is decoded
until nothing is left to decode. If any server may take it for a login, it counts as a login, and the same
holds for `..`. The target itself is forwarded as it came.
"""

import re
from typing import Final
from unicodedata import normalize
from urllib.parse import unquote_to_bytes

MAX_DECODINGS: Final = 8
"""Most levels of encoding. A path with more counts as a login, as one with dot segments, and so on."""

# A path without any of these bytes has only one reading. Almost all paths are such.
_ODD: Final = re.compile(rb"[^!-$&-:<-\[\]-~]")  # `%`, `;`, `\`, controls, space, beyond ASCII
_UNICODE: Final = re.compile(rb"%[uU]([0-9A-Fa-f]{4})")
# ASCII as UTF-8 of two, three or four bytes (RFC 3629 section 10): Java's decoder accepted it up to version
# 6.
_OVERLONG: Final = re.compile(rb"(?:[\xc0\xc1]|\xe0[\x80\x81]|\xf0\x80[\x80\x81])[\x80-\xbf]")

_SIGN_IN: Final = (  # a regular expression, of whole segments in lower case
    b"login|logout"  # Camunda's own, 8.2 to 8.10, also per tenant; below /login, Spring Security's callbacks
    b"|sso-callback|login-callback|logout-callback"  # callbacks of Camunda's applications
    b"|oauth2/authorization|authentication/callback"  # a login begins (Spring Security) or ends (Optimize)
)
_BLANK: Final = rb"[\x00-\x20]*"
_DOOR: Final = re.compile(
    rb"(?:^|[/\\;])" + _BLANK + rb"(?:" + _SIGN_IN + rb")[.\x00-\x20]*(?=[/\\;?#\x00]|$)"
)
# The API's own resources, whose ids are free text: /v2/users/login is a user, /v2/login is none.
_RESOURCE: Final = re.compile(
    rb"(?:/physical-tenants/[^/]+)?/(?:v[12]|cluster/v2|mcp)/(?!(?:" + _SIGN_IN + rb")(?:/|$))[^/]"
)
_UNCLEAR: Final = re.compile(rb"[\\;?#\x00]|//|/\.{1,2}(?:/|$)")
_PRINTABLE: Final = re.compile(rb"[!-\[\]-~\x80-\xff]+")  # no `\`, no space, no control character
_TAIL: Final = re.compile(rb"[?#].*", re.DOTALL)
_AT_HOME: Final = re.compile(rb"/" + _BLANK + rb"(?:[^/\\\x00-\x20]|$)")
_DOTS: Final = re.compile(rb"(?:^|[/\\])" + _BLANK + rb"\.{1,2}" + _BLANK + rb"(?=[/\\;?#\x00]|$)")


def read(path: bytes) -> bytes | None:
    """Read a path as the most tolerant server does. Works for all bytes, is idempotent, takes linear time.

    Args:
        path: without its query; any bytes.

    Returns:
        The path, decoded until nothing is left to decode, in lower case, with compatibility characters such
        as the full-width letters folded to ASCII; None: it is encoded more than MAX_DECODINGS times.
    """
    for _ in range(MAX_DECODINGS + 1):
        once = _decoded(path)
        if once == path:
            return path
        path = once
    return None


def signs_in(target: bytes) -> bool:
    """Tell whether a request for this target logs in or out, or is the callback of an identity provider.

    With a session of ours such a request would change the user of every caller. Names of the API's resources
    do not count, so `/v2/users/login` passes. A path that is not clear counts as a login if it contains one.

    Args:
        target: origin-form, or `*`; its query is ignored.
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
    """Tell whether a target has a segment that a server may take for `.` or `..` (RFC 3986 section 3.3).

    Args:
        target: of a request, visible ASCII; its query is ignored.
    """
    if b"/." not in target and b"%" not in target and b"\\" not in target:  # all but a few
        return False
    text = read(target.partition(b"?")[0])
    return text is None or _DOTS.search(text) is not None


def stays_here(reference: bytes) -> bool:
    """Tell whether every client reads a relative reference as this path, of the host that sent it.

    Browsers drop tabs, read `\\` as `/`, and go to another host with `//`; others decode or resolve first.

    Args:
        reference: of a Location, with its query and fragment; any bytes.
    """
    if not _PRINTABLE.fullmatch(reference):
        return False
    text = read(_TAIL.sub(b"", reference))
    return text is not None and _AT_HOME.match(text) is not None and _DOTS.search(text) is None


def is_plain(path: bytes) -> bool:
    """Tell whether all servers read this path in the same way: it holds no `%`, no `;` and no `\\`."""
    return not _ODD.search(path)


def _decoded(path: bytes) -> bytes:
    """Decode a path once."""
    if b"%" in path:
        path = unquote_to_bytes(_UNICODE.sub(_character, path))
    if path.isascii():
        return path.lower()
    path = _OVERLONG.sub(_shortest, path)
    text = path.decode("utf-8", "surrogateescape")
    # Character by character, to take linear time. upper() first, because Java ignores case by upper case.
    text = "".join([normalize("NFKC", each) for each in text]).upper().lower().replace("\u0307", "")
    return text.encode("utf-8", "surrogateescape")


def _character(match: re.Match[bytes]) -> bytes:
    return chr(int(match[1], 16)).encode("utf-8", "surrogatepass")


def _shortest(match: re.Match[bytes]) -> bytes:
    first, last = match[0][-2:]
    return bytes([(first & 1) << 6 | last & 0x3F])
