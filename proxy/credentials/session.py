"""Gets sessions by logging in: a cookie and a CSRF token for every request.

`login` decides what the server's answers mean, `cookies` keeps what they set, `LoginSource` sends requests.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from proxy.clock import Clock, wall_time
from proxy.credentials import cookies
from proxy.credentials.cookies import Jar
from proxy.credentials.credential import Credential
from proxy.credentials.login import (
    CSRF_PROBE,
    LOGIN,
    LOGOUT,
    SERVER,
    NoLogin,
    form,
    meaning,
    order,
    said,
)
from proxy.credentials.outbound import Outbound
from proxy.credentials.reply import Reply
from proxy.credentials.schedule import Policy
from proxy.credentials.secret import Secret
from proxy.errors import CredentialUnavailable
from proxy.terms import Dialect, DialectChoice

MAX_IDLE = 1500.0
"""Seconds. Camunda ends a session after 1800 seconds without use."""

FAREWELL = 1.0
"""Most seconds of a logout."""


def pace(max_idle: float = MAX_IDLE) -> Policy:
    """Return the policy of sessions: no refresh ahead, because use extends a session.

    A refused password is tried at most 6 times an hour, so that no account is locked: three times soon,
    because the users of a new server may not have been created yet, then each 10 minutes.

    Args:
        max_idle: seconds.
    """
    return Policy(
        refused_min=600.0,
        refused_max=600.0,
        refused_early=(5.0, 10.0, 20.0),
        refused_per_hour=6,
        max_idle=max_idle,
    )


@dataclass(frozen=True, slots=True)
class LoginSettings:
    """Server and user of a login.

    Attributes:
        base_url: without a trailing slash; the path of a login is appended.
        timeout: seconds for each step of a login.
        section: the setting that holds user name and password, for messages: `credentials.demo`.
    """

    base_url: str
    username: str
    password: Secret
    dialect: DialectChoice = "auto"
    timeout: float = 30.0
    section: str = field(default="", compare=False)


class LoginSource:
    """Logs in.

    Args:
        outbound: the HTTP client; not closed here.
        wall: returns seconds since 1970.
    """

    def __init__(
        self,
        settings: LoginSettings,
        outbound: Outbound,
        clock: Clock,
        *,
        wall: Callable[[], float] = wall_time,
    ) -> None:
        self._settings = settings
        self._outbound = outbound
        self._clock = clock
        self._wall = wall
        self._worked: Dialect | None = None

    async def fetch(self) -> Credential:
        """Log in and return a new session, as `CredentialSource.fetch` does.

        Raises:
            NoLogin: in addition to the errors named there.
        """
        body = form(self._settings.username, self._settings.password.read())
        fetched_at = self._clock.now()
        answers: dict[Dialect, Reply] = {}
        for dialect in order(self._settings.dialect, self._worked):
            jar, answer = await self._log_in(dialect, body)
            if jar is not None:
                self._worked = dialect
                jar = await self._with_csrf(jar)
                return Credential(jar.fields, fetched_at, session=True)
            answers[dialect] = answer
        raise NoLogin(answers, self._outbound.peer(SERVER, self._settings.base_url))

    def note_session_fields(
        self, used: Credential, fields: Sequence[tuple[bytes, bytes]]
    ) -> Credential | None:
        """Do as `Sessions.note_session_fields` says."""
        return cookies.note_session_fields(used, fields, self._wall())

    async def leave(self, session: Credential) -> None:
        """Do as `Sessions.leave` says."""
        path = LOGOUT[self._worked or order(self._settings.dialect, None)[0]]
        with suppress(CredentialUnavailable):
            timeout = min(FAREWELL, self._settings.timeout)
            await self._send("POST", path, cookies.jar_of(session.fields), timeout=timeout)

    async def _log_in(self, dialect: Dialect, body: bytes) -> tuple[Jar | None, Reply]:
        """Log in with an empty jar; None: the server does not have this dialect."""
        jar = Jar()
        if dialect == "login":  # the newest versions want a CSRF token at the login, others ignore it
            asked = await self._send("GET", LOGIN[dialect], jar)
            jar = jar.after(said(asked), self._wall())
        for once_more in (True, False):
            answer = await self._send("POST", LOGIN[dialect], jar, body)
            after = jar.after(said(answer), self._wall())
            peer = self._outbound.peer(SERVER, self._settings.base_url)
            means = meaning(dialect, answer, jar, after, self._wall(), peer, self._settings.section)
            if means == "in":
                return after, answer
            if means == "csrf" and once_more and after.csrf != jar.csrf:
                jar = after
            else:
                break
        return None, answer

    async def _with_csrf(self, jar: Jar) -> Jar:
        """Add a CSRF token to the jar if the server has one; some servers set it only on a call of an API."""
        if jar.csrf is not None:
            return jar
        after = jar.after(said(await self._send("GET", CSRF_PROBE, jar)), self._wall())
        return after if after.session else jar

    async def _send(
        self,
        method: str,
        path: str,
        jar: Jar,
        body: bytes | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 -- handed on
    ) -> Reply:
        headers = {
            name.decode("latin-1"): value.decode("utf-8", "surrogateescape") for name, value in jar.fields
        }
        headers["Accept"] = "application/json"
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        return await self._outbound.send(
            method,
            self._settings.base_url + path,
            to=SERVER,
            headers=headers,
            timeout=timeout or self._settings.timeout,
            body=body,
        )
