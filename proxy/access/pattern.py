"""Pure: reads the rules of `allow` and `deny`: `METHOD /path`."""

import re
from dataclasses import dataclass
from typing import Final

from proxy.access.operations import methods_for
from proxy.access.spelling import Unclear, segments
from proxy.access.tree import ANY_METHOD, BELOW, is_variable

_RULE: Final = re.compile(r"(\S+)[ \t]+(\S.*)")
_METHOD: Final = re.compile(r"[A-Z][A-Z-]{0,31}")
_IN_THE_WAY: Final = re.compile(r"[?#;\\\x00-\x20\x7f]")
_AT_END: Final = re.compile(r"(?<=[^/. ])[. ]++(?=/|$)")
_LAST_SUFFIX: Final = re.compile(r"(?<=[^/])\.[a-z0-9]{1,8}$")


class WrongRule(ValueError):
    """A rule that cannot be one. The message says why, and what to write."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A rule.

    Attributes:
        text: as written.
        method: exact, or `*`.
        path: segments; `*` is any one, `**` at the end is one or more.
    """

    text: str
    method: str
    path: tuple[str, ...]

    @classmethod
    def read(cls, text: str) -> "Pattern":
        """Read a rule.

        Raises:
            WrongRule
        """
        match = _RULE.fullmatch(text)
        if match is None:
            raise WrongRule('must be a method and a path, as in "POST /v2/process-instances"')
        method, path = match.groups()
        if method != ANY_METHOD and not _METHOD.fullmatch(method):
            hint = f"; write {method.upper()}" if _METHOD.fullmatch(method.upper()) else ""
            raise WrongRule(f"must begin with a method in capitals, or with * for every method{hint}")
        if not path.startswith("/"):
            raise WrongRule(
                "must have a path that begins with / after the method, as the API's documentation has it"
            )
        if _IN_THE_WAY.search(path):
            raise WrongRule("must have a path alone: no query, no fragment, no `;`, no blank (write %20)")
        return cls(text, method, tuple(_segment(each, path) for each in _split(path)))

    def covers(self, other: "Pattern") -> bool:
        """Tell whether this rule matches everything that the other one matches."""
        if self.method not in (ANY_METHOD, other.method) and (self.method, other.method) != ("GET", "HEAD"):
            return False
        mine, theirs = self.path, other.path
        if mine[-1] == BELOW:
            head = mine[:-1]
            return len(theirs) > len(head) and all(map(_wider, head, theirs))
        return len(mine) == len(theirs) and all(map(_wider, mine, theirs))

    def meets(self, method: str, template: tuple[str, ...]) -> bool:
        """Tell whether this rule matches some request for an operation.

        Args:
            template: segments of the operation's path.
        """
        if self.method not in methods_for(method) and (self.method, method) != ("HEAD", "GET"):
            return False
        mine = self.path
        if mine[-1] == BELOW:
            head = mine[:-1]
            return len(template) > len(head) and all(map(_may_be_equal, head, template))
        return len(mine) == len(template) and all(map(_may_be_equal, mine, template))

    @property
    def generous(self) -> tuple[str, ...]:
        """The path as the most generous server compares it; see `generous`."""
        return generous(self.path)


def generous(path: tuple[str, ...]) -> tuple[str, ...]:
    """Return a path as the most generous server compares it: a rule of `deny` must match these spellings too.

    Such a server ignores case, a slash at the end, dots and blanks at the end of a segment (Windows), and a
    suffix such as `.json` (Spring up to 5.2).
    """
    text = "/".join(path).upper().casefold()
    if text.endswith("/"):
        text = text[:-1] or text
    if "." in text or " " in text:
        text = _LAST_SUFFIX.sub("", _AT_END.sub("", text))
    return tuple(text.split("/"))


def _split(path: str) -> tuple[str, ...]:
    """Decode the path of a rule; its `{` and `}` need no encoding.

    Raises:
        WrongRule
    """
    shown = path.replace("{", "%7B").replace("}", "%7D").encode()
    coded = b"".join(bytes([byte]) if byte < 0x80 else b"%%%02X" % byte for byte in shown)
    try:
        return segments(coded)
    except Unclear as error:
        raise WrongRule(
            f"can never match, because its path has {error}, and such requests are refused"
        ) from None


def _segment(segment: str, path: str) -> str:
    if segment == BELOW:
        if not path.endswith("/**") or path.count("**") > 1:
            raise WrongRule("may have ** only at its end, as in /v2/users/**; * is one segment")
    elif "*" in segment and segment != "*":
        raise WrongRule("may have * only as a whole segment, as in /v2/users/*")
    return "*" if is_variable(segment) else segment


def _wider(mine: str, theirs: str) -> bool:
    return mine == theirs or (mine == "*" and theirs not in ("", BELOW))


def _may_be_equal(mine: str, theirs: str) -> bool:
    if mine == theirs or is_variable(mine) or is_variable(theirs):
        return True
    if "{" not in theirs:
        return False
    texts = [re.escape(text) for text in re.split(r"\{[^{}]*\}", theirs)]
    return re.fullmatch(".+?".join(texts), mine) is not None
