"""Who may import whom (docs/design.md, "The rooms")."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "proxy"
MODULES = {
    ".".join(("proxy", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in ROOT.rglob("*.py")
}
GROUND = {"proxy", "proxy.errors", "proxy.clock", "proxy.histogram", "proxy.files"}
MAY_IMPORT = {
    "proxy.config": {"proxy.config"},
    "proxy.credentials": {"proxy.credentials"},
    "proxy.gateway": {"proxy.gateway", "proxy.credentials.credential", "proxy.credentials.keeper"},
    "proxy.admin": {"proxy.admin", "proxy.credentials", "proxy.gateway"},
    "proxy.demo": {"proxy.demo"},
}
PURE = (
    "proxy.credentials.answer",
    "proxy.credentials.cookies",
    "proxy.credentials.login",
    "proxy.credentials.repairs",
    "proxy.credentials.schedule",
    "proxy.credentials.token_answer",
    "proxy.gateway.answer_head",
    "proxy.gateway.grammar",
    "proxy.gateway.request_head",
    "proxy.gateway.request_reader",
    "proxy.gateway.guard",
    "proxy.gateway.fields",
    "proxy.gateway.options",
    "proxy.gateway.paths",
    "proxy.gateway.refusal",
    "proxy.admin.status",
)
HEAVY = {"asyncio", "aiohttp", "time", "socket"}


def imports(module: str, *, for_types: bool = True) -> Iterator[str]:
    """Modules that are named in import statements; without those for type checkers alone, if asked."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not for_types:
            skipped.update(ast.walk(node))
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else node.module


def below(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_lies_below_it(room: str) -> None:
    allowed = MAY_IMPORT[room] | GROUND
    for module in (name for name in MODULES if below(name, room)):
        for name in imports(module):
            ours = below(name, "proxy")
            assert not ours or name in GROUND or any(below(name, each) for each in allowed - GROUND), (
                f"{module} imports {name}"
            )


def test_the_ground_stands_on_nothing() -> None:
    for module in GROUND:
        assert not [name for name in imports(module) if below(name, "proxy")]


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_neither_waits_nor_reads_time(module: str) -> None:
    assert not {name.partition(".")[0] for name in imports(module)} & HEAVY


def test_time_is_read_in_one_place() -> None:
    readers = {module for module in MODULES if "time" in set(imports(module))}
    # A command line that waits for another process has no loop to hand a clock to.
    assert readers <= {"proxy.clock", "proxy.commands.probe"}


def test_no_module_imports_itself_round_a_corner() -> None:
    graph = {
        module: {name for name in imports(module, for_types=False) if name in MODULES and name != module}
        for module in MODULES
    }
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"import circle: {error.args[1]}")


def test_only_the_composition_root_and_the_door_read_the_configuration() -> None:
    readers = {module for module in MODULES if any(below(name, "proxy.config") for name in imports(module))}
    rooms = ("proxy.config", "proxy.app", "proxy.commands", "proxy.cli")
    assert not {module for module in readers if not any(below(module, room) for room in rooms)}
