"""Pure: reads the bytes of a secret's file, and says what looks odd in a secret. Never shows any of it."""

import re
import unicodedata
from typing import Final

_QUOTES: Final = {'"': '"', "'": "'", "`": "`", "\u201c": "\u201d", "\u2018": "\u2019", "\u00ab": "\u00bb"}
_CURLY: Final = frozenset(chr(code) for code in (*range(0x2010, 0x2016), *range(0x2018, 0x2020), 0x2026))
_SPACES: Final = frozenset("\u00a0\u2007\u202f\u3000")
_ASSIGNMENT: Final = re.compile(r"(?:export\s+)?[A-Z][A-Z0-9_]{3,63}=[^=]|[a-z][a-z_]{3,63}: ")
_PLACEHOLDER: Final = re.compile(r"\$\{?[A-Za-z_][A-Za-z0-9_]*\}?|\$\(.*\)|<[^<>]+>|\{\{.*\}\}")


class NotText(ValueError):
    """The bytes are no text in UTF-8. The message follows the file's name."""


def read_text(data: bytes) -> str:
    """Return the secret in a file: UTF-8, without a byte order mark and without one line end.

    Raises:
        NotText
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data:
        raise NotText("is UTF-16 or binary, not UTF-8; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotText("is not UTF-8; save it as UTF-8") from None
    return text.removesuffix("\n").removesuffix("\r")


_JWT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)")


def is_jwt(text: str) -> bool:
    """Tell whether it has the form of a signed JWT (RFC 7515 section 7.1); its parts are not decoded.

    A text that was cut within its signature is recognised in one case of four, by a length that base64url
    never has.
    """
    found = _JWT.fullmatch(text)
    return found is not None and len(found[1]) % 4 != 1


def oddities(text: str) -> list[str]:
    """Say what looks odd in a secret, or in a client id or user name: predicates about it, none of its text.

    They are for notices: a secret may really have such characters.
    """
    if "-----BEGIN " in text:  # a key
        return []
    found = [
        (text != text.strip(), "begins or ends with white space or a line end"),
        ("\n" in text.strip() or "\r" in text.strip(), "has several lines"),
        (len(text) > 1 and _QUOTES.get(text[0]) == text[-1], "stands in quotes, which then belong to it"),
        (_ASSIGNMENT.match(text) is not None, "begins like NAME=value; write the value alone"),
        (_PLACEHOLDER.fullmatch(text) is not None, "looks like a placeholder that was not replaced"),
        (text[:7].lower() in ("bearer ", "basic "), "begins with Bearer or Basic; leave that word out"),
        (not _CURLY.isdisjoint(text), "has curly quotes or long dashes, as word processors write them"),
        (any(_invisible(char) for char in text), "has invisible characters"),
        (not _SPACES.isdisjoint(text), "has a space that is no ordinary one"),
    ]
    return [words for odd, words in found if odd]


def _invisible(char: str) -> bool:
    """Tell whether it is a zero-width, formatting or control character, and no line end."""
    return unicodedata.category(char) in ("Cf", "Cc", "Co", "Cn") and char not in "\r\n"
