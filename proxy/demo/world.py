"""The things that all simulated servers share: rules, clients, clock, tokens, complaints, and events."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from proxy.clock import Clock, pause
from proxy.demo.mint import Mint


@dataclass(frozen=True, slots=True)
class Rules:
    """All numbers, in seconds or bytes. Replace them at any time: `camunda.rules = replace(camunda.rules,
    ...)`.

    Attributes:
        token_life: of new tokens, unless the client has its own.
        token_gap: SaaS answers 429 to a request that comes sooner than this after another one from the same
            address, even a failed one (Camunda docs, "Manage API clients": about one a second).
        retry_after: the 429's `Retry-After`, as it is sent; None: not sent (SaaS's own is not known).
        tarpit: SaaS delays requests after a wrong secret, with the same client, secret and audience
            (README of the JavaScript SDK).
        reissue_before: SaaS returns the same token until this long before its expiry (JavaScript
            SDK #125).
        whole_seconds: `iat` and `exp` are rounded down, so a life is up to a second shorter than
            `expires_in` says (observed: a token of 20 s was refused from 19.6 s on).
        header_limit: request line and fields (Tomcat's and Optimize's default).
        body_limit: of a request (Camunda docs up to 8.7: 4 MB; observed).
        long_poll: for a `requestTimeout` of 0 (8.6 default).
        ingress_timeout: SaaS answers 504 when an answer takes longer (JavaScript SDK: "at 60 s SaaS
            throws 504").
        session_life: a session unused for so long has ended (Tomcat's and Spring's default).
        login_gap: a login sooner than this after another causes a complaint; no server has this rule.
    """

    token_life: float = 300.0
    token_gap: float = 1.0
    retry_after: str | None = None
    tarpit: float = 30.0
    reissue_before: float = 30.0
    whole_seconds: bool = False
    header_limit: int = 8192
    body_limit: int = 4 * 1024 * 1024
    long_poll: float = 10.0
    ingress_timeout: float = 60.0
    session_life: float = 1800.0
    login_gap: float = 0.0


def new_secret() -> str:
    return secrets.token_urlsafe(24)


@dataclass(frozen=True, slots=True)
class Client:
    """A client that may request tokens.

    Attributes:
        audiences: on SaaS a token is for one of these, with Keycloak for all.
        basic_only: whether Keycloak accepts its secret only by HTTP Basic.
        life: of its tokens, in seconds; None: as the rules say.
        signed: whether it authenticates by assertions (`private_key_jwt`) instead of its secret.
    """

    name: str
    audiences: tuple[str, ...]
    secret: str = field(default_factory=new_secret, repr=False)
    basic_only: bool = False
    life: float | None = None
    signed: bool = False


class Fault(StrEnum):
    """What a token endpoint may do instead of its work.

    Faults up to ERROR_500 apply to every request, those from OVERSIZED on only to requests that would get a
    token.
    """

    DOWN = "down"  # 503
    HANG = "hang"  # no answer until the caller leaves
    RESET = "reset"  # the connection is reset
    HTML = "html"  # 200 text/html
    EMPTY = "empty"  # 200 application/json without a body
    BROKEN_JSON = "broken_json"  # ends in the middle
    LIST = "list"  # JSON, not an object
    REDIRECT = "redirect"  # 307: a client that follows it sends the secret again, and causes a complaint
    ERROR_500 = "error_500"
    OVERSIZED = "oversized"  # over 1 MiB
    ERROR_IN_200 = "error_in_200"
    NO_TOKEN = "no_token"  # noqa: S105 -- a name of a fault
    WRONG_TYPE = "wrong_type"
    EXPIRES_ZERO = "expires_zero"
    EXPIRES_NEGATIVE = "expires_negative"
    EXPIRES_TEXT = "expires_text"
    TOKEN_CR = "token_cr"  # noqa: S105 -- a name of a fault
    TOKEN_LF = "token_lf"  # noqa: S105 -- a name of a fault
    TOKEN_SPACE = "token_space"  # noqa: S105 -- a name of a fault
    TOKEN_NON_ASCII = "token_non_ascii"  # noqa: S105 -- a name of a fault


class LoginFault(StrEnum):
    """What the login may do instead of its work, for every request."""

    DOWN = "down"  # 503
    HANG = "hang"  # no answer until the caller leaves
    RESET = "reset"  # the connection is reset
    HTML = "html"  # 200 with a page: a portal, or another server
    ERROR_500 = "error_500"
    REDIRECT = "redirect"  # 302 to a single sign-on; a client that follows it causes a complaint
    MOVED = "moved"  # 404: this server has no such login
    NO_COOKIE = "no_cookie"  # 204, and no session
    DEAD_COOKIE = "dead_cookie"  # 204, and the cookie of no session


class News:
    """Wakes the tasks that wait for a fact, at each event."""

    def __init__(self) -> None:
        self._next: asyncio.Future[object] | None = None

    def tell(self) -> None:
        if self._next is not None:
            self._next.set_result(None)
            self._next = None

    def _coming(self) -> "asyncio.Future[object]":
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        return self._next

    async def until(self, fact: Callable[[], bool]) -> None:
        while not fact():
            # Several tasks wait for it; the cancellation of one must not cancel it for the others.
            await asyncio.shield(self._coming())

    async def within(self, seconds: float, fact: Callable[[], bool], clock: Clock) -> bool:
        """Wait for the fact; return whether it came true within the seconds."""
        end = clock.now() + seconds
        while not fact():
            left = end - clock.now()
            if left <= 0:
                return False
            await pause(clock, left, self._coming())
        return True


class World:
    """Shared by every endpoint.

    Attributes:
        rules: the present numbers.
        complaints: everything that no proxy may send, as (where, what), first one first; must be empty.
        news: told of each request when it arrives, is answered, or is given up.
    """

    def __init__(self, clock: Clock, rules: Rules) -> None:
        self.clock = clock
        self.rules = rules
        self.mint = Mint(clock)
        self.news = News()
        self.complaints: list[tuple[str, str]] = []
