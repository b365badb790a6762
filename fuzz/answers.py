"""Answers of an upstream: how they are read, judged and written anew."""

import re
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any, Final, cast
from urllib.parse import urljoin, urlsplit

import h11

from fuzz.pieces import lines_and_rest, pieces, untold
from proxy.errors import ProxyError
from proxy.gateway import answer_head
from proxy.gateway.answer_head import AnswerFields, answer_end, usual_head
from proxy.gateway.call import Call
from proxy.gateway.exchange import Exchange
from proxy.gateway.fields import HeadRewriter
from proxy.gateway.limit import Memory
from proxy.gateway.memo import Memo
from proxy.gateway.refusal import Asked, Verdict, judge
from proxy.gateway.relay import Relay
from proxy.gateway.request_head import RequestHead, parse_head
from proxy.gateway.share import Share
from proxy.gateway.tally import Tally
from proxy.gateway.timeouts import Timeouts
from proxy.gateway.upstream_transport import Home
from proxy.outgoing.causes import UPSTREAM
from tests.http.strict import Answer, read_answer

ADDRESS: Final = HeadRewriter(b"http://origin:1", b"origin:1", b"/base", b"us-1", True)
OPEN: Final = HeadRewriter(b"http://origin:1", b"origin:1", b"", b"us-1", False)
HERE: Final = "http://here:1/a/b"
CANARY_SESSION: Final = Asked(b"POST", b"/v2/k4n4ry~S3cret", b"origin:1", b"OPERATE-SESSION=k4n4ry~S3cret")


