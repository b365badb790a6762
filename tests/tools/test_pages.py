"""The reader of docs/recipes itself; it runs with the quick suite."""

import re

import pytest

from tests.tools.pages import RECIPES, Block, blocks, missing, with_ports

PAGE = """
<!-- recipe: file a.txt -->
```
one
```
Read this.
```sh
not run
```
<!-- recipe: run, exit 22 -->
```sh
cat a.txt
false
```
"""


def test_marked_blocks_are_found_in_order_and_others_are_not() -> None:
    assert blocks(PAGE) == [Block("file", "a.txt", "one\n"), Block("run", "exit 22", "cat a.txt\nfalse\n")]


@pytest.mark.parametrize(
    "page", ["<!-- recipe: run -->\ntext\n", "<!-- recipe: eat -->\n```\na\n```\n", "<!-- recipe:run -->"]
)
def test_a_mark_that_would_be_skipped_is_an_error(page: str) -> None:
    with pytest.raises(ValueError, match="block"):
        blocks(page)


def test_ports_of_localhost_become_free_ones_and_other_numbers_stay() -> None:
    text = "http://localhost:19080/a 119080 190801 2.3000 port=3000"
    assert with_ports(text, {"19080": "7", "3000": "8"}) == "http://localhost:7/a 119080 190801 2.3000 port=8"


@pytest.mark.parametrize(
    ("lines", "first"),
    [("a\nc", None), ("c\na", "a"), ("x...z", None), ("x...q", "x...q"), ("", None)],
)
def test_printed_lines_are_looked_for_in_order(lines: str, first: str | None) -> None:
    assert missing(lines, "a\nb c\nx y z\n") == first


def test_every_page_can_be_read_and_says_whether_it_was_run() -> None:
    pages = sorted(RECIPES.glob("*.md"))
    assert len(pages) > 10
    for page in pages:
        text = page.read_text(encoding="utf-8")
        run = any(each.what in ("run", "start") for each in blocks(text))
        said = bool(re.search(r"^Not run here", text, re.MULTILINE)) or "scripts/test-real" in text
        assert run != said or page.name == "index.md", f"{page.name}: run, or marked as not run"
