"""The cases as data, and what the keys and words in them may be: anything else fails the run."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

Case = Mapping[str, Any]
Part = bytes | float
"""Bytes, or seconds to wait."""

DATA: Final = Path(__file__).parent.parent / "data"

SECTIONS: Final = ("requests", "policy", "responses")

_IDENTITY: Final = {"id", "category", "description", "source", "rfc", "note", "level"}
_REQUEST: Final = (
    _IDENTITY
    | {"raw_request", "raw_request_parts", "half_close", "expect", "recommend", "status", "close"}
    | {"partial_ok", "origin"}
)
_ORIGIN: Final = {
    *("method", "target", "version", "body", "body_length", "requests", "present", "absent", "list"),
    *("absent_in_header_section", "absent_in_trailers", "absent_octets", "framing"),
}
_RESPONSE: Final = _IDENTITY | {
    *("request", "raw_response", "raw_response_parts", "origin_then", "client_must_see", "or"),
    "upstream_reuse",
}
_SEEN: Final = {
    *("status", "version", "body", "body_prefix", "complete", "present", "absent", "list", "interim"),
    *("absent_in_header_section", "absent_octets"),
}
WORDS: Final = {
    *("{injected}", "{injected if cookie mode}", "{upstream authority}"),
    *("\r in value", "bare LF"),
}
COUNTED: Final = re.compile(r"<=(\d+), in order")
PAUSED_UPLOAD: Final = "(first 1000 octets, pause, rest)"


class UnknownWord(Exception):
    """A key or a word that the runner has no check for."""


def load(name: str, section: str, folder: Path = DATA) -> list[Case]:
    """One section of a data file.

    Raises:
        UnknownWord
    """
    data = json.loads((folder / name).read_text(encoding="utf-8"))
    _known(data, {"meta", "requests", "policy", "responses", "observed"}, name)
    cases: list[Case] = data[section]
    for case in cases:
        _check(case, section)
    return cases


def suite(name: str) -> list[tuple[str, Case]]:
    """All cases of a data file, each with its section."""
    return [(section, case) for section in SECTIONS for case in load(name, section)]


def _check(case: Case, section: str) -> None:
    where = case["id"]
    if section == "responses":
        _known(case, _RESPONSE, where)
        for outcome in (case["client_must_see"], *case.get("or", ())):
            _known(outcome, _SEEN, where)
        script_of(case)
        return
    _known(case, _REQUEST, where)
    _known(case.get("origin", {}), _ORIGIN, where)
    _check_words(case.get("origin", {}), where)
    for value in (case["expect"], case["recommend"]):
        if value not in ("reject", "forward", "either"):
            raise UnknownWord(f"{where}: {value}")


def _check_words(origin: Mapping[str, Any], where: str) -> None:
    """What is not to be taken as it stands must be a word that is known.

    Raises:
        UnknownWord
    """
    words = [value for value in origin.get("present", {}).values() if "{" in value]
    words += [value for value in origin.get("absent_octets", ()) if " " in value]
    words += [value for value in (origin.get("requests", 1),) if isinstance(value, str)]
    for word in words:
        if word not in WORDS and not COUNTED.fullmatch(word):
            raise UnknownWord(f"{where}: {word}")


def _known(found: Mapping[str, Any], known: set[str], where: str) -> None:
    if unknown := found.keys() - known:
        raise UnknownWord(f"{where}: {sorted(unknown)}")


def octets(text: str) -> bytes:
    return text.encode("latin-1")


def parts(case: Case, key: str) -> list[Part]:
    """What is sent, in order."""
    if key in case:
        return [octets(case[key])]
    return [_part(part, case["id"]) for part in case[f"{key}_parts"]]


def _part(part: Any, where: str) -> Part:
    if isinstance(part, str):
        return octets(part)
    if part.keys() == {"repeat", "count"}:
        return octets(part["repeat"]) * int(part["count"])
    if part.keys() == {"flush_ms"}:
        return float(part["flush_ms"]) / 1000
    raise UnknownWord(f"{where}: {part}")


def client_parts(case: Case) -> list[Part]:
    """What the client of a case in `responses` sends."""
    text: str = case["request"]
    if text.endswith(PAUSED_UPLOAD):
        return [octets(text.removesuffix(PAUSED_UPLOAD)) + b"x" * 1000, 0.2, b"x" * 999_000]
    if "(" in text:
        raise UnknownWord(f"{case['id']}: {text}")
    return [octets(text)]


def joined(pieces: list[Part]) -> bytes:
    return b"".join(piece for piece in pieces if isinstance(piece, bytes))


_LATER = re.compile(r"after (\d+) ms send '(.*)'")
_SCRIPTS: Final = {
    "keep": "keep",
    "close": "close",
    "reset": "reset",
    "hang": "hang",
    "always 401": "keep",
    "close after headers": "early",
    "close pooled connection on the second request": "stale",
    "close pooled connection on the second request; answer normally on the next connection": "stale",
}


def script_of(case: Case) -> tuple[str, float, bytes]:
    """What the origin does after its answer: a word, and for `later` the seconds and the bytes."""
    text: str = case["origin_then"]
    if text in _SCRIPTS:
        return _SCRIPTS[text], 0.0, b""
    match = _LATER.fullmatch(text)
    if match is None:
        raise UnknownWord(f"{case['id']}: {text}")
    return "later", int(match[1]) / 1000, octets(match[2].replace("\\r", "\r").replace("\\n", "\n"))


_NAMED: Final = {"host-rebind-port", "host-rebind-suffix", "host-zero", "target-absolute-other"}


_SCHEMES: Final = {
    "browser-same-origin": [("Origin: http:", "Origin: https:")],
    "more-browser-https": [("Origin: https:", "Origin: http:")],
}
"""Cases about our own origin, which has another scheme there."""


def at_a_tls_listener(cases: Iterable[tuple[str, Case]]) -> list[tuple[str, Case]]:
    """The cases that a client of asyncio's can send over TLS, as it cannot half-close. Our pages are https://.

    How much arrives of an answer that is cut is not certain: the reset overtakes what the client still holds.
    That the answer is not whole must be seen all the same.
    """
    found = []
    for section, case in cases:
        for other in _SCHEMES.get(case["id"], ()):
            case = {**case, "raw_request": case["raw_request"].replace(*other)}
        seen = case.get("client_must_see", {})
        if seen.get("complete") is False and "body_prefix" in seen:
            less = {name: value for name, value in seen.items() if name != "body_prefix"}
            case = {**case, "client_must_see": less}
        if not case.get("half_close"):
            found.append((section, case))
    return found


def on_a_unix_socket(cases: Iterable[tuple[str, Case]]) -> list[tuple[str, Case]]:
    """The same cases where no browser can reach the port: any well-formed host name is right there."""
    anyone = {"expect": "forward", "recommend": "forward", "status": [200]}
    return [(section, {**case, **anyone} if case["id"] in _NAMED else case) for section, case in cases]


_MUTANTS: Final = (
    ("after-colon", "Transfer-Encoding:{}chunked"),
    ("before-colon", "Transfer-Encoding{}: chunked"),
    ("before-name", "{}Transfer-Encoding: chunked"),
    ("after-value", "Transfer-Encoding: chunked{}"),
)
_CHUNKS: Final = "5\r\nhello\r\n0\r\n\r\n"


def mutations() -> Iterator[Case]:
    """The byte families of `meta.mutations`: only OWS around the value is Transfer-Encoding still."""
    for octet in (*range(0x01, 0x21), *range(0x7F, 0x100)):
        for place, line in _MUTANTS:
            for length in ("", f"Content-Length: {len(_CHUNKS)}\r\n"):
                passes = not length and octet in (0x09, 0x20) and place in ("after-colon", "after-value")
                yield {
                    "id": f"mutation-{place}-{octet:02x}{'-cl' if length else ''}",
                    "raw_request": "POST /p HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                    f"{line.format(chr(octet))}\r\n{length}\r\n{_CHUNKS}",
                    "expect": "forward" if passes else "reject",
                    "recommend": "forward" if passes else "reject",
                    "close": True,
                    "origin": {"body": "hello"},
                }
