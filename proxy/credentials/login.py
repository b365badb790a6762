"""What a step of a login sends, and what its answer means: a table in code, from what servers answered.

Nothing here looks at version numbers. `login` is `POST /login` of 8.8 and later, before which the newest line
wants to be asked for a CSRF token; `api-login` is `POST /api/login` of 8.2 to 8.7. `auto` tries both in turn.
"""

from re import IGNORECASE
from re import compile as pattern
from typing import Final, Literal
from urllib.parse import urlencode

from proxy.credentials.cookies import Jar
from proxy.credentials.reply import Reply, invalid
from proxy.errors import CredentialRejected, CredentialUnavailable
from proxy.terms import CSRF_NAMES, Dialect, DialectChoice

Meaning = Literal["in", "csrf", "elsewhere"]
"""Logged in; a CSRF token was wanted; not the way to log in here."""

SERVER: Final = "the login server"
"""How messages name it."""

LOGIN: Final[dict[Dialect, str]] = {"login": "/login", "api-login": "/api/login"}
LOGOUT: Final[dict[Dialect, str]] = {"login": "/logout", "api-login": "/api/logout"}
CSRF_PROBE: Final = "/v2/topology"
"""Asked where a login brought no CSRF token. Any answer to a session brings one, on 8.6.0 a 404 as well."""

_SPEAKS = pattern(rb"csrf", IGNORECASE)


class NoLogin(CredentialUnavailable):
    """The server has no login that we know.

    Attributes:
        said: what each dialect was answered with, for people.
    """

    def __init__(self, answers: dict[Dialect, Reply]) -> None:
        self.said = ", ".join(
            f"POST {LOGIN[each]} answered {answer.status}" for each, answer in answers.items()
        )
        hint = "look at login_url and dialect"
        if any(_challenges(answer, "basic") for answer in answers.values()):
            hint = "the server asks for HTTP Basic, so type: basic is the way in"
        super().__init__(f"there is no login that we know ({self.said}); {hint}", outcome="invalid")


def order(choice: DialectChoice, worked: Dialect | None) -> tuple[Dialect, ...]:
    """Dialects to try; `worked` is that of the last login, which the server may have outgrown."""
    if choice != "auto":
        return (choice,)
    return ("api-login", "login") if worked == "api-login" else ("login", "api-login")


def form(username: str, password: str) -> bytes:
    """The body of a login.

    Raises:
        CredentialUnavailable: they cannot be written as UTF-8.
    """
    try:
        return urlencode({"username": username, "password": password}).encode("ascii")
    except UnicodeError:  # its text is what could not be written
        raise invalid("the user name or the password cannot be written as UTF-8") from None


def said(answer: Reply) -> tuple[tuple[bytes, bytes], ...]:
    """The fields of an answer that a jar listens to, as bytes."""
    return tuple(
        (name.encode("ascii"), value.encode("utf-8", "surrogateescape"))
        for name, value in answer.fields
        if name == "set-cookie" or name.encode("utf-8", "surrogateescape") in CSRF_NAMES
    )


def meaning(dialect: Dialect, answer: Reply, before: Jar, after: Jar, wall: float) -> Meaning:
    """What the answer to a login's POST means.

    Args:
        before, after: the jar that was shown, and what the answer made of it.
        wall: seconds since 1970.

    Raises:
        CredentialRejected: user name or password refused.
        CredentialUnavailable: limited, or broken.
    """
    status = answer.status
    if status == 429:
        wait = answer.retry_after(wall)
        raise CredentialUnavailable(f"{SERVER} limits us (429)", outcome="limited", retry_after=wait)
    if status >= 500:
        raise CredentialUnavailable(f"{SERVER} failed: {status}", retry_after=answer.retry_after(wall))
    if _media_type(answer) == "text/html":  # a page for people, a proxy's own: no login of ours says so
        return "elsewhere"
    if 200 <= status < 300:
        set_some = status == 204 or after.cookies != before.cookies
        return "in" if set_some and after.session else "elsewhere"
    if status not in (401, 403) or _challenges(answer, "basic"):  # Basic: 8.6.0 in its auth-basic profile
        return "elsewhere"
    if _csrf_wanted(answer, before, after):
        return "csrf"
    if status == 403:  # Operate 8.6.0 to POST /login, which it does not know: CSRF, unnamed
        return "elsewhere"
    if dialect == "api-login" and _media_type(answer) == "application/problem+json":
        return "elsewhere"  # 8.8 and later to any call of an API without a session
    raise CredentialRejected(f"{SERVER} refused the user name or the password ({status})")


def _csrf_wanted(answer: Reply, before: Jar, after: Jar) -> bool:
    """Whether a 401 or 403 is about CSRF: it says so, or gives a token where that must be the reason.

    A wrong password may be answered with a new token as well, where one was shown: that is no CSRF refusal.
    """
    if _SPEAKS.search(answer.body):
        return True
    return after.csrf != before.csrf and (before.csrf is None or answer.status == 403)


def _media_type(answer: Reply) -> str:
    return (answer.get("content-type") or "").partition(";")[0].strip().lower()


def _challenges(answer: Reply, scheme: str) -> bool:
    return any(
        name == "www-authenticate" and value.lstrip().lower().startswith(scheme)
        for name, value in answer.fields
    )
