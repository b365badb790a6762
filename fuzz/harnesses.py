"""All harnesses by name. Each takes any bytes, and raises where a promise is broken."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from fuzz import access, answers, credentials, doctor, files, long, messages, requests, targets

HERE: Final = Path(__file__).parent

HARNESSES: Final[dict[str, Callable[[bytes], None]]] = {
    "requests": requests.requests,
    "answers": answers.answers,
    "heads": answers.heads,
    "guard": requests.guard,
    "fields": answers.fields,
    "refusal": answers.refusal,
    "paths": targets.paths,
    "access": access.access,
    "messages": messages.messages,
    "token-answers": credentials.token_answers,
    "jwts": credentials.jwts,
    "retry-after": credentials.retry_after,
    "cookies": credentials.cookies,
    "logins": credentials.logins,
    "doctor": doctor.doctor,
    "keys": credentials.keys,
    "secret-files": credentials.secret_files,
    "yaml": files.yaml,
    "env-files": files.env_files,
    "long": long.long,
}

_DICTIONARY: Final = {
    **dict.fromkeys(
        ("token-answers", "jwts", "retry-after", "logins", "keys", "secret-files"), "credentials"
    ),
    **dict.fromkeys(("yaml", "env-files"), "files"),
    **dict.fromkeys(("paths", "access"), "paths"),
}


def dictionary(name: str) -> Path:
    """Return the file of words that a harness is helped by."""
    return HERE / "dictionaries" / f"{_DICTIONARY.get(name, 'http')}.dict"


def corpus(name: str) -> list[bytes]:
    """Inputs to begin with: the folder's files; some more from elsewhere."""
    found = [path.read_bytes() for path in sorted((HERE / "corpus" / name).glob("*"))]
    return found + CASES[name]() if name in CASES else found


def _raw(sections: tuple[str, ...], key: str) -> list[bytes]:
    from tests.http.cases import joined, parts, suite

    cases = [*suite("http_cases.json"), *suite("more_http_cases.json")]
    whole = [joined(parts(case, key)) for section, case in cases if section in sections]
    return [octets for octets in whole if len(octets) <= 2048]


CASES: Final[dict[str, Callable[[], list[bytes]]]] = {
    "requests": lambda: _raw(("requests", "policy"), "raw_request"),
    "guard": lambda: _raw(("policy",), "raw_request"),
    "answers": lambda: _raw(("responses",), "raw_response"),
    "heads": lambda: _raw(("responses",), "raw_response"),
    "keys": credentials.key_seeds,
    "secret-files": credentials.key_seeds,
}
