"""Linear time: a piece of the input is repeated until it is long, and each reader has to come to an end.

Nothing is measured: a reader that takes quadratic time needs minutes for an input, and then the fuzzer's own
limit for one input ends it.
"""

from collections.abc import Callable
from functools import partial
from typing import Final
from zlib import crc32

from fuzz.answers import Upstream
from fuzz.answers import forget as forget_answers
from fuzz.files import _refused
from fuzz.requests import _head, read
from proxy.config.document.addresses import base_url, listen, origin
from proxy.config.written.env_file import read_env_file
from proxy.config.written.variables import substitute
from proxy.config.written.yaml_reader import read_yaml
from proxy.credentials.cookies import Jar
from proxy.credentials.discovery import token_endpoint
from proxy.credentials.reply import Reply
from proxy.credentials.token_answer import parse_token_answer
from proxy.errors import CredentialError, RequestRefused
from proxy.gateway import paths
from proxy.gateway.admission import identified
from proxy.gateway.callers import Callers
from proxy.gateway.guard import Guard
from proxy.gateway.options import allowing
from proxy.gateway.refusal import Asked, judge
from proxy.gateway.request_head import parse_head

LONG: Final = 128 * 1024
"""Bytes of what is read whole."""

SHORTER: Final = 16 * 1024
"""Bytes of what comes byte by byte, or is read by PyYAML, which is slow."""


def long(octets: bytes) -> None:
    """The input is a beginning, what is repeated, and an end, with `|` between."""
    begin, _, rest = octets.partition(b"|")
    unit, _, end = rest.partition(b"|")
    unit = unit or b"a"
    whole = begin + unit * ((LONG - len(begin) - len(end)) // len(unit)) + end
    short = begin + unit * (SHORTER // len(unit)) + end
    readers = (_requests, _targets, _answers, _texts)
    readers[crc32(octets) % len(readers)](whole, short)  # all of them would take a second


def _try(call: Callable[[], object]) -> None:
    try:
        call()
    except (RequestRefused, CredentialError, ValueError):
        return


def _requests(whole: bytes, short: bytes) -> None:
    read(whole)
    read(*(short[at : at + 1] for at in range(len(short))))
    _try(lambda: parse_head(whole))


def _targets(whole: bytes, short: bytes) -> None:
    for path in (paths.read, paths.signs_in, paths.has_dot_segments, paths.stays_here, paths.is_plain):
        path(b"/" + whole)
    asked = Asked(b"POST", b"/" + whole, b"origin", whole)
    for name in (b"location", b"www-authenticate", b"set-cookie", b"content-type"):
        judge(403, [(name, whole)], asked, whole)
        judge(302, [(name, whole)], asked)
    head = _head(b"X: " + short.replace(b"\r", b"").replace(b"\n", b""))
    if head is not None:
        name, value = head.fields[0]
        for noted in (b"origin", b"authorization", b"access-control-request-method", b"via"):
            head.notable[:1] = [(noted, value)]
            head.fields[0] = (b"Access-Control-Request-Headers", value)
            _try(lambda: Guard().check(head))
            _try(lambda: identified(head, Callers(lambda: 0.0), 0.0))
            _try(lambda: allowing(head))
        head.host = value
        _try(lambda: Guard().check(head))


def _answers(whole: bytes, short: bytes) -> None:
    forget_answers()
    Upstream(b"GET").hear([whole])
    Upstream(b"GET").hear(short[at : at + 1] for at in range(len(short)))
    Jar().after([(b"set-cookie", whole), (b"set-cookie", b"a=b; " + whole)], 0.0)
    Jar().after([(b"set-cookie", line) for line in whole.split(b"\n")], 0.0)
    text = whole.decode("latin-1")
    for answer in (Reply(200, whole), Reply(429, b"", (("retry-after", text), ("date", text)))):
        _try(partial(parse_token_answer, answer, 0.0, 0.0))
        _try(partial(token_endpoint, answer, "https://x", 0.0))


def _texts(octets: bytes, octets_of_yaml: bytes) -> None:
    whole, short = octets.decode("latin-1"), octets_of_yaml.decode("latin-1")
    _refused(lambda: read_env_file(whole, "f"))
    _refused(lambda: read_env_file(whole.replace("\n", " "), "f"))
    _try(lambda: substitute(whole, {"A": "a"}))
    _refused(lambda: read_yaml(short, "f", lambda text: text))
    for reader in (base_url, listen, origin):
        _try(partial(reader, whole))
        _try(partial(reader, "http://" + whole))
