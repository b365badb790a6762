"""Pure: answers OPTIONS requests that end here, without a credential and without the upstream."""

import re
from typing import Final

from proxy.errors import RequestRefused
from proxy.gateway.request_head import RequestHead

MAX_AGE: Final = 600
"""Seconds that a browser may cache a preflight; for so long it may miss a changed setting."""

VARY: Final = b"Vary: Origin\r\n"
"""Header line in every answer of a port that answers differently to some origins. Without it, a browser would
give its cached copy of another answer to their pages (Fetch standard, "CORS protocol and HTTP caches")."""

_METHOD: Final = b"access-control-request-method"
_HEADERS: Final = b"access-control-request-headers"
_PRIVATE: Final = b"access-control-request-private-network"
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}+"
_ONE = re.compile(_TOKEN)
_LIST = re.compile(_TOKEN + rb"(?:[ \t]*+,[ \t]*+" + _TOKEN + rb")*+")


def is_preflight(head: RequestHead) -> bool:
    """Tell whether it is a browser's preflight (Fetch standard, "CORS-preflight request")."""
    return head.method == b"OPTIONS" and any(name == _METHOD for name, _ in head.notable)


def ends_here(head: RequestHead) -> bool:
    """Tell whether it must be answered here and not forwarded (RFC 9110 sections 7.6.2 and 9.3.7)."""
    return head.method == b"OPTIONS" and (
        head.target == b"*"
        or any(name == b"max-forwards" and value and not value.strip(b"0") for name, value in head.notable)
    )


def readable_by(origin: bytes) -> bytes:
    """Return header lines that let the pages of an origin read an answer and its fields, ready to send."""
    return b"Access-Control-Allow-Origin: %b\r\nAccess-Control-Expose-Headers: *\r\n%b" % (origin, VARY)


def allowing(head: RequestHead) -> bytes:
    """Return header lines that answer the preflight of an allowed page: they allow exactly what it asks for.

    Raises:
        RequestRefused: `bad_request`, if it does not ask for one method and for names of fields.
    """
    methods, names, private = [
        [value for name, value in head.fields if name.lower() == wanted]
        for wanted in (_METHOD, _HEADERS, _PRIVATE)
    ]
    if len(methods) != 1 or not _ONE.fullmatch(methods[0]):
        raise RequestRefused("bad_request", "The preflight does not ask for one method.")
    if not all(_LIST.fullmatch(value) for value in names if value):
        raise RequestRefused("bad_request", "The preflight asks for fields with invalid names.")
    lines = [b"Access-Control-Allow-Methods: ", methods[0], b"\r\n"]
    if any(names):
        lines += (b"Access-Control-Allow-Headers: ", b", ".join(filter(None, names)), b"\r\n")
    if private == [b"true"]:  # asked by Chromium before it had Local Network Access
        lines.append(b"Access-Control-Allow-Private-Network: true\r\n")
    lines.append(b"Access-Control-Max-Age: %d\r\n" % MAX_AGE)
    return b"".join(lines)
