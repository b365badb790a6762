"""Masks secrets in texts: pure functions."""

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

MASK = "***"
SHORTEST = 4
"""Fewest characters of a text that is masked; a shorter one is found in every line, and protects nothing."""

LONGEST_IN_BASE64 = 512
"""Most bytes of a secret that is masked in base64 too; longer ones are tokens, which are sent as they are."""

SHORTEST_IN_BASE64 = 6
"""Fewest characters of a form in base64 that is masked."""


def masked(text: str, secrets: Iterable[str]) -> str:
    """Return a text with MASK in place of each secret, in every form that `forms` returns."""
    found = {form for secret in secrets if len(secret) >= SHORTEST for form in forms(secret)}
    for form in sorted(found, key=len, reverse=True):
        text = text.replace(form, MASK)
    return text


def forms(secret: str) -> set[str]:
    """Return the forms in which a secret may be written in a line.

    As it is; percent-encoded, as in a form or a URL; in a repr, as text or as bytes; in base64, alone or
    within other text, as in Basic; and each of these within JSON, which escapes quotes and all but ASCII.
    """
    data = secret.encode("utf-8", "surrogatepass")
    plain = {secret, quote(data, safe=""), quote(data), quote_plus(data)}
    plain |= {repr(secret)[1:-1], repr(data)[2:-1], *_within_json(secret)}
    if len(data) <= LONGEST_IN_BASE64:
        plain |= _within_base64(data) | _within_base64(quote_plus(data).encode("ascii"))
    found = plain.union(*map(_within_json, plain))
    return {form for form in found if len(form) >= SHORTEST}


def _within_json(text: str) -> set[str]:
    return {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}


def _within_base64(data: bytes) -> set[str]:
    """Return what `data` looks like in base64 within other data: three forms, by the length of what precedes.

    A form has only the characters that encode nothing but `data`. If these are too few, they could be found
    in any line, so that form is left out.
    """
    found: set[str] = set()
    for before in range(3):
        first, end = -(-before * 8 // 6), (before + len(data)) * 8 // 6
        for encode in (b64encode, urlsafe_b64encode):
            form = encode(b"\0" * before + data).decode("ascii")[first:end]
            if len(form) >= SHORTEST_IN_BASE64:
                found.add(form)
    return found
