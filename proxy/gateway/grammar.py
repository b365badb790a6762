"""Pure: defines the productions of RFC 9110 and 9112 that several readers here need, as parts of patterns.

Each deviation has its reason beside it. No group with alternatives has a possessive quantifier, because
Python 3.11.2 (Debian 12) matches such a group wrongly. The alternatives exclude each other, so that matching
takes linear time without it.
"""

from typing import Final

Field = tuple[bytes, bytes]
"""Name and value of a header field."""

TCHAR: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
"""`tchar = "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "." / "^" / "_" / "`" / "|" / "~" / DIGIT /
ALPHA` (RFC 9110 section 5.6.2)."""

TOKEN: Final = TCHAR + rb"++"
"""`token = 1*tchar` (RFC 9110 section 5.6.2)."""

TEXT: Final = rb"[\t\x20-\x7e\x80-\xff]"
"""`field-vchar / SP / HTAB`, with `field-vchar = VCHAR / obs-text` (RFC 9110 section 5.5). White space at the
ends is not part of the value; readers strip it."""

FIELD_LINE: Final = TOKEN + rb":" + TEXT + rb"*+\r\n"
"""`field-line = field-name ":" OWS field-value OWS` (RFC 9112 section 5), with its CRLF. No `obs-fold`:
section 5.2 lets a server refuse it."""

QUOTED: Final = rb'"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"'
"""`quoted-string = DQUOTE *( qdtext / quoted-pair ) DQUOTE` (RFC 9110 section 5.6.4)."""

CHUNK_EXTENSION: Final = (
    rb"[ \t]*+;[ \t]*+" + TOKEN + rb"(?:[ \t]*+=[ \t]*+(?:" + TOKEN + rb"|" + QUOTED + rb"))?"
)
"""`BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ]` (RFC 9112 section 7.1.1)."""


def persistence(minor: int, *, keep_alive: bool) -> bytes:
    """Make the Connection field of an answer (RFC 9112 section 9.3).

    Args:
        minor: the caller's HTTP/1 minor version; with 0, a kept connection needs the field.
    """
    if keep_alive:
        return b"" if minor else b"Connection: keep-alive\r\n"
    return b"Connection: close\r\n"
