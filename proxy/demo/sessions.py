"""Simulates cookie sessions: logins, idle time-outs, CSRF pairs. `dialects.py` has the differences by
version.

It is stricter than any server: it complains of cookies and CSRF headers that it never issued, of a password
in a query (because access logs would hold it), of logins that end a session still in use, and of a caller's
own logins and logouts under the proxy's session, in any spelling of their path.
"""

import asyncio
import secrets
from collections import Counter
from dataclasses import dataclass, field

from aiohttp import web

from proxy.demo.csrf import ATTRIBUTES, Fields, Pairs, cookies
from proxy.demo.dialects import Dialect, html
from proxy.demo.gate import Basic
from proxy.demo.mint import Reason
from proxy.demo.world import LoginFault, World

SAFE = frozenset(("GET", "HEAD", "TRACE", "OPTIONS"))
API_PATHS = ("/api/", "/v1/", "/v2/", "/mcp/")
CSRF_HEADERS = frozenset(("X-CSRF-TOKEN", "OPERATE-X-CSRF-TOKEN", "TASKLIST-X-CSRF-TOKEN"))
WRONG_AN_HOUR = 6
"""Most wrong passwords within an hour; one more causes a complaint. Camunda has no such rule."""


@dataclass(slots=True)
class Login:
    """One request to log in.

    Attributes:
        at: seconds on the Clock, when it arrived.
        outcome: `pending`, `gone` (the caller went), `ok`, `wrong` (password), `csrf`, or the value of a
            LoginFault.
    """

    at: float
    outcome: str = "pending"


@dataclass(frozen=True, slots=True)
class Admission:
    """The decision about a request. Either `answer` refuses it, perhaps for `reason`, or the request goes on,
    and its answer gets `fields`."""

    answer: web.StreamResponse | None = None
    reason: Reason | None = None
    fields: tuple[tuple[str, str], ...] = field(default=(), repr=False)


