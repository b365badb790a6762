"""Reads the marked code blocks of a page of docs/recipes. A comment above a block says what it is for:

    <!-- recipe: file NAME -->         the block is the content of that file
    <!-- recipe: run -->               the block is a script of bash, which must end with 0
    <!-- recipe: run, exit N -->       it must end with N
    <!-- recipe: start -->             it is a server, which runs until the page has been read
    <!-- recipe: prints -->            the last script must have printed these lines; `...` is any text
    <!-- recipe: config -->            YAML that is added to the proxy's configuration

A block without such a comment is for readers alone. Ports of localhost are replaced by free ones.
"""

import re
from pathlib import Path
from typing import Final, NamedTuple

RECIPES: Final = Path(__file__).parents[2] / "docs/recipes"
PORTS: Final = ("19080", "19090", "1880", "2002", "3000", "9115")
"""Those that the pages name: the proxy's two, and those of the tools."""

_MARK = re.compile(r"<!-- recipe: (?P<what>[a-z]+)(?P<how>[^>]*?) -->")
_BLOCK = re.compile(_MARK.pattern + r"\n```[a-z]*\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A marked block: `how` is the name of a file, or the exit code of a script."""

    what: str
    how: str
    text: str


def blocks(page: str) -> list[Block]:
    """Return the marked blocks, in order.

    Raises:
        ValueError: a comment has no block below it, or says something that this module does not know.
    """
    found = [Block(each["what"], each["how"].strip(" ,"), each["text"]) for each in _BLOCK.finditer(page)]
    if len(found) != len(_MARK.findall(page)) or len(found) != page.count("<!-- recipe:"):
        raise ValueError("a comment `recipe:` has no code block right below it")
    if unknown := {each.what for each in found} - {"file", "run", "start", "prints", "config"}:
        raise ValueError(f"unknown kinds of blocks: {sorted(unknown)}")
    return found


def with_ports(text: str, ports: dict[str, str]) -> str:
    """Replace each port of PORTS by its free one."""
    return re.sub(r"(?<![\d.])(" + "|".join(PORTS) + r")(?!\d)", lambda match: ports[match[0]], text)


def missing(lines: str, output: str) -> str | None:
    """Return the first of the lines that the output does not have after those before; None: all are there."""
    at = 0
    for line in filter(None, map(str.strip, lines.splitlines())):
        pattern = ".*".join(map(re.escape, line.split("...")))
        if (match := re.compile(pattern).search(output, at)) is None:
            return line
        at = match.end()
    return None
