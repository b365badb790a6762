"""Asks the access rules of an upstream, and of a caller, whether a request may pass."""

import asyncio

from proxy.access.messages import LIMIT, refuse, too_large
from proxy.access.rules import MESSAGE, AccessRules, Refusal
from proxy.access.spelling import is_form, overrides
from proxy.clock import Clock, pause
from proxy.errors import RequestRefused
from proxy.gateway.call import Call
from proxy.gateway.request_head import RequestHead


async def permit(call: Call, clock: Clock, wait: float, *those: AccessRules) -> None:
    """Let the request pass, if all of these rules do. Reads the body only if it is a message that decides.

    Args:
        wait: most seconds for that body.

    Raises:
        RequestRefused: `not_permitted`, `ambiguous_request`; or the body is no valid one, or is late.
    """
    head = call.head
    deciding: list[AccessRules] = []
    for rules in those:
        refusal = rules.decide(head.method, head.target)
        if refusal is MESSAGE:
            deciding.append(rules)
        elif refusal is not None:
            raise _refused(refusal)
    _check_fields(head, those)
    if not deciding:
        return
    if head.length is not None and head.length > LIMIT:
        raise _refused(too_large(deciding[0]))
    body = await _message(call, clock, wait)
    for rules in deciding:
        refusal = too_large(rules) if body is None else refuse(rules, head.target, body, head.fields)
        if refusal is not None:
            raise _refused(refusal)


def _check_fields(head: RequestHead, those: tuple[AccessRules, ...]) -> None:
    """Refuse fields and forms that may replace the method or the path."""
    text = b"\n%b" % b"".join(head.plain).lower()
    if b"\nx" in text and any(overrides(line.partition(b":")[0]) for line in head.plain):
        raise _refused(those[0].unclear("a header field that may replace its method or its path"))
    # First what almost no request has, because looking at each field takes ten times as long
    if (b"form" in text or b"multipart" in text) and head.method.upper() == b"POST" and _has_form(head):
        for rules in those:
            refusal = rules.decide_form(head.target)
            if refusal is not None:
                raise _refused(refusal)


def _has_form(head: RequestHead) -> bool:
    return any(name.lower() == b"content-type" and is_form(value) for name, value in head.fields)


async def _message(call: Call, clock: Clock, wait: float) -> bytes | None:
    """Return all of the body before any of it is sent on; None: it has more than LIMIT bytes."""
    upload = call.upload
    if upload is None:
        return b""
    if not upload.ended:
        if any(name == b"expect" for name, _ in call.head.notable):
            raise RequestRefused(
                "unsupported",
                "The access rules read this body before the server is asked, so no 100 (Continue) can come. "
                "Send the request without Expect.",
                status=417,
            )
        collected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        upload.collect(collected, LIMIT)
        await pause(clock, wait, collected)
    if upload.fault is not None:
        raise upload.fault
    if not upload.ended and upload.size <= LIMIT:
        raise RequestRefused("request_timeout", "The request's body did not arrive in time.")
    return upload.whole if upload.size <= LIMIT else None


def _refused(refusal: Refusal) -> RequestRefused:
    return RequestRefused(refusal.code, refusal.detail, status=refusal.status)
