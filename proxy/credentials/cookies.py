"""A session's cookies and its CSRF token: what a server set, and what it is shown. Pure.

No domain, path or flag is looked at: a jar holds what one server set in one login, and is shown to that
server alone. Names and values are bytes, names of fields in lower case.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from re import compile as pattern

from proxy.credentials.credential import Credential, Fields
from proxy.credentials.reply import unix_time
from proxy.terms import CSRF_NAMES

LARGEST = 8192
"""Bytes of all cookies. Tomcat refuses a head that is larger (400, observed on 8.6.0)."""

_TOKEN = pattern(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2
_CONTROL = pattern(rb"[\x00-\x1f\x7f]")
_SECONDS = pattern(rb"-?[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class Jar:
    """Cookies by name, and the CSRF header to show: its name and value; None: none was given."""

    cookies: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)
    csrf: tuple[bytes, bytes] | None = field(default=None, repr=False)

    @property
    def session(self) -> bool:
        """Whether there is more than a CSRF cookie: then that is a session's, under whatever name."""
        return any(name.lower() not in CSRF_NAMES for name, _ in self.cookies)

    @property
    def fields(self) -> Fields:
        """What to stamp."""
        cookies = b"; ".join(name + b"=" + value for name, value in self.cookies)
        shown = ((b"Cookie", cookies),) if cookies else ()
        return shown if self.csrf is None else (*shown, self.csrf)

    def after(self, answer: Iterable[tuple[bytes, bytes]], wall: float) -> "Jar":
        """The jar after an answer with these fields; `wall` in seconds since 1970.

        Set-Cookie lines are taken in their order: 8.6.0 deletes a name and sets it in one answer. What is
        no cookie, has control characters, or is too much is left out.
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
    """The session after an answer to one of its requests; None: the same.

    Only cookies that the login set and CSRF cookies count, and a CSRF header only with one of them: 8.6.0
    sends another masked value with every answer, and all of them stay good.
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
    """Whether both show a cookie that is not CSRF's alike: to the server they are one session, then."""
    shown = set(jar_of(one).cookies) & set(jar_of(other).cookies)
    return any(name.lower() not in CSRF_NAMES for name, _ in shown)


def jar_of(fields: Fields) -> Jar:
    """The jar that stamps these."""
    jar = Jar()
    for name, value in fields:
        if name == b"Cookie":
            pairs = (pair.partition(b"=") for pair in value.split(b"; "))
            jar = replace(jar, cookies=tuple((cookie, shown) for cookie, _, shown in pairs))
        else:
            jar = replace(jar, csrf=(name, value))
    return jar


def _take(cookies: dict[bytes, bytes], line: bytes, wall: float) -> None:
    """One Set-Cookie line (RFC 6265 section 5.2)."""
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
    """Whether a cookie with these attributes has ended; Max-Age comes before Expires."""
    known: dict[bytes, bytes] = {}
    for attribute in attributes.split(b";"):
        name, _, value = attribute.partition(b"=")
        known[name.strip(b" \t").lower()] = value.strip(b" \t")
    if _SECONDS.fullmatch(age := known.get(b"max-age", b"")):
        return int(age) <= 0
    ends = unix_time(known.get(b"expires", b"").decode("latin-1"))
    return ends is not None and ends <= wall
