"""The steps of a request, from top to bottom."""

import logging
import secrets
from collections.abc import Callable
from typing import Final

from proxy.clock import Clock
from proxy.credentials.credential import Credential
from proxy.credentials.keeper import Keeper
from proxy.errors import CredentialRefused, ProxyError, RequestRefused
from proxy.gateway.accounts import Accounts
from proxy.gateway.admission import identified
from proxy.gateway.audited import AuditObserver
from proxy.gateway.call import Addressed, AnswerSink, Call
from proxy.gateway.callers import Callers
from proxy.gateway.exchange import Exchange
from proxy.gateway.fields import HeadRewriter
from proxy.gateway.guard import Guard
from proxy.gateway.lost import ConnectionLost
from proxy.gateway.mcp import is_mcp, is_mcp_base, is_metadata
from proxy.gateway.mcp_call import McpRelay
from proxy.gateway.options import VARY, allowing, ends_here, is_preflight
from proxy.gateway.outcomes import Outcomes
from proxy.gateway.own_answers import OwnAnswers
from proxy.gateway.paths import has_dot_segments, signs_in
from proxy.gateway.permits import permit
from proxy.gateway.pool import Pool
from proxy.gateway.problem_log import ProblemLog
from proxy.gateway.records import (
    Hints,
    RecentRequests,
    RequestObserver,
    UpstreamObserver,
    UpstreamRules,
)
from proxy.gateway.refusal import Verdict
from proxy.gateway.relay import Relay
from proxy.gateway.repair import Repair
from proxy.gateway.request_head import RequestHead
from proxy.gateway.tally import Tally
from proxy.gateway.watch import UpstreamWatch

