"""Pure: what was seen of a case against what the data says, as a list of complaints; none is a pass."""

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.http.cases import COUNTED, Case, UnknownWord, client_parts, joined, octets
from tests.http.strict import Answer, Malformed, Message, Request, read_answer
from tests.http.world import echo_of

GOOD: Final = b"GET /before HTTP/1.1\r\nHost: localhost\r\n\r\n"
"""What goes before a case on the same connection."""

AROUND: Final = (b"/before", b"/earlier", b"/again", b"/after")
"""Targets of requests that are not the case's own."""

_HOP_BY_HOP: Final = (  # RFC 9110 section 7.6.1
    *(b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization"),
    *(b"te", b"upgrade", b"http2-settings", b"trailer"),
)
_REFUSALS: Final = (*range(400, 500), 501, 505)


@dataclass(slots=True)
class Connection:
    """What an origin saw of one connection from the proxy, from the beginning of the case on.

    Attributes:
        requests: whole ones, in order.
        fault: why its bytes are not well-formed.
        partial: whether a request has begun and not ended.
        ended: by whom: `proxy`, `origin`.
    """

    octets: bytes
    requests: list[Request]
    fault: str | None
    partial: bool
    ended: str | None


@dataclass(slots=True)
class Seen:
    """All that was seen of a case.

    Attributes:
        before: whether a good request went before it on the same connection.
        heard: bytes the client got.
        end: how the client's connection ended; None: it is open.
        connections: at the origin.
        arrived: whole requests there in order, each with the number of its connection.
        authority: the upstream's.
        injected: values of Authorization that the proxy may stamp; empty: it stamps none.
        complaints: of the runner itself: the plain request after it.
        own_rules: whether our own rules count too: no trailers and no Connection at the origin, a Via there,
            and that a connection which may be used again is used again. Else the RFCs' alone count.
    """

    sent: bytes
    before: bool
    heard: bytes
    end: str | None
    connections: list[Connection]
    arrived: list[tuple[Request, int]]
    authority: bytes
    injected: tuple[bytes, ...]
    complaints: list[str] = field(default_factory=list)
    own_rules: bool = True

    @property
    def own(self) -> list[Request]:
        """Whole requests of the case itself that reached the origin."""
        return [request for request, _ in self.arrived if request.target not in AROUND]

    def told(self) -> str:
        """For people."""
        lines = [f"sent:   {self.sent[:600]!r}"]
        for number, connection in enumerate(self.connections):
            end = connection.ended or "open"
            lines.append(f"origin: connection {number} ({end}) {connection.octets[:600]!r}")
        lines.append(f"client: ({self.end or 'open'}) {self.heard[:600]!r}")
        return "\n".join(lines)


# -- what holds always --


def needles(secret: bytes) -> list[bytes]:
    """A secret in plain and as it would show inside any base64."""
    found = [secret]
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + secret)
        found.append(coded[(0, 2, 3)[shift] : len(secret) // 3 * 4])
    return found


def leaks(text: bytes, secret: bytes) -> bool:
    return any(needle in text for needle in needles(secret))


def _always(seen: Seen, *, may_be_cut: bool) -> Iterator[str]:
    """`meta.always`, as far as the origin and the client see it."""
    yield from seen.complaints
    if any(leaks(seen.heard, value.partition(b" ")[2]) for value in seen.injected):
        yield "the credential was shown to the client"
    if [request.target for request, _ in seen.arrived].count(b"/before") != seen.before:
        yield "the good request before it did not reach the origin once"
    for connection in seen.connections:
        if connection.fault is not None:
            yield f"the origin got what is not well-formed: {connection.fault}"
        if connection.partial and connection.ended is None:
            yield "an origin connection is open in the middle of a request"
        if connection.partial and not may_be_cut:
            yield "the origin got part of a request"
        for request in connection.requests:
            yield from _well_sent(request, seen)


def _well_sent(request: Request, seen: Seen) -> Iterator[str]:
    """What is right in every request an origin gets."""
    if request.all(b"authorization") not in ([[value] for value in seen.injected] or [[]]):
        yield f"Authorization at the origin: {request.all(b'authorization')}"
    if request.all(b"host") != [seen.authority]:
        yield f"Host at the origin: {request.all(b'host')}"
    if seen.own_rules and not request.all(b"via"):  # RFC 9110 section 7.6.3: a proxy MUST send it
        yield "no Via at the origin"
    names = [name for name in _HOP_BY_HOP if request.all(name)]
    if not seen.own_rules:
        names = [name for name in names if name != b"trailer" and not _ours_to_send(name, request)]
    if names:
        yield f"connection-specific fields at the origin: {names}"
    if seen.own_rules and request.trailers:
        yield f"trailers at the origin: {request.trailers}"


def _ours_to_send(name: bytes, request: Request) -> bool:
    """Whether it is a Connection that the proxy itself may send."""
    values = {value.lower() for value in request.all(name)}
    return name == b"connection" and values <= {b"close", b"keep-alive"}


# -- requests and policy --


def judge_request(case: Case, seen: Seen) -> list[str]:
    """Complaints about a case of `requests` or `policy`."""
    right = case["expect"] if case["expect"] != "either" else case["recommend"]
    verdicts = {"reject": list(_refused(case, seen)), "forward": list(_forwarded(case, seen))}
    if right in verdicts:
        return verdicts[right]
    return [*verdicts["reject"], "nor forwarded:", *verdicts["forward"]] if all(verdicts.values()) else []


def _refused(case: Case, seen: Seen) -> Iterator[str]:
    yield from _always(seen, may_be_cut=case.get("partial_ok", False))
    if seen.own:
        yield f"{len(seen.own)} requests reached the origin"
    if not case.get("partial_ok") and sum(len(each.octets) for each in seen.connections) > sum(
        each.end for each, _ in seen.arrived
    ):
        yield "bytes reached the origin"
    answers, rest = _answers(seen, [b"GET"])
    yield from rest
    if len(answers) > 1:
        yield "more than one answer"
    if answers and answers[0].status not in case.get("status", _REFUSALS):
        yield f"status {answers[0].status}"
    if answers and not answers[0].complete:
        yield "the answer is not whole"
    if not answers and seen.end is None:
        yield "neither answered nor closed"
    if case.get("close") and seen.end is None:
        yield "not closed"
    for echo in (b"smuggled", b"evil", b"u:p@"):
        if echo in seen.heard:
            yield f"the answer echoes {echo!r}"


def _forwarded(case: Case, seen: Seen) -> Iterator[str]:
    origin: Mapping[str, Any] = case.get("origin", {})
    yield from _always(seen, may_be_cut=False)
    arrived = seen.own
    least, most = _counts(origin.get("requests", 1), case["id"])
    if not least <= len(arrived) <= most:
        yield f"{len(arrived)} requests reached the origin, not {least} to {most}"
        return
    for key, value in origin.items():
        yield from _CHECKS[key](value, arrived[0], seen)
    answers, rest = _answers(seen, [request.method for request in arrived])
    yield from rest
    for answer, request in zip(answers, arrived, strict=False):
        yield from _own_answer(answer, request)
    if len(answers) < len(arrived):
        yield f"{len(answers)} answers to {len(arrived)} requests"
    if answers[len(arrived) :]:  # what follows the message may be refused, and then the connection ends
        following = answers[len(arrived) :]
        if len(following) > 1 or following[0].status not in _REFUSALS or seen.end is None:
            yield f"{len(following)} answers too many: {[each.status for each in following]}"
    if case.get("close") and seen.end is None:
        yield "not closed"


def _own_answer(answer: Answer, request: Request) -> Iterator[str]:
    body = echo_of(request)
    right = [b"%d" % len(body)] if request.method == b"HEAD" else [body]
    found = answer.all(b"content-length") if request.method == b"HEAD" else [answer.body]
    if (answer.status, answer.complete, found) != (200, True, right):
        yield f"the answer to {request.target!r} is {answer.status} {answer.body[:200]!r}"


def _counts(wanted: int | str, where: str) -> tuple[int, int]:
    """`<=1000, in order`: how many of them came is ours to say; their answers show the order."""
    if isinstance(wanted, int):
        return wanted, wanted
    match = COUNTED.fullmatch(wanted)
    if match is None:
        raise UnknownWord(f"{where}: requests {wanted}")
    return 1, int(match[1])


def _answers(seen: Seen, methods: list[bytes]) -> tuple[list[Answer], list[str]]:
    """All answers behind that to the good request, and what is wrong with the stream of them."""
    complaints: list[str] = []
    answers: list[Answer] = []
    left = seen.heard
    asked = [b"GET", *methods] if seen.before else methods
    while left:
        method = asked[len(answers)] if len(answers) < len(asked) else b"GET"
        try:
            answer = read_answer(left, method, ended=seen.end == "closed")
        except Malformed as error:
            complaints.append(f"the client got what is not well-formed: {error}")
            break
        if answer is None:
            complaints.append(f"the client got {left[:80]!r}")
            break
        left = left[answer.end :]
        answers.append(answer)
        if not answer.complete:
            break
    if seen.before:
        if not answers or (answers[0].status, answers[0].body) != (200, b"GET /before 0"):
            complaints.append("the good request before it did not get its own answer")
        answers = answers[1:]
    return answers, complaints


# -- `origin`, key by key --


def _same(what: str, found: object, wanted: object) -> Iterator[str]:
    if found != wanted:
        yield f"{what}: {found!r}, not {wanted!r}"


def _present(wanted: Mapping[str, str], message: Message, seen: Seen) -> Iterator[str]:
    for name, value in wanted.items():
        if value == "{injected if cookie mode}":
            # Sessions are not there yet, so no cookie is ours: that nothing of the caller's stands in for
            # it, and that Authorization is stamped all the same (`_well_sent`), is what can be seen.
            yield from _same("cookie", message.all(b"cookie"), [])
            continue
        right = {"{injected}": seen.injected[0], "{upstream authority}": seen.authority}
        if "{" in value and value not in right:
            raise UnknownWord(f"present {value}")
        yield from _same(name, message.all(octets(name)), [right.get(value, octets(value))])


def _absent(wanted: list[str], message: Message, _seen: Seen) -> Iterator[str]:
    for each in wanted:
        name, _, value = each.partition(":")
        found = [
            text
            for key, text in (*message.fields, *message.trailers)
            if key == octets(name) and (not value or text == octets(value.strip()))
        ]
        yield from _same(each, found, [])


def _absent_in_head(wanted: list[str], message: Message, _seen: Seen) -> Iterator[str]:
    for name in wanted:
        yield from _same(name, message.all(octets(name)), [])


def _absent_in_trailers(wanted: list[str], message: Message, _seen: Seen) -> Iterator[str]:
    for name in wanted:
        yield from _same(name, [value for key, value in message.trailers if key == octets(name)], [])


_WORDS: Final = {"\r in value": re.compile(rb"\r(?!\n)"), "bare LF": re.compile(rb"(?<!\r)\n")}


def _absent_octets(wanted: list[str], _message: Message, seen: Seen) -> Iterator[str]:
    for word in wanted:
        if word not in _WORDS and " " in word:
            raise UnknownWord(f"absent_octets {word}")
        pattern = _WORDS.get(word, re.compile(re.escape(octets(word))))
        if any(pattern.search(each.octets) for each in seen.connections):
            yield f"{word!r} at the origin"


def _list(wanted: Mapping[str, list[str]], message: Message, _seen: Seen) -> Iterator[str]:
    for name, values in wanted.items():
        yield from _same(name, message.all(octets(name)), [octets(value) for value in values])


_Check = Callable[[Any, Request, Seen], Iterator[str]]
_CHECKS: Final[Mapping[str, _Check]] = {
    "requests": lambda *_: iter(()),  # counted before
    "method": lambda wanted, request, _: _same("method", request.method, octets(wanted)),
    "target": lambda wanted, request, _: _same("target", request.target, octets(wanted)),
    # `strict` reads HTTP/1.1 alone
    "version": lambda wanted, _request, _: _same("version", "1.1", wanted),
    "body": lambda wanted, request, _: _same("body", request.body, octets(wanted)),
    "body_length": lambda wanted, request, _: _same("length of the body", len(request.body), wanted),
    "framing": lambda wanted, request, _: _same("framing", request.framing, wanted),
    "present": _present,
    "absent": _absent,
    "absent_in_header_section": _absent_in_head,
    "absent_in_trailers": _absent_in_trailers,
    "absent_octets": _absent_octets,
    "list": _list,
}


# -- responses --


def judge_response(case: Case, seen: Seen) -> list[str]:
    """Complaints about a case of `responses`."""
    complaints = list(_always(seen, may_be_cut=any(each.ended == "origin" for each in seen.connections)))
    method = joined(client_parts(case)).partition(b" ")[0]
    answers, rest = _answers(seen, [method])
    complaints += rest
    if len(answers) != 1:
        complaints.append(f"{len(answers)} answers")
        return complaints
    outcomes = [case["client_must_see"], *case.get("or", ())]
    if not case["client_must_see"]["complete"]:
        outcomes.append({"status": 502, "complete": True})  # nothing had been sent on yet (meta.responses)
    verdicts = [list(_outcome(outcome, answers[0], seen)) for outcome in outcomes]
    if all(verdicts):
        complaints += verdicts[0]
    complaints += _reuse(case, seen)
    return complaints


def _outcome(wanted: Mapping[str, Any], answer: Answer, seen: Seen) -> Iterator[str]:
    for key, value in wanted.items():
        yield from _OUTCOMES[key](value, answer, seen)


def _status(wanted: int | list[int], answer: Answer, _seen: Seen) -> Iterator[str]:
    if answer.status not in (wanted if isinstance(wanted, list) else [wanted]):
        yield f"status {answer.status}, not {wanted}"


def _complete(wanted: bool, answer: Answer, seen: Seen) -> Iterator[str]:
    if answer.complete != wanted:
        yield f"complete: {answer.complete}, not {wanted}"
    if not wanted and seen.end is None:
        yield "an answer that is not whole, on a connection that is left open"


def _seen_octets(wanted: list[str], _answer: Answer, seen: Seen) -> Iterator[str]:
    for word in wanted:
        if octets(word) in seen.heard:
            yield f"{word!r} at the client"


_Outcome = Callable[[Any, Answer, Seen], Iterator[str]]
_OUTCOMES: Final[Mapping[str, _Outcome]] = {
    "status": _status,
    "complete": _complete,
    "version": lambda wanted, _answer, _: _same("version", "1.1", wanted),
    "body": lambda wanted, answer, _: _same("body", answer.body, octets(wanted)),
    "body_prefix": lambda wanted, answer, _: _same("body", answer.body[: len(wanted)], octets(wanted)),
    "present": _present,
    "absent": _absent,
    "absent_in_header_section": _absent_in_head,
    "absent_octets": _seen_octets,
    "list": _list,
    "interim": lambda wanted, answer, _: _same("interim answers", answer.interim, wanted),
}


def _reuse(case: Case, seen: Seen) -> Iterator[str]:
    """`upstream_reuse`, at the origin: what came after the case on its connection."""
    # Again on another connection (RFC 9110 section 9.2.2), or once with a new credential; a POST never.
    if len(seen.own) > (1 if b"POST" in seen.sent else 2):
        yield f"{len(seen.own)} deliveries"
    numbers = [number for request, number in seen.arrived if request.target == b"/r"]
    if case.get("upstream_reuse") is None or not numbers:
        return
    connection = seen.connections[numbers[-1]]
    later = connection.requests[-1].target != b"/r"
    if later != case["upstream_reuse"] and (seen.own_rules or later):
        yield f"another request on the origin connection: {later}"
    if not case["upstream_reuse"] and connection.ended is None:
        yield "the origin connection was not closed"
