"""The names of causes are part of the contract."""

import ast
import re
from pathlib import Path
from typing import get_args

from proxy.commands.doctor.refused_tokens import TOKEN_CAUSES
from proxy.commands.doctor.token_texts import TEXTS
from proxy.outgoing.causes import CauseName

ROOT = Path(__file__).parents[2]
SECTION = (
    (ROOT / "docs" / "reference.md").read_text(encoding="utf-8").split("\n## Doctor\n")[1].split("\n## ")[0]
)
LISTED = set(re.findall(r"`([a-z0-9_]+)`", SECTION.split("Names of causes")[1]))


def named() -> set[str]:
    """Names that the code writes where it makes a cause."""
    found = {name for _, name, _ in TEXTS}
    for file in (ROOT / "proxy/commands/doctor").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("Why", "_why")
            ):
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found.add(first.value)
    return found


def test_every_cause_that_is_made_is_listed() -> None:
    assert len(named()) > 60
    assert named() - LISTED == set()
    assert set(TOKEN_CAUSES) - LISTED - {"claims", "not_jwt", "token_not_yet"} == set()


def test_every_cause_that_is_listed_is_made() -> None:
    shared = set(get_args(CauseName))
    code = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "proxy/commands/doctor").glob("*.py"))
    unknown = {name for name in LISTED if f'"{name}"' not in code and name not in shared}
    assert {name.removeprefix("token_") for name in unknown} <= shared, "those of the shared table"