class Over:
    """A future that needs no event loop."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.ended = False

    def done(self) -> bool:
        return self.ended

    def set_result(self, _result: None) -> None:
        self.ended = True

    def set_exception(self, error: BaseException) -> None:
        self.ended, self.error = True, error


class Upstream:
    """An exchange on a connection that is none, and what it did with an answer.

    Attributes:
        status: of the final answer; 0: none was whole.
        told: what the caller got.
        kept: whether the connection would be used again.
        error: why the exchange failed.
    """

    def __init__(self, method: bytes) -> None:
        self.written: list[bytes] = []
        self.kept = self.closed = False
        self._later: list[Callable[[], None]] = []
        loop = SimpleNamespace(create_future=Over, call_soon=self._later.append)
        pool = SimpleNamespace(
            timeouts=Timeouts(),
            clock=SimpleNamespace(now=lambda: 0.0),
            loop=loop,
            share=Share(cast(Any, loop)),
            memory=Memory(),
            tally=Tally(),
            release=lambda _connection, _now: self._keep(),
            lost=lambda _: None,
            peer=UPSTREAM,
        )
        self._exchange = Exchange(cast(Home, pool))
        self._exchange.connection_made(cast(Any, self))
        self.resets, self.ends = True, False
        caller = cast(Any, self)
        self.relay = Relay(Call(_request(method), None, caller, 0.0), caller, ADDRESS)
        self._over = cast(Over, self._exchange.send_request(b"", self.relay, None, method == b"HEAD", 0.0))

    def _keep(self) -> None:
        self.kept = True

    # -- the transport --

    def write(self, octets: bytes) -> None:
        self.written.append(octets)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True
        self.kept = False

    abort = close

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    # -- what comes --

    def hear(self, octets: Iterable[bytes]) -> "Upstream":
        """All of it, and then the end of the connection."""
        for piece in octets:
            if not self.closed:
                self._exchange.data_received(piece)
                self._catch_up()
        kept = self.kept
        if not self._over.done():
            self._exchange.eof_received()
            self._catch_up()
        if not self._over.done():
            self._exchange.connection_lost(None)
        self.kept = kept
        return self

    def _catch_up(self) -> None:
        while self._later:
            self._later.pop(0)()

    @property
    def error(self) -> BaseException | None:
        return self._over.error

    @property
    def told(self) -> bytes:
        return b"".join(self.written)

    def verdict(self) -> object:
        """What must not depend on how the answer came."""
        if self.error is not None:
            return type(self.error)
        return self.relay.status, self.told, self.kept


_heads: dict[bytes, RequestHead] = {}


def _request(method: bytes) -> RequestHead:
    if method not in _heads:
        _heads[method] = parse_head(method + b" / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return _heads[method]


def forget() -> None:
    """Begin with empty caches."""
    for cache in (answer_head.heads, answer_head.field_lines, answer_head.statuses, answer_head.names):
        cast(Memo[bytes, object], cache).known.clear()


def answers(octets: bytes) -> None:
    """Read alike whole and in pieces, as h11 reads it or not at all; the caller gets the same message."""
    for method in (b"GET", b"HEAD"):
        forget()
        whole = Upstream(method).hear([octets])
        for other in (Upstream(method).hear([octets]), Upstream(method).hear(pieces(octets))):
            if whole.error is None or other.error is None:
                one, two = _joined(whole, method, octets), _joined(other, method, octets)
                assert one == two, (one, two)
        if whole.error is None:
            got = _got(whole, method)
            _as_h11(got, whole, octets, method)
        else:
            assert isinstance(whole.error, ProxyError)
            untold(whole.error)
            _not_whole(whole, method)


def _joined(heard: Upstream, method: bytes, octets: bytes) -> object:
    """The verdict, with chunks put together: they are cut as they come."""
    if heard.error is not None:
        return heard.verdict()
    got = _got(heard, method)
    # llhttp skips line ends behind an answer; the reader of usual heads takes them for an answer to nothing.
    return (
        got.status,
        # Without the Date that we add: the clock may tick between two readings.
        [field for field in got.fields if field[0] != b"date" or not field[1].endswith(b" GMT")],
        got.body,
        got.framing,
        got.interim,
        heard.kept or octets.endswith((b"\r", b"\n")),
    )


def _got(heard: Upstream, method: bytes) -> Answer:
    """What the caller got."""
    got = read_answer(heard.told, method, ended=True)
    assert got is not None
    assert got.complete
    return got


def _not_whole(heard: Upstream, method: bytes) -> None:
    """An answer that was cut never looks whole: the connection is reset."""
    got = read_answer(heard.told, method, ended=False)
    assert got is None or not got.complete, got


def _as_h11(got: Answer, heard: Upstream, octets: bytes, method: bytes) -> None:
    theirs = _h11(octets, method)
    if isinstance(theirs, str):
        assert _deliberate(theirs, octets), (theirs, got)
        return
    status, body, whole, reusable = theirs
    assert (status, body, whole) == (got.status, got.body, True), (theirs, got)
    assert reusable or not heard.kept, "h11 would not use the connection again"


DELIBERATE: Final = {
    # llhttp takes any byte but CR and LF in the reason phrase, which we drop: it frames nothing.
    "illegal status line": re.compile(
        rb"(?:.*\n)?HTTP/1\.[01] [0-9]{3} [^\r\n]*[^\t\x20-\x7e\x80-\xff\r\n].*", re.DOTALL
    ),
    # llhttp skips empty lines before an answer, as servers do before a request (RFC 9112 section 2.2).
    "no response line received": re.compile(rb"(?:.*\r\n\r\n)?\r?\n.*", re.DOTALL),
}
"""What h11 refuses and we take: its reason, and the answers for which that is right."""


def _deliberate(why: str, octets: bytes) -> bool:
    return any(why.startswith(reason) and right.fullmatch(octets) for reason, right in DELIBERATE.items())


def _h11(octets: bytes, method: bytes) -> tuple[int, bytes, bool, bool] | str:
    """Status, body, whether it is whole, whether the connection can be used again; or why it is none."""
    reader = h11.Connection(our_role=h11.CLIENT)
    reader.send(h11.Request(method=method, target="/", headers=[("Host", "localhost")]))
    reader.send(h11.EndOfMessage())
    status, body = 0, b""
    try:
        reader.receive_data(octets)
        fed = False
        while True:
            event = reader.next_event()
            if event is h11.NEED_DATA and not fed:
                reader.receive_data(b"")
                fed = True
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                reusable = reader.their_state is h11.DONE and not reader.trailing_data[0].strip(b"\r\n")
                return status, body, True, reusable
            elif event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                return status, body, False, False
    except h11.RemoteProtocolError as error:
        return str(error)


# -- heads of answers on their way to the caller --

_NAME: Final = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_NEVER: Final = frozenset(b"keep-alive proxy-connection te trailer upgrade".split())


def _fields_of(lines: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Fields as a parser gives them."""
    found = [(name, value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in lines)]
    return [
        (n, v)
        for n, v in found
        if n and _NAME.issuperset(n) and not set(v) & {*range(9), *range(10, 32), 127}
    ]


