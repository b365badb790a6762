"""Pure: a block of lines for each upstream, for a terminal, as `run` and `status` print them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Final

WIDTH: Final = 76
"""Most columns of a line. A terminal has 80, and a quotation in a mail adds two or four."""

_ARTICLES: Final = ("a", "an", "the", "no", "each", "every")
_INDENT: Final = "  "


@dataclass(frozen=True, slots=True)
class Block:
    """What a block says.

    Attributes:
        url: local address: a URL, or the path of a Unix socket.
        to: base URL of the upstream.
        whom: as whom the proxy calls it.
        state: in a few words.
        reasons: sentences: why, and what to do next.
    """

    name: str
    url: str
    to: str
    whom: str
    state: str
    reasons: tuple[str, ...] = ()


def blocks(found: Iterable[Block]) -> str:
    """Return the text of all blocks, with an empty line between them."""
    return "\n\n".join("\n".join(_lines(block)) for block in found)


def _lines(block: Block) -> Iterable[str]:
    first = f"{block.name}  {block.url}  {block.state}"
    if len(first) <= WIDTH:
        yield first
    else:
        yield from folded(block.name, "")
        yield from folded(block.url, _INDENT)
        yield from folded(block.state, _INDENT)
    yield from folded(block.to, f"{_INDENT}to  ")
    yield from folded(block.whom, f"{_INDENT}as  ")
    for reason in block.reasons:
        yield from folded(reason, _INDENT)


def folded(text: str, label: str) -> list[str]:
    """Return lines of WIDTH columns at most: the label, and the text beside it. A longer word is cut."""
    return wrap(
        text,
        WIDTH,
        initial_indent=label,
        subsequent_indent=" " * len(label),
        break_on_hyphens=False,
    )


def sentence(text: str) -> str:
    """Return a reason as a sentence. Its first word keeps its case if it may be a setting or a name."""
    start = text[:1].upper() if text.split(" ", 1)[0] in _ARTICLES else text[:1]
    return f"{start}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"


def command_lines(words: Sequence[str], label: str) -> list[str]:
    """Return a command for a POSIX shell in lines of WIDTH columns, if its words allow that.

    Args:
        words: quoted already; an option and its value are one word.
        label: stands before the first line.
    """
    indent = " " * len(label)
    lines = [f"{label}{words[0]}"]
    for word in words[1:]:
        if len(lines[-1]) + len(word) + 3 <= WIDTH:  # room for " \" too
            lines[-1] += f" {word}"
        else:
            lines[-1] += " \\"
            lines.append(f"{indent}  {word}")
    return lines
