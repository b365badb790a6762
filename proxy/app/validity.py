"""Reads until when a certificate is valid, because Python's `ssl` does not tell it of our own certificate."""

import ssl
from calendar import timegm
from pathlib import Path
from typing import Final

_BEGIN: Final = "-----BEGIN CERTIFICATE-----"
_END: Final = "-----END CERTIFICATE-----"
_VERSION: Final = 0xA0  # [0], which version 1 leaves out
_UTC_TIME: Final = 0x17


def not_after(file: Path) -> float | None:
    """Return the end of validity of the first certificate in a PEM file (RFC 5280 section 4.1).

    In seconds since 1970; None: it cannot be read.
    """
    try:
        text = file.read_text(encoding="latin-1")
        block = text[text.index(_BEGIN) : text.index(_END) + len(_END)]
        return _not_after(ssl.PEM_cert_to_DER_cert(block))
    except (OSError, ValueError, IndexError):
        return None


def _not_after(der: bytes) -> float:
    _, at, _ = _element(der, 0)  # Certificate
    _, at, _ = _element(der, at)  # tbsCertificate
    tag, _, end = _element(der, at)
    if tag == _VERSION:
        at = end
    for _ in range(3):  # serialNumber, signature, issuer
        _, _, at = _element(der, at)
    _, at, _ = _element(der, at)  # validity
    _, _, at = _element(der, at)  # notBefore
    tag, start, end = _element(der, at)
    text = der[start:end].decode("ascii")
    if tag == _UTC_TIME:  # two digits of the year: 50 is 1950 (RFC 5280 section 4.1.2.5.1)
        text = ("19" if text[:2] >= "50" else "20") + text
    parts = (text[:4], text[4:6], text[6:8], text[8:10], text[10:12], text[12:14])
    return float(timegm(tuple(map(int, parts))))


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """Return tag, start and end of the content of the element at `at` (X.690 section 8.1)."""
    tag, length = der[at], der[at + 1]
    start = at + 2
    if length >= 0x80:
        size = length & 0x7F
        length = int.from_bytes(der[start : start + size], "big")
        start += size
    if start + length > len(der):
        raise ValueError("the certificate is cut off")
    return tag, start, start + length
