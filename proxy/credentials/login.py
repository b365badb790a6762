"""Makes the requests of a login, and decides what each answer means, by rules from real servers' answers.

No rule depends on a version number. `login` is `POST /login` of 8.8 and later; the newest versions want a GET
for a CSRF token before it. `api-login` is `POST /api/login` of 8.2 to 8.7. `auto` tries both in turn.
"""

from re import IGNORECASE
from re import compile as pattern
from typing import Final, Literal
from urllib.parse import urlencode

from proxy.credentials.cookies import Jar
from proxy.credentials.reply import Reply, invalid
from proxy.errors import CredentialRejected, CredentialUnavailable
from proxy.outgoing.answer_causes import speaks_tls
from proxy.outgoing.causes import CauseName, Peer, cause
from proxy.terms import CSRF_NAMES, Dialect, DialectChoice

Meaning = Literal["in", "csrf", "elsewhere"]
"""`in`: logged in; `csrf`: the server wants a CSRF token; `elsewhere`: the server has no such login."""

SERVER: Final = "the login server"
"""Its name in messages."""

LOGIN: Final[dict[Dialect, str]] = {"login": "/login", "api-login": "/api/login"}
LOGOUT: Final[dict[Dialect, str]] = {"login": "/logout", "api-login": "/api/logout"}
CSRF_PROBE: Final = "/v2/topology"
"""Requested after a login that returned no CSRF token. With a session every response has one, on 8.6.0 even a
404."""

_SPEAKS = pattern(rb"csrf", IGNORECASE)


class NoLogin(CredentialUnavailable):
    """The server has no login that we know.

    Attributes:
        said: the answer to each dialect, for people.
    """

    def __init__(self, answers: dict[Dialect, Reply], peer: Peer = Peer(SERVER)) -> None:  # noqa: B008
        self.said = ", ".join(
            f"POST {LOGIN[each]} answered {answer.status}" for each, answer in answers.items()
        )
        name: CauseName = "no_login"
        if any(_challenges(answer, "basic") for answer in answers.values()):
            name = "basic_wanted"
        elif any(speaks_tls(answer.status, answer.body) for answer in answers.values()):
            name = "plain_to_tls"
        elif answers and all(answer.status == 404 for answer in answers.values()):
            name = "no_login_404"
        super().__init__(f"{peer}: {cause(name, peer, said=self.said).words}", outcome="invalid")


def order(choice: DialectChoice, worked: Dialect | None) -> tuple[Dialect, ...]:
    """Return the dialects to try. `worked` is that of the last login; an upgraded server may have another."""
    if choice != "auto":
        return (choice,)
    return ("api-login", "login") if worked == "api-login" else ("login", "api-login")


def form(username: str, password: str) -> bytes:
    """Make the body of a login.

    Raises:
        CredentialUnavailable: user name or password cannot be written as UTF-8.
    """
    try:
        return urlencode({"username": username, "password": password}).encode("ascii")
    except UnicodeError:  # not chained, because its message holds the text
        raise invalid("the user name or the password cannot be written as UTF-8") from None


def said(answer: Reply) -> tuple[tuple[bytes, bytes], ...]:
    """Return the fields of an answer that can change a jar, as bytes."""
    return tuple(
        (name.encode("ascii"), value.encode("utf-8", "surrogateescape"))
        for name, value in answer.fields
        if name == "set-cookie" or name.encode("utf-8", "surrogateescape") in CSRF_NAMES
    )


def meaning(
    dialect: Dialect,
    answer: Reply,
    before: Jar,
    after: Jar,
    wall: float,
    peer: Peer = Peer(SERVER),  # noqa: B008 -- a value
    section: str = "",
) -> Meaning:
    """Decide what the answer to a login's POST means.

    Args:
        before, after: the jar that was sent, and the jar after the answer.
        wall: seconds since 1970.
        peer: the server, as messages name it.
        section: the setting that holds user name and password: `credentials.demo`.

    Raises:
        CredentialRejected: the server refused the user name or the password.
        CredentialUnavailable: the server limits us, or is broken.
    """
    status = answer.status
    if status == 429:
        wait = answer.retry_after(wall)
        text = f"{peer}: {cause('login_limited', peer).words}"
        raise CredentialUnavailable(text, outcome="limited", retry_after=wait)
    if status >= 500:
        text = f"{peer}: {cause('login_failed', peer, status=status).words}"
        raise CredentialUnavailable(text, retry_after=answer.retry_after(wall))
    if answer.media_type == "text/html":  # a page for people, or of a proxy; no known login sends HTML
        return "elsewhere"
    if 200 <= status < 300:
        set_some = status == 204 or after.cookies != before.cookies
        return "in" if set_some and after.session else "elsewhere"
    if status not in (401, 403) or _challenges(answer, "basic"):  # Basic: 8.6.0 in its auth-basic profile
        return "elsewhere"
    if _csrf_wanted(answer, before, after):
        return "csrf"
    if status == 403:  # Operate 8.6.0 does not know POST /login, and refuses it for CSRF without saying so
        return "elsewhere"
    if dialect == "api-login" and answer.media_type == "application/problem+json":
        return "elsewhere"  # 8.8 and later answer so to any call of an API without a session
    whose = peer._replace(section=section)
    raise CredentialRejected(f"{peer}: {cause('login_refused', whose, status=status).words}")


def _csrf_wanted(answer: Reply, before: Jar, after: Jar) -> bool:
    """Tell whether a 401 or 403 is about CSRF: it says so, or it sets a token and that must be the reason.

    If we sent a token, the answer to a wrong password may set a new one too. That is no CSRF refusal.
    """
    if _SPEAKS.search(answer.body):
        return True
    return after.csrf != before.csrf and (before.csrf is None or answer.status == 403)


def _challenges(answer: Reply, scheme: str) -> bool:
    return any(
        name == "www-authenticate" and value.lstrip().lower().startswith(scheme)
        for name, value in answer.fields
    )
