"""Reads single values as people write them: `30s`, `64KiB`, `true`. Errors never repeat the value."""

import re
from datetime import datetime
from hashlib import sha256

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}
_BYTES = {"": 1, "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_LONGEST = 30 * 24 * 3600
_LARGEST = 1024**3


def seconds(value: object) -> float:
    """Read `30s`, `5m`, `1h` or a number of seconds; at most 30 days.

    Raises:
        ValueError: anything else, in a sentence.
    """
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s?([smh]?)", str(value), re.ASCII)
    if match is None:
        raise ValueError("is not a duration: write 30s, 5m, 1h or a number of seconds")
    result = float(match[1]) * _SECONDS[match[2]]
    if result > _LONGEST:
        raise ValueError("is longer than 30 days")
    return result


def positive_seconds(value: object) -> float:
    """Read as `seconds` does, but refuse zero.

    Raises:
        ValueError: anything else, in a sentence.
    """
    result = seconds(value)
    if result == 0:
        raise ValueError("must be longer than zero")
    return result


def byte_count(value: object) -> int:
    """Read `64KiB`, `8MiB` or a number of bytes; at most 1 GiB.

    Raises:
        ValueError: anything else, in a sentence.
    """
    match = re.fullmatch(r"([0-9]{1,10})\s?(B|KiB|MiB|GiB)?", str(value), re.ASCII)
    if match is None:
        raise ValueError("is not a size: write 64KiB, 8MiB or a number of bytes")
    result = int(match[1]) * _BYTES[match[2] or ""]
    if result > _LARGEST:
        raise ValueError("is larger than 1GiB")
    return result


def count(value: object) -> int:
    """Read a whole number from 1 to 65536.

    Raises:
        ValueError: anything else, in a sentence.
    """
    text = str(value)
    if not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) or not 1 <= int(text) <= 65536:
        raise ValueError("must be a whole number from 1 to 65536")
    return int(text)


def per_second(value: object) -> float:
    """Read a number of requests per second, from 0.001 to 100000.

    Raises:
        ValueError: anything else, in a sentence.
    """
    match = re.fullmatch(r"[0-9]{1,6}(?:\.[0-9]{1,9})?", str(value), re.ASCII)
    if match is None or not 0.001 <= float(match[0]) <= 100_000:
        raise ValueError("must be a number of requests per second from 0.001 to 100000, as in 5 or 0.5")
    return float(match[0])


def moment(value: object) -> float:
    """Read a time with its zone, `2027-01-31T00:00:00Z` (RFC 3339 section 5.6), as seconds since 1970.

    Raises:
        ValueError: anything else, in a sentence.
    """
    text = str(value)
    try:
        if re.fullmatch(r"[0-9]{4}(-[0-9]{2}){2}[Tt ][0-9:.]{5,15}([Zz]|[+-][0-9:]{5})", text, re.ASCII):
            return datetime.fromisoformat(text.upper()).timestamp()
    except (ValueError, OverflowError):
        pass
    raise ValueError("must be a time with its zone, as in 2027-01-31T00:00:00Z")


def sha256_digest(value: object) -> bytes:
    """Read a SHA-256 as 64 hexadecimal digits.

    Raises:
        ValueError: anything else, or that of an empty text, in a sentence.
    """
    text = str(value)
    if not re.fullmatch(r"[0-9A-Fa-f]{64}", text, re.ASCII):
        raise ValueError(
            "must be the SHA-256 of a token as 64 hexadecimal digits; camunda-auth-proxy token new prints it"
        )
    digest = bytes.fromhex(text)
    if digest == sha256(b"").digest():
        raise ValueError("is the SHA-256 of an empty text, so no token belongs to it")
    return digest


def flag(value: object) -> bool:
    """Read `true` or `false` as YAML 1.2 spells them; YAML parsers disagree about `yes` and `on`.

    Raises:
        ValueError: anything else, in a sentence.
    """
    text = str(value)
    if text not in {"true", "True", "TRUE", "false", "False", "FALSE"}:
        raise ValueError("must be true or false")
    return text.lower() == "true"


def certificate_san(text: str) -> str:
    """Read a subject alternative name as OpenSSL writes it; return it as the gateway compares it."""
    kind, _, name = text.partition(":")
    if kind not in ("DNS", "URI", "email") or not name:
        raise ValueError(
            "must be a name of the client's certificate with its kind: URI:spiffe://..., DNS:a.example or "
            "email:a@example.com"
        )
    if not name.isascii() or "*" in name or any(char.isspace() for char in name):
        raise ValueError("must be one whole name in ASCII, without * and white space")
    return f"DNS:{name.lower()}" if kind == "DNS" else text