def fields(octets: bytes) -> None:
    """A caller gets well-formed heads, no cookie of ours, no field of the connection, and our policies."""
    forget()
    lines, _ = lines_and_rest(octets)
    known = AnswerFields()
    for name, value in _fields_of(lines):
        known.add(name, value)
    for status in (200, 204, 302):
        for method in (b"GET", b"HEAD"):
            end = answer_end(status, known.notable, to_head=method == b"HEAD")
            if end is None:
                continue
            for address, session in ((ADDRESS, True), (ADDRESS, False), (OPEN, False)):
                known.ready = (b"", None)
                head = address.response_head(status, known, end, minor=1, keep_alive=True, session=session)
                got = read_answer(head, method, ended=True)
                assert got is not None
                assert got.status == status
                assert got.end == len(head)
                _kept_in(got, known, injects=address.injects)
                interim = address.interim_head(103, known, session=session)
                assert interim.count(b"\r\n\r\n") == 1
                assert interim.endswith(b"\r\n\r\n")
    _locations(known)


def _kept_in(got: Answer, known: AnswerFields, *, injects: bool) -> None:
    names = {name for name, _ in got.fields}
    assert not names & _NEVER
    assert not any(
        name.startswith((b"access-control-", b"timing-allow", b"strict-transport")) for name in names
    )
    assert not injects or not names & {b"set-cookie", b"set-cookie2"}
    assert b"sandbox" in got.all(b"content-security-policy")
    assert got.all(b"cross-origin-resource-policy")
    assert got.all(b"x-content-type-options")
    options = {each for each in known.options if each not in (b"", b"close", b"keep-alive")}
    ours = {
        *(b"content-security-policy", b"cross-origin-resource-policy", b"x-content-type-options", b"via"),
        *(b"content-length", b"transfer-encoding", b"location", b"www-authenticate"),
    }
    assert not (options - ours) & names


def _locations(known: AnswerFields) -> None:
    values = [value for name, value in known.notable if name == b"location"]
    for value, local in [(value, each.local(value)) for value in values for each in (ADDRESS, OPEN)]:
        if local == value:  # an absolute one of another host, or one that leads where the upstream says
            continue
        seen = "".join(each for each in local.decode("latin-1") if each not in "\t\r\n").replace("\\", "/")
        meant = urlsplit(urljoin(HERE, seen))
        assert meant.netloc == "here:1", local
        assert meant.scheme == "http"


def refusal(octets: bytes) -> None:
    """Any answer has a verdict; 401 refuses, and without a session nothing but 401 and 403 does."""
    lines, body = lines_and_rest(octets)
    number, _, path = lines[0].partition(b" ")
    status = int(number) if number.isdigit() and len(number) == 3 else 403
    told = [(name.lower(), value) for name, value in _fields_of(lines[1:])]
    alone = judge(status, told, None, body)
    assert alone in ((Verdict.REFUSED,) if status == 401 else (Verdict.PASSES, Verdict.REFUSED))
    assert alone is Verdict.PASSES or status in (401, 403)
    for method in (b"GET", b"POST"):
        asked = Asked(method, path, b"origin:1", b"OPERATE-SESSION=k4n4ry~S3cret")
        untold(asked)
        verdict = judge(status, told, asked, body)
        assert alone is Verdict.PASSES or verdict is alone
        assert verdict is not Verdict.SUSPECTED or (status == 403 and method == b"POST")


def heads(octets: bytes) -> None:
    """What the reader of usual heads takes, llhttp takes too, and h11."""
    forget()
    head = octets.partition(b"\r\n\r\n")[0]
    found = usual_head(head)
    if found is None:
        return
    assert 200 <= found.status <= 999
    assert found.end.kind != "close"
    heard = Upstream(b"HEAD").hear([head[:1], head[1:] + b"\r\n\r\n"])
    assert heard.error is None, heard.error
    assert heard.relay.status == found.status
