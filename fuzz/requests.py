"""Requests: how they are read, judged and written anew."""

from dataclasses import dataclass, field
from typing import Final

from fuzz.pieces import pieces, untold
from proxy.errors import RequestRefused
from proxy.gateway import request_head
from proxy.gateway.admission import identified
from proxy.gateway.fields import HeadRewriter
from proxy.gateway.guard import NOT_PASSED, Guard
from proxy.gateway.limit import Memory
from proxy.gateway.options import allowing, ends_here, is_preflight
from proxy.gateway.problems import own_head
from proxy.gateway.request_head import RequestHead
from proxy.gateway.request_reader import RequestReader
from proxy.gateway.upload import Upload
from tests.gateway.calling import one_caller
from tests.http.strict import read_request

STAMP: Final = b"Authorization: Bearer stamped\r\n"
ADDRESSES: Final = (
    HeadRewriter(b"http://origin:1", b"origin:1", b"", b"us-1", True),
    HeadRewriter(b"https://origin", b"origin", b"/base", b"us-1", False),
)
TOKEN: Final = b"k4n4ry~S3cret"
SAFE_SITES: Final = (b"same-origin", b"none")
PAGE: Final = b"https://page.example"
HOSTS: Final = (b"localhost", b"127.0.0.1", b"[::1]")
# Of a request's fields: what belongs to a connection, and what the proxy writes itself or leaves out.
OURS: Final = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer upgrade"
    b" transfer-encoding http2-settings host content-length expect max-forwards via authorization cookie"
    b" x-proxy-token origin sec-fetch-site sec-purpose purpose access-control-request-method".split()
)


@dataclass
class Message:
    """A request as it was read."""

    head: RequestHead
    body: bytes = b""
    ended: bool = False


@dataclass
class Reading:
    """What the reader made of an input."""

    messages: list[Message] = field(default_factory=list)
    refused: RequestRefused | None = None

    def verdict(self) -> object:
        """What must not depend on how the input came. How far the body of a refused message came may."""
        refused = (self.refused.code, self.refused.status) if self.refused is not None else None
        told = [(each.head, each.body, each.ended) for each in self.messages if each.ended or not refused]
        return told, len(self.messages), refused


def forget() -> None:
    """Begin with empty caches."""
    request_head.heads.known.clear()
    request_head.names.known.clear()


def read(*octets: bytes) -> Reading:
    """Feed these pieces to a reader."""
    reader, found = RequestReader(), Reading()
    try:
        for piece in octets:
            reader.feed(piece)
            while _step(reader, found.messages):
                pass
    except RequestRefused as error:
        untold(error)
        found.refused = error
    return found


def _step(reader: RequestReader, messages: list[Message]) -> bool:
    """Read on; whether there may be more."""
    if messages and not messages[-1].ended:
        piece, messages[-1].ended = reader.body()
        messages[-1].body += piece
        return messages[-1].ended or reader.interrupted
    head = reader.head()
    if head is None:
        return False
    if TOKEN not in b" ".join(
        (head.method, head.host, *head.connection)
    ):  # no secret is meant to stand there
        untold(head)
    messages.append(Message(head, ended=not head.has_body))
    return True


def requests(octets: bytes) -> None:
    """Read alike whole, in pieces and out of the caches; what is forwarded is the same message again."""
    forget()
    whole = read(octets)
    for other in (read(octets), read(*pieces(octets)), read(*pieces(octets, 1))):
        assert other.verdict() == whole.verdict(), (whole.verdict(), other.verdict())
    for message in whole.messages:
        if message.head.method not in NOT_PASSED and not ends_here(message.head):
            for address in ADDRESSES:
                _forwarded_alike(message, address, session=False)
                _forwarded_alike(message, address, session=True)


class _NoFlow:
    def hold_upload(self) -> None: ...

    def release_upload(self) -> None: ...


class _NoSink:
    def send(self, octets: bytes, *, last: bool) -> None: ...

    def fail(self, error: Exception) -> None: ...


def _sent(message: Message, address: HeadRewriter, *, session: bool) -> bytes:
    """The bytes that go upstream."""
    head = address.request_head(message.head, STAMP, session=session)
    if not message.head.has_body:
        return head
    upload = Upload(_NoFlow(), chunked=message.head.chunked, keep=1 << 30, memory=Memory())
    upload.feed(message.body, last=message.ended)
    return head + upload.attach(_NoSink())


