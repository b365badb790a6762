"""Keeps the cookies and the CSRF token of a session, and makes the fields to send. Pure.

Domain, path and flags of cookies are ignored, because a jar holds the cookies of one server from one login,
and is sent only to that server. Names and values are bytes, names of fields in lower case.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from re import compile as pattern

from proxy.credentials.credential import Credential, Fields
from proxy.credentials.reply import unix_time
from proxy.terms import CSRF_NAMES

LARGEST = 8192
"""Most bytes of all cookies. Tomcat refuses a larger head (400, observed on 8.6.0)."""

_TOKEN = pattern(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2
_CONTROL = pattern(rb"[\x00-\x1f\x7f]")
_SECONDS = pattern(rb"-?[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class Jar:
    """Cookies by name, and the CSRF header to send: its name and value; None: the server gave none."""

    cookies: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)
    csrf: tuple[bytes, bytes] | None = field(default=None, repr=False)

    @property
    def session(self) -> bool:
        """Whether there is a cookie other than a CSRF cookie; it is the session's, under any name."""
        return any(name.lower() not in CSRF_NAMES for name, _ in self.cookies)

    @property
    def fields(self) -> Fields:
        """Fields to inject."""
        cookies = b"; ".join(name + b"=" + value for name, value in self.cookies)
        shown = ((b"Cookie", cookies),) if cookies else ()
        return shown if self.csrf is None else (*shown, self.csrf)

    def after(self, answer: Iterable[tuple[bytes, bytes]], wall: float) -> "Jar":
        """Return the jar after an answer with these fields; `wall` in seconds since 1970.

        Set-Cookie lines are applied in their order, because 8.6.0 deletes a name and sets it in one answer.
        Invalid cookies, cookies with control characters and cookies beyond the limit are left out.
        """
        cookies, csrf = dict(self.cookies), self.csrf
        for name, value in answer:
            if name == b"set-cookie":
                _take(cookies, value, wall)
            elif name in CSRF_NAMES and value and not _CONTROL.search(value) and len(value) <= LARGEST:
                csrf = (name.upper(), value)
        return Jar(tuple(cookies.items()), csrf)


def note_session_fields(
    used: Credential, answer: Sequence[tuple[bytes, bytes]], wall: float
) -> Credential | None:
    """Return the session after an answer to one of its requests; None: it has not changed.

    Only CSRF cookies and cookies that the login set count. A CSRF header counts only together with one of
    them, because 8.6.0 sends another masked value with every answer, and all of these values stay valid.
    """
    if not any(name == b"set-cookie" for name, _ in answer):
        return None
    before = jar_of(used.fields)
    known = CSRF_NAMES.union(name.lower() for name, _ in before.cookies)
    after = before.after(answer, wall)
    after = replace(after, cookies=tuple(each for each in after.cookies if each[0].lower() in known))
    if after.cookies == before.cookies or not after.session:
        return None
    return replace(used, fields=after.fields)


def same_session(one: Fields, other: Fields) -> bool:
    """Tell whether both send the same cookie other than a CSRF cookie; to the server they are one session."""
    shown = set(jar_of(one).cookies) & set(jar_of(other).cookies)
    return any(name.lower() not in CSRF_NAMES for name, _ in shown)


def jar_of(fields: Fields) -> Jar:
    """Return the jar that has these fields."""
    jar = Jar()
    for name, value in fields:
        if name == b"Cookie":
            pairs = (pair.partition(b"=") for pair in value.split(b"; "))
            jar = replace(jar, cookies=tuple((cookie, shown) for cookie, _, shown in pairs))
        else:
            jar = replace(jar, csrf=(name, value))
    return jar


def _take(cookies: dict[bytes, bytes], line: bytes, wall: float) -> None:
    """Apply one Set-Cookie line (RFC 6265 section 5.2)."""
    pair, _, attributes = line.partition(b";")
    name, _, value = (part.strip(b" \t") for part in pair.partition(b"="))
    if not _TOKEN.fullmatch(name) or _CONTROL.search(value):
        return
    if not value or _is_over(attributes, wall):
        cookies.pop(name, None)
        return
    others = sum(len(known) + len(shown) + 3 for known, shown in cookies.items() if known != name)
    if others + len(name) + len(value) + 3 <= LARGEST:
        cookies[name] = value


def _is_over(attributes: bytes, wall: float) -> bool:
    """Tell whether a cookie with these attributes has expired; Max-Age wins over Expires."""
    known: dict[bytes, bytes] = {}
    for attribute in attributes.split(b";"):
        name, _, value = attribute.partition(b"=")
        known[name.strip(b" \t").lower()] = value.strip(b" \t")
    if _SECONDS.fullmatch(age := known.get(b"max-age", b"")):
        return int(age) <= 0
    ends = unix_time(known.get(b"expires", b"").decode("latin-1"))
    return ends is not None and ends <= wall
