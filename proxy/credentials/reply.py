"""Reads answers of token endpoints, issuers and login servers, strictly: pure functions.

No text of an answer becomes part of a message here.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from re import compile as pattern
from typing import Any, NoReturn

from proxy.errors import CredentialUnavailable

LARGEST_ANSWER = 1 << 20
"""Most bytes of a body. One byte more is read, to recognise a larger body."""

_SECONDS = pattern(r"[0-9]{1,15}")
_DATE = pattern(r"[ -~]{1,64}")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of any status; redirects too.

    Attributes:
        body: at most one byte more than LARGEST_ANSWER.
        fields: header fields in their order, names in lower case.
    """

    status: int
    body: bytes = field(repr=False)
    fields: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def get(self, name: str) -> str | None:
        """Return the first field of this name, which is in lower case; None: absent."""
        return next((value for known, value in self.fields if known == name), None)

    @property
    def media_type(self) -> str:
        """Of the Content-Type, in lower case, without parameters; empty: there is none."""
        return (self.get("content-type") or "").partition(";")[0].strip().lower()

    def retry_after(self, wall: float) -> float | None:
        """Return the seconds to wait by Retry-After (RFC 9110 section 10.2.3); None: there is no valid one.

        Args:
            wall: seconds since 1970; used if Retry-After is a date and there is no Date field. The Date field
                is preferred, so that a wrong clock on either side does not matter.
        """
        value, date = self.get("retry-after"), self.get("date")
        if value is None:
            return None
        value = value.strip(" \t")  # only these, because str.strip() also strips 1C to 1F
        if _SECONDS.fullmatch(value):
            return float(value)
        until = unix_time(value)
        if until is None:
            return None
        sent = unix_time(date) if date is not None else None
        return max(until - (wall if sent is None else sent), 0.0)


def json_object(answer: Reply, whose: str, *, typed: bool = True) -> dict[str, Any]:
    """Parse the body, which has to be a JSON object.

    Args:
        whose: name of the server in messages: `the token endpoint`.
        typed: whether the Content-Type must not call it anything else.

    Raises:
        CredentialUnavailable: the body is no JSON object.
    """
    if len(answer.body) > LARGEST_ANSWER:
        raise invalid(f"{whose}: its answer is larger than 1 MiB")
    content_type = answer.get("content-type")
    if typed and content_type is not None and not _is_json(content_type):
        raise invalid(f"{whose}: its answer is not JSON by its Content-Type; is this the right URL?")
    try:
        document = strict_json(answer.body)
    except (ValueError, RecursionError):
        raise invalid(f"{whose}: its answer is not JSON; is this the right URL?") from None
    if not isinstance(document, dict):
        raise invalid(f"{whose}: its answer is not a JSON object; is this the right URL?")
    return document


def strict_json(data: bytes) -> Any:
    """Parse JSON in UTF-8, without NaN and without repeated keys.

    Raises:
        ValueError, RecursionError
    """
    return json.loads(data.decode(), parse_constant=_refuse, object_pairs_hook=_no_key_twice)


def unix_time(date: str) -> float | None:
    """Return the seconds since 1970 of an HTTP date (RFC 9110 section 5.6.7); None: it is no date.

    A date without a zone is in GMT, as the asctime form always is.
    """
    date = date.strip(" \t")
    if not _DATE.fullmatch(date):
        return None
    try:
        moment = parsedate_to_datetime(date)
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, LookupError):
        return None


def invalid(message: str, wait: float | None = None) -> CredentialUnavailable:
    """Make the error for an answer that makes no sense; `wait` in seconds."""
    return CredentialUnavailable(message, outcome="invalid", retry_after=wait)


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type in ("application/json", "text/json") or media_type.endswith("+json")


def _refuse(constant: str) -> NoReturn:
    raise ValueError("not JSON")


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a key twice")
    return members