class Sessions:
    """Attributes:
    dialect: the version that it simulates.
    pairs: of CSRF cookies and headers; None: this version has none.
    fault: what the login does instead of its work; None: it works.
    dies_after: number of further accepted calls until every session ends; None: sessions do not end so.
    logins: every request to log in, first one first.
    logouts: number of sessions that ended by a logout.
    let_in: accepted API calls, by `session` or `basic`.

    Args:
        path: of its cookies; a physical tenant's own (8.10).
    """

    def __init__(self, name: str, world: World, dialect: Dialect, user: Basic, path: str = "/") -> None:
        self.name = name
        self.dialect = dialect
        self._attributes = ATTRIBUTES.replace("Path=/", f"Path={path}")
        self.pairs = None if dialect.csrf is None else Pairs(dialect.csrf, self._attributes)
        self.fault: LoginFault | None = None
        self.dies_after: int | None = None
        self.logins: list[Login] = []
        self.logouts = 0
        self.let_in: Counter[str] = Counter()
        self._world = world
        self._user = user
        self._used_at: dict[str, float] = {}
        self._given: set[str] = set()

    # -- switches and books --

    def kill(self) -> None:
        """End every session; CSRF pairs stay valid, as on 8.6 after a restart (observed)."""
        self._used_at.clear()

    def restart(self) -> None:
        """End every session and every CSRF pair, which is stricter than 8.6."""
        self.kill()
        self.spoil_csrf()

    def spoil_csrf(self) -> None:
        """End every CSRF pair, but no session."""
        if self.pairs is not None:
            self.pairs.spoil()

    @property
    def live(self) -> int:
        """Number of sessions that have not idled out."""
        return sum(self._lives(session) for session in self._used_at)

    def count(self, outcome: str) -> int:
        """Count the logins with this outcome."""
        return sum(login.outcome == outcome for login in self.logins)

    # -- one request --

    def complaint(self, request: web.BaseRequest) -> str | None:
        """Name something in the request that no proxy may send; None: there is nothing."""
        if request.path == "/elsewhere":
            return "a redirect was followed"
        if len(request.headers.getall("Cookie", [])) > 1:
            return "more than one Cookie"  # RFC 6265 section 5.4
        shown = cookies(request)
        if len(dict(shown)) != len(shown):
            return "a cookie twice"
        if not all(self._gave(name, value) for name, value in shown):
            return "a Cookie that is the caller's"
        scheme = request.headers.get("Authorization", "").partition(" ")[0].lower()
        if scheme == "bearer" and self.dialect.cookie in dict(shown):
            return "a Bearer beside a session"
        if scheme == "basic" and not shown:
            return None  # a CSRF header without a session means nothing
        return self._complaint_of_csrf(request)

    def _complaint_of_csrf(self, request: web.BaseRequest) -> str | None:
        for name in CSRF_HEADERS:
            values = request.headers.getall(name, [])
            if len(values) > 1:
                return "a CSRF header twice"
            ours = self.pairs is not None and name == self.dialect.csrf and all(map(self.pairs.known, values))
            if values and not ours:
                return "a CSRF header that is the caller's"
        return None

    def _gave(self, name: str, value: str) -> bool:
        if name == self.dialect.cookie:
            return value in self._given
        return self.pairs is not None and name == self.dialect.csrf and self.pairs.known(value)

    async def admit(self, request: web.BaseRequest, path: str) -> Admission:
        """Decide about one request; it may also log in or out.

        Args:
            path: as the server reads it.
        """
        dialect = self.dialect
        forwarded = "Via" in request.headers and dialect.cookie in dict(cookies(request))
        if forwarded and path.rstrip("/") in (dialect.login, dialect.logout):
            self._complain("a caller's login or logout under the proxy's session")
        if request.method == "POST" and path == dialect.login:
            return Admission(await self._log_in(request))
        if request.method == "POST" and path == dialect.logout:
            return Admission(self._log_out(request))
        session = self._session(request)
        if self._wants_csrf(request, session) and not self._paired(request):
            answer = dialect.forged(request)
            if self.pairs is not None:
                answer.headers.extend(self.pairs.new_cookie(request))  # observed; Spring Security 6.3 to 7.1
            return Admission(answer, "csrf")
        if not path.startswith(API_PATHS) or path == dialect.login:
            answer = dialect.page(request)
            public = dialect.login_wants_csrf and path == dialect.login
            if public or session is not None:
                answer.headers.extend(self._token(request))
            return Admission(answer)
        authorization = request.headers.get("Authorization")
        by_basic = dialect.basic and authorization is not None
        reason: Reason | None = None
        if by_basic:
            reason = self._user.judge(authorization)
        elif session is None:
            reason = "session"
        if reason is not None:
            answer = dialect.stranger(request)
            answer.headers.extend(self._greeting(request))
            return Admission(answer, reason)
        self.let_in["basic" if by_basic else "session"] += 1
        if self.dies_after is not None:
            self.dies_after -= 1
            if self.dies_after == 0:
                self.dies_after = None
                self.kill()
        return Admission(fields=tuple(self._token(request)))

    # -- login and logout --

    async def _log_in(self, request: web.BaseRequest) -> web.StreamResponse:
        now = self._world.clock.now()
        if self.logins and now - self.logins[-1].at < self._world.rules.login_gap:
            self._complain("a login too soon after another")
        login = Login(now)
        self.logins.append(login)
        self._world.news.tell()
        try:
            if self.fault in INSTEAD or self.fault in (LoginFault.HANG, LoginFault.RESET):
                return await self._instead(request, self.fault, login)
            return await self._judged(request, login)
        finally:
            if login.outcome == "pending":
                login.outcome = "gone"

    async def _judged(self, request: web.BaseRequest, login: Login) -> web.Response:
        if self.dialect.login_wants_csrf and not self._paired(request):
            login.outcome = "csrf"
            answer = self.dialect.forged(request)
            if self.pairs is not None:
                answer.headers.extend(self.pairs.new_cookie(request))
            return answer
        if "password" in request.query:
            self._complain("a password in the query")
        shown = {**request.query, **await request.post()}  # form, multipart or query (observed)
        if (shown.get("username"), shown.get("password")) != (self._user.username, self._user.password):
            login.outcome = "wrong"
            hour = [each for each in self.logins if each.outcome == "wrong" and login.at - each.at < 3600]
            if len(hour) > WRONG_AN_HOUR:
                self._complain(f"more than {WRONG_AN_HOUR} wrong passwords an hour")
            return self.dialect.stranger(request)
        login.outcome = "ok" if self.fault is None else self.fault.value
        return self._opened(request)

    def _opened(self, request: web.BaseRequest) -> web.Response:
        before = self._session(request)
        if before is not None:
            # Observed: the old session ends at once, and running requests with it fail.
            self._complain("a login that ends a live session")
            del self._used_at[before]
        answer = web.Response(status=204)
        if self.fault is LoginFault.NO_COOKIE:
            return answer
        session = secrets.token_hex(16)
        if self.fault is None:
            self._used_at[session] = self._world.clock.now()
        answer.headers.add("Set-Cookie", self._give(session))
        if self.pairs is None:
            return answer
        if self.pairs.name in dict(cookies(request)):
            # Deleted and then set in one answer (observed).
            answer.headers.add("Set-Cookie", f"{self.pairs.name}=; {self.dialect.gone}; {self._attributes}")
        if self.dialect.login_brings_csrf:
            answer.headers.extend(self.pairs.fresh())
        return answer

    async def _instead(
        self, request: web.BaseRequest, fault: LoginFault | None, login: Login
    ) -> web.StreamResponse:
        assert fault is not None  # noqa: S101
        if fault is LoginFault.HANG:
            await asyncio.Event().wait()
        login.outcome = fault.value
        if fault is LoginFault.RESET:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        if fault is LoginFault.HTML:
            return html()
        return web.Response(status=INSTEAD[fault], headers={"Location": "/elsewhere"})

    def _log_out(self, request: web.BaseRequest) -> web.Response:
        """Log out. Needs no CSRF pair and no session (observed)."""
        session = self._session(request)
        if session is not None:
            del self._used_at[session]
            self.logouts += 1
        answer = web.Response(status=204)
        for name in filter(None, (self.dialect.cookie, self.dialect.csrf)):
            answer.headers.add("Set-Cookie", f"{name}=; {self.dialect.gone}; {self._attributes}")
        return answer

    # -- sessions --

    def _session(self, request: web.BaseRequest) -> str | None:
        """Return the live session of a request, and restart its idle time (observed)."""
        session = dict(cookies(request)).get(self.dialect.cookie)
        if session is None or not self._lives(session):
            return None
        self._used_at[session] = self._world.clock.now()
        return session

    def _lives(self, session: str) -> bool:
        used_at = self._used_at.get(session)
        return used_at is not None and self._world.clock.now() - used_at < self._world.rules.session_life

    def _greeting(self, request: web.BaseRequest) -> Fields:
        """Return the cookie of a session without a user.

        Up to 8.5.0 that session has already ended, because `getSession().invalidate()` makes one and ends it
        (BaseWebConfigurer).
        """
        if request.method not in self.dialect.greets or "Authorization" in request.headers:
            return []
        return [("Set-Cookie", self._give(secrets.token_hex(16)))]

    def _give(self, session: str) -> str:
        self._given.add(session)
        return f"{self.dialect.cookie}={session}; {self._attributes}"

    def _complain(self, what: str) -> None:
        self._world.complaints.append((self.name, what))

    # -- CSRF --

    def _wants_csrf(self, request: web.BaseRequest, session: str | None) -> bool:
        if self.pairs is None or request.method in SAFE:
            return False
        if "/swagger-ui" in request.headers.get("Referer", ""):  # observed
            return False
        if not self.dialect.csrf_first:
            return session is not None
        return not request.headers.get("Authorization", "").startswith("Bearer ")  # observed

    def _token(self, request: web.BaseRequest) -> Fields:
        """Return the CSRF token: for every authenticated GET (8.5.1 and later), not for HEAD (observed)."""
        return [] if self.pairs is None or request.method != "GET" else self.pairs.fields(request)

    def _paired(self, request: web.BaseRequest) -> bool:
        return self.pairs is None or self.pairs.fits(request)


INSTEAD = {
    LoginFault.DOWN: 503,
    LoginFault.HTML: 200,
    LoginFault.ERROR_500: 500,
    LoginFault.REDIRECT: 302,
    LoginFault.MOVED: 404,
}