def _forwarded_alike(message: Message, address: HeadRewriter, *, session: bool) -> None:
    head, sent = message.head, _sent(message, address, session=session)
    got = read_request(sent)
    assert got is not None
    assert (got.method, got.target) == (head.method, address.prefix + head.target)
    assert (got.body, got.complete, got.end) == (message.body, message.ended, len(sent))
    assert got.all(b"host") == [address.authority]
    stamped = got.all(b"authorization")
    assert stamped[-1] == b"Bearer stamped"
    assert len(stamped) == 1 or not address.injects
    names = {name.replace(b"_", b"-") for name, _ in got.fields if b"_" in name}
    assert not names & {b"content-length", b"transfer-encoding"}
    options = {each for each in head.connection if each not in (b"", b"close", b"keep-alive")}
    if not session:
        theirs = [(name.lower(), value) for name, value in head.fields]
        assert _passed(got.fields, options) == _passed(theirs, options)
    else:
        assert not any(b"csrf" in name and name.endswith(b"token") for name, _ in got.fields if b"_" in name)
    assert not options.difference(OURS).intersection(name for name, _ in got.fields)
    (again,) = read(sent).messages
    assert (again.head.target, again.body, again.ended) == (got.target, got.body, got.complete)


def _passed(fields: list[tuple[bytes, bytes]], options: set[bytes]) -> list[tuple[bytes, bytes]]:
    """The fields that mean nothing to a proxy."""
    lookalikes = {name.replace(b"-", b"_") for name in OURS}
    return [each for each in fields if each[0] not in OURS | options | lookalikes]


def _head(octets: bytes) -> RequestHead | None:
    """A head with these lines, or which is this; None: it is none."""
    forget()
    if not octets.endswith(b"\r\n\r\n"):
        octets = b"GET / HTTP/1.1\r\n" + octets + b"\r\nHost: localhost\r\n\r\n"
    found = read(octets)
    return found.messages[0].head if found.messages else None


def guard(octets: bytes) -> None:
    """Another site's page, another host's name and a caller without the token never pass."""
    head = _head(octets)
    if head is None:
        return
    rules = Guard(origins=frozenset({PAGE}))
    try:
        rules.check(head)
    except RequestRefused as error:
        untold(error)
    else:
        _right_to_pass(head, rules.cors(head))
    try:
        admitted, _, _ = identified(head, one_caller(TOKEN), 0.0)
    except RequestRefused as error:
        untold(error)
    else:
        assert any(_shows_token(name, value) for name, value in head.notable)
        others = [field for field in admitted.notable if field[0] != b"x-proxy-token"]  # never forwarded
        assert not any(_shows_token(name, value) for name, value in others)
    if is_preflight(head):
        _preflight(head)


def _right_to_pass(head: RequestHead, cors: bytes) -> None:
    host = head.host.lower()
    name, _, port = host.rpartition(b":") if host.rpartition(b":")[0] in HOSTS else (host, b"", b"")
    assert name in HOSTS or not (head.host or head.minor), host
    assert not port or port.isdigit()
    assert head.method.upper() not in (b"CONNECT", b"TRACE", b"TRACK")
    fields = [(name.lower(), value) for name, value in head.fields]
    origins = [value for name, value in fields if name == b"origin"]
    sites = [value for name, value in fields if name == b"sec-fetch-site"]
    if b"Allow-Origin" in cors:
        assert origins == [PAGE]
    else:
        assert all(site in SAFE_SITES for site in sites)
        assert all(origin == b"http://" + host for origin in origins)
        assert not is_preflight(head)


def _shows_token(name: bytes, value: bytes) -> bool:
    import binascii

    if name == b"x-proxy-token":
        return value == TOKEN
    scheme, _, rest = value.partition(b" ")
    if name != b"authorization" or scheme.lower() not in (b"bearer", b"basic"):
        return False
    try:
        decoded = binascii.a2b_base64(rest)
    except binascii.Error:
        decoded = b""
    return rest.strip(b" ") == TOKEN or (scheme.lower() == b"basic" and decoded.endswith(b":" + TOKEN))


def _preflight(head: RequestHead) -> None:
    try:
        fields = allowing(head)
    except RequestRefused as error:
        untold(error)
        return
    answer = own_head(204, "now", keep_alive=True) + fields + b"\r\n"
    lines = answer.split(b"\r\n")
    assert lines[-2:] == [b"", b""]
    assert lines.index(b"") == len(lines) - 2
    assert all(
        line.split(b":")[0].startswith((b"Access-Control-", b"HTTP/1.1 204", b"Date")) for line in lines[:-2]
    )
