"""Pure: reads a path as all servers do, and refuses what two servers may read differently.

Tried on Tomcat 10.1, Spring Security 6.5 and Jetty 12: `/v2/process-instances;a=/search` creates an instance
on none of them, `/v2/process-instances;a=b` does on Tomcat. A proxy before the server may decode once more,
join `//` or resolve `..`. So such a path is never compared with a rule.
"""

import re
from typing import Final
from unicodedata import normalize
from urllib.parse import unquote_to_bytes

# Without other bytes, `//` and `/.` a path has only one spelling: the fast path of almost all.
_USUAL: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_~!$&'()*+,=:@./-"
_PCHARS: Final = re.compile(rb"(?:/(?:[A-Za-z0-9_~!$&'()*+,=:@.-]|%[0-9A-Fa-f]{2})*+)++")  # RFC 3986 3.3
_CODED: Final = re.compile(rb"%(?:[01][0-9A-Fa-f]|2[35EFef]|3[BFbf]|5[Cc]|7[Ff])")
_RESERVED: Final = "/\\;?#%."
_C1: Final = re.compile("[\x80-\x9f]")


class Unclear(ValueError):
    """Two servers may read the request differently. The message names what is in it, for a sentence."""


def segments(path: bytes) -> tuple[str, ...]:
    """Return the decoded segments of a path; a `/` at its end is an empty last one.

    Args:
        path: of a target, without its query; any bytes.

    Raises:
        Unclear
    """
    if path[:1] == b"/" and b"//" not in path and b"/." not in path and not path.translate(None, _USUAL):
        return tuple(path.decode("ascii")[1:].split("/"))
    text = _decoded(path)
    found = text[1:].split("/")
    for place, each in enumerate(found):
        if not each:
            if place < len(found) - 1:
                raise Unclear("an empty segment (`//`)")
        elif not each.strip(". \xa0\u3000\u200b\ufeff"):
            raise Unclear("a segment of dots or blanks")
    return tuple(found)


def _decoded(path: bytes) -> str:
    if b";" in path:
        raise Unclear("a path parameter (`;`)")
    if b"\\" in path:
        raise Unclear("a backslash")
    if not _PCHARS.fullmatch(path):
        raise Unclear("a character that a path must not have, or a `%` without two hexadecimal digits")
    coded = _CODED.search(path)
    if coded:
        raise Unclear("an encoded `/`, `.`, `%`, `;`, `?`, `#`, `\\` or control character")
    try:
        text = unquote_to_bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        raise Unclear("encoded bytes that are no UTF-8") from None
    folded = normalize("NFKC", text)
    if _C1.search(text) or any(folded.count(each) != text.count(each) for each in _RESERVED):
        raise Unclear("a character that a server may take for a slash, a dot or a control character")
    return text


def check_query(query: bytes) -> None:
    """Refuse a query with a `_method` parameter, because some frameworks take the method from there.

    Spring does with `spring.mvc.hiddenmethod.filter.enabled`. Nothing else in a query is refused.

    Raises:
        Unclear
    """
    if b"_method" not in unquote_to_bytes(unquote_to_bytes(query)).lower():
        return
    for part in re.split(rb"[&;?]", query):
        name = part.partition(b"=")[0].replace(b"+", b" ")
        for _ in range(2):
            name = unquote_to_bytes(name)
        if name.strip(b" \t\r\n\0").lower() == b"_method":
            raise Unclear("a `_method` parameter, which may replace its method")


OVERRIDES: Final = frozenset(
    b"x-http-method-override x-http-method x-method-override x-original-url x-rewrite-url"
    b" x-original-method x-override-url x-http-path-override".split()
)
"""Header fields in which some frameworks look for another method or path. With `_` for `-` they count too."""

_MAY_OVERRIDE: Final = re.compile(rb"(?i)x[-_](?:http|method|original|rewrite|override)")


def overrides(name: bytes) -> bool:
    """Tell whether a header field may replace the method or the path of its request.

    Args:
        name: of the field, any case.
    """
    return _MAY_OVERRIDE.match(name) is not None and name.lower().replace(b"_", b"-") in OVERRIDES


def is_form(content_type: bytes) -> bool:
    """Tell whether a body of this type is a form, in which a `_method` field may replace the method."""
    lower = content_type.lower()
    return b"form" in lower or b"multipart" in lower