IDEMPOTENT: Final = frozenset((b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS"))  # RFC 9110 section 9.2.2
log = logging.getLogger(__name__)

_NO_HELP: Final = "a new one does not help"
_NO_NEW_ONE: Final = "there is no new one yet"
_NO_METADATA: Final = (
    "The proxy adds the credential to every request, so there is no OAuth metadata here: an MCP client needs "
    "no authorization."
)


class Forwarder:
    """Forwards the requests of one listener to one upstream.

    Attributes:
        busy: number of requests that are being answered.
        tally: counts of this upstream.
        watch: what its last answers say.
    """

    def __init__(
        self,
        rules: UpstreamRules,
        address: HeadRewriter,
        guard: Guard,
        pool: Pool,
        keeper: Keeper,
        clock: Clock,
        tally: Tally,
        observer: RequestObserver | None = None,
        notes: UpstreamObserver | None = None,
        new_id: Callable[[], str] = lambda: secrets.token_hex(8),
        audit: AuditObserver | None = None,
        recent: RecentRequests | None = None,
    ) -> None:
        self.replay_buffer = rules.replay_buffer
        self.patience = rules.patience
        self.busy = 0
        self._rules = rules
        self._access = rules.access
        self._address = address
        self._guard = guard
        self._callers = guard.callers
        self._pool = pool
        self._keeper = keeper
        self._clock = clock
        self._now = clock.now  # looked up once
        self.tally = self._tally = tally
        self.watch = UpstreamWatch(pool.peer, notes)
        self._outcomes = Outcomes(rules, self.watch, ProblemLog(notes), clock)
        self._repair = Repair(rules.upstream, keeper, rules.wait, clock, tally, self._outcomes)
        self._open = frozenset(path for path in rules.open_paths if not path.endswith(b"/**"))
        self._open_below = tuple(path[:-2] for path in rules.open_paths if path.endswith(b"/**"))
        self._no_sign_in = (
            f"All callers share one session at {rules.upstream} (credentials.{rules.credential}). A login, a "
            "logout or a callback of an identity provider would change who every caller is, so none passes "
            "here. The proxy logs in and out by itself; to act as another user, add an upstream with that "
            "user's credential, or ask the server directly."
        )
        self._below_path = bool(address.prefix)
        self._mcp_base = is_mcp_base(address.prefix)
        self._no_dots = (
            "The path has a dot segment (`.` or `..`, plain or encoded), or it is encoded too often. The "
            f"credential might leave the path of upstreams.{rules.upstream}.url with it. Resolve it before "
            "you send it."
        )
        self._own = OwnAnswers(pool.peer, rules.credential, guard, tally, self._outcomes, clock, new_id)
        self._accounts = Accounts(
            rules.upstream,
            tally,
            clock.now,
            new_id,
            named=guard.callers is not None,
            hints=None if rules.removed is None else Hints(rules.upstream, rules.removed),
            observer=observer,
            audit=audit,
            recent=recent,
        )

    @property
    def keeper(self) -> Keeper:
        """The keeper of the credential that requests get."""
        return self._keeper

    def use(self, keeper: Keeper) -> None:
        """Inject the credential of another keeper from now on, also into requests that are sent again."""
        self._keeper = keeper
        rules = self._rules
        self._repair = Repair(rules.upstream, keeper, rules.wait, self._clock, self._tally, self._outcomes)

    async def forward(self, call: Call) -> None:
        """Answer one request. Raises only when it is cancelled because the caller has left."""
        self.busy += 1
        self._tally.in_flight += 1
        failed: ProxyError | None = None
        try:
            try:
                await self._tell(call)
            except ProxyError as error:
                failed = error.with_traceback(None)  # it would keep this frame, and the frame keeps it
            if failed is not None:
                await self._own.fail(call, failed, mcp=self._speaks_mcp(call.head))
        except Exception:
            # Nothing may reach aiohttp's own error page: after a head it would be taken for the body.
            log.exception("a fault in the proxy, not in the request to %s", self._rules.upstream)
            self._own.fault(call)
        finally:
            if call.connection is not None and call.relay is not None:
                call.connection.cancel(call.relay)
            self._tally.in_flight -= 1
            self.busy -= 1
            self._accounts.ended(call)

    async def _tell(self, call: Call) -> None:
        if self._answered_here(call):
            return
        if self._access is not None or call.access is not None:
            those = [rules for rules in (self._access, call.access) if rules is not None]
            await permit(call, self._clock, self.patience, *those)
        head = call.head
        mcp = bare = lost_once = False
        if head.special or self._mcp_base:
            mcp, bare = self._speaks_mcp(head), self._address.is_outside(head)
        relay = McpRelay(call, call.caller, self._address) if mcp else Relay(call, call.caller, self._address)
        call.relay = relay
        while True:
            now = self._now()
            credential = self._keeper.current_at(now) if not bare else None
            at_once = not lost_once and (credential is not None or self._is_open(head))
            connection = self._pool.take(now) if at_once else None
            if connection is None:
                connection, credential = await self._connection(call, fresh=lost_once)
                now = self._now()
                if bare:
                    credential = None  # the server may not know the tenant's identity provider
            relay.may_hold = credential is not None and self._address.injects and not call.repaired
            relay.session = credential if credential is not None and credential.session else None
            if relay.session is not None and _signs_in(head):
                self._pool.release(connection, now)
                raise RequestRefused("not_allowed", self._no_sign_in)
            stamp = credential.lines if credential is not None else b""
            data = self._address.request_head(head, stamp, session=bare or relay.session is not None)
            call.connection = connection
            try:
                ended = await connection.send_request(data, relay, call.upload, head.method == b"HEAD", now)
                if relay.held:
                    if await self._replaced(call, relay, credential):
                        connection.cancel(relay)
                        relay.forget()
                        continue
                    if mcp and relay.verdict is Verdict.REFUSED:
                        self._repair.learn(call, relay, credential)
                        raise CredentialRefused(_NO_HELP if call.repaired else _NO_NEW_ONE)
                    ended = await connection.go_on(relay)
            except ConnectionLost as lost:
                if lost_once or not lost.stale or not self._may_resend(call):
                    raise
                lost_once = True
                continue
            call.connection = None
            call.ended = ended
            call.status = relay.status
            self._repair.learn(call, relay, credential)
            return

    # -- before anything is sent --

    def _answered_here(self, call: Call) -> bool:
        """Answer the request ourselves, if it does not need the upstream; return whether it is answered.

        Raises:
            RequestRefused
        """
        head = call.head
        call.cors = self._guard.cors(head)
        self._guard.check(head)
        if len(call.cors) > len(VARY) and is_preflight(head):  # no browser shows a caller token with it
            return self._own.no_content(call, call.cors + allowing(head))
        if self._callers is not None:
            self._admit(call, self._callers)
        if head.special and self._address.injects and is_metadata(head.target):
            raise RequestRefused("not_found", _NO_METADATA)
        if self._below_path and has_dot_segments(head.target):
            raise RequestRefused("bad_request", self._no_dots)
        if len(head.notable) > 1 and self._address.our_own(head):
            raise RequestRefused("loop", "The request has come through this proxy before.")
        return head.method == b"OPTIONS" and ends_here(head) and self._own.no_content(call, call.cors)

    def _admit(self, call: Call, callers: Callers) -> None:
        """Find out which caller it is, and whether it may send a request here now.

        Raises:
            RequestRefused
        """
        now = self._now()
        call.head, caller, call.admission = identified(
            call.head, callers, now, anonymous=self._guard.anonymous, identities=call.caller.identities
        )
        call.caller_name = caller.name
        callers.check(caller, self._rules.upstream, now)
        call.access = caller.access.get(self._rules.upstream)

    def admits(self, call: Call, *, reloaded: bool = False) -> bool:
        """Whether a running request may go on; see `Service`."""
        admission = call.admission
        if admission is None or self._callers is None:
            return True
        if not self._callers.admits(admission, self._rules.upstream):
            return False
        if reloaded and admission.identity:
            proven = self._callers.by_identity(admission.identity)
            return proven is not None and proven.name == admission.name
        if reloaded and admission.anonymous:
            return self._guard.anonymous == admission.name
        return not (reloaded and admission.digest) or self._callers.knows_token(admission)

    async def _connection(self, call: Call, *, fresh: bool) -> tuple[Exchange, Credential | None]:
        """Get a connection and the present credential. Wait for the credential before taking a connection."""
        while True:
            if self._keeper.current is None and not self._is_open(call.head):
                begun = self._now()
                try:
                    await self._keeper.get(self._rules.wait)
                finally:
                    call.waited += self._now() - begun
            connection = await self._pool.acquire(fresh=fresh)
            credential = self._keeper.current
            if credential is not None or self._is_open(call.head):
                return connection, credential
            self._pool.release(connection, self._now())

    def _is_open(self, head: RequestHead) -> bool:
        path = head.target.split(b"?", 1)[0]
        if path in self._open:
            return True
        return path.startswith(self._open_below) and b".." not in path and b"%" not in path

    async def _replaced(self, call: Call, relay: Relay, used: Credential | None) -> bool:
        """Replace a refused credential, at most once for a request; return whether to send it again."""
        if used is None or call.repaired:
            return False
        return await self._repair.replaced(call, relay, used)

    def _speaks_mcp(self, head: RequestHead) -> bool:
        return self._mcp_base or (head.special and is_mcp(head.target))

    def _may_resend(self, call: Call) -> bool:
        return call.head.method in IDEMPOTENT and (call.upload is None or call.upload.replayable)

    # -- what callers' connections tell --

    def refuse(self, caller: AnswerSink, error: RequestRefused, raw: bytes) -> None:
        """Answer something that is not a request. The connection ends after it."""
        self._own.refuse(caller, error, raw)

    def unheard(self, caller: Addressed, error: RequestRefused) -> None:
        """Note a connection whose TLS handshake has failed."""
        self._own.unheard(caller, error)

    def received(self, size: int) -> None:
        """Count bytes of callers."""
        self.tally.received += size


def _signs_in(head: RequestHead) -> bool:
    door = head.door
    if door is None:
        head.door = door = signs_in(head.target)
    return door
