"""docs/access.md names what the table has."""

import re
from pathlib import Path

from proxy.access.messages import LIMIT, MAX_DEPTH
from proxy.access.operations import messages, table
from proxy.access.spelling import OVERRIDES

PAGE = (Path(__file__).parents[2] / "docs/access.md").read_text(encoding="utf-8")
NAMES = set(re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)))


def test_the_page_names_every_message_that_reads() -> None:
    reading = {name.removeprefix("tools/call ") for (_, name), kind in messages().items() if kind == "reads"}
    assert reading <= NAMES


def test_the_page_names_whatever_hands_out_secrets() -> None:
    paths = [each.path for each in table() if each.kind == "secrets"]
    assert len(paths) > 5
    for path in paths:
        shown = re.sub(r"\{\w+\}", "*", path)
        last = path.split("/")[2]
        assert any(each.endswith(shown) for each in NAMES) or last in NAMES, path


def test_the_page_names_every_field_that_is_refused() -> None:
    assert {name.lower().encode() for name in NAMES} >= OVERRIDES


def test_the_page_has_the_limits() -> None:
    assert f"at most {LIMIT // 1024} KiB" in PAGE
    assert f"more than {MAX_DEPTH} levels" in PAGE
