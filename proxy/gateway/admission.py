"""Pure: finds out which caller a request comes from, by its token or by its connection."""

from base64 import b64decode
from typing import Final

from proxy.errors import RequestRefused
from proxy.gateway.callers import Admission, Caller, Callers
from proxy.gateway.request_head import RequestHead
from proxy.terms import CALLER_TOKEN_PREFIX

_PREFIX: Final = CALLER_TOKEN_PREFIX.encode()
_SEND: Final = "Send it in X-Proxy-Token, or in Authorization as Bearer token or as password of Basic."


def identified(
    head: RequestHead, callers: Callers, now: float, *, anonymous: str = "", identities: tuple[str, ...] = ()
) -> tuple[RequestHead, Caller, Admission]:
    """Return the request without its token in Authorization, and its caller; works for all bytes.

    Args:
        now: seconds on the Clock.
        anonymous: name of the caller that requests without a token come from; empty: they are refused.
        identities: names in the caller's verified certificate.

    Raises:
        RequestRefused: `caller_unknown`.
    """
    found: dict[str, tuple[Caller, Admission]] = {}
    ours: set[int] = set()
    tried = False
    for place, (name, value) in enumerate(head.notable):
        if name not in (b"x-proxy-token", b"authorization"):
            continue
        token = _shown(name, value)
        known = callers.by_token(token, now) if token else None
        if known is not None:
            caller, digest = known
            found[caller.name] = caller, Admission(caller.name, digest)
        if name == b"x-proxy-token":  # never forwarded, so it need not be removed
            tried = True
        elif known is not None or token.startswith(_PREFIX):
            tried = True
            ours.add(place)
    for identity in identities:
        proven = callers.by_identity(identity)
        if proven is not None:
            found.setdefault(proven.name, (proven, Admission(proven.name, identity=identity)))
    if not found and anonymous and not tried:
        caller_of_all = callers.by_name(anonymous)
        if caller_of_all is not None:
            found[anonymous] = caller_of_all, Admission(anonymous, anonymous=True)
    if len(found) != 1:
        raise RequestRefused("caller_unknown", _why(callers, tried=tried, several=len(found) > 1))
    ((caller, admission),) = found.values()
    if not ours:
        return head, caller, admission
    # If nothing is injected, the caller's own Authorization is forwarded, but not one with our token.
    return head.without(ours), caller, admission


def _why(callers: Callers, *, tried: bool, several: bool) -> str:
    if several:
        return "The request proves to be two callers at once. Send the token of one of them."
    if not callers.named:
        return f"This port needs the caller token (guard.caller_token). {_SEND}"
    if tried:
        return (
            "No caller has the token that the request shows: it may have been replaced or removed. The "
            f"operator of the proxy gives out tokens (callers). {_SEND}"
        )
    return f"This port needs the token of a caller (callers). {_SEND}"


def _shown(name: bytes, value: bytes) -> bytes:
    """Return the token in a field."""
    if name == b"x-proxy-token":
        return value
    scheme, _, rest = value.partition(b" ")
    rest = rest.strip(b" ")
    match scheme.lower():
        case b"bearer":
            return rest
        case b"basic":
            try:
                return b64decode(rest, validate=True).partition(b":")[2]
            except ValueError:
                return b""
    return b""
