"""Which room may import which (docs/design.md, "The rooms"); imports for type checkers count."""

import ast
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "proxy"
MODULES = {
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in ROOT.rglob("*.py")
    if path.name != "_version.py"  # the build writes it
}
GROUND = {
    "proxy",
    "proxy.errors",
    "proxy.clock",
    "proxy.files",
    "proxy.histogram",
    "proxy.masking",
    "proxy.net",
    "proxy.secret_text",
    "proxy.terms",
}
"""Every room may import these, and they import nothing of ours."""

MAY_IMPORT = {
    "access": (),
    "config.model": (),
    "config.presets": ("config.model",),
    "config.written": ("config.model",),
    "config.upgrades": (),
    "config.document": ("config.model", "config.presets", "config.upgrades", "config.written"),
    "config.resolve": ("access", "config.model", "config.presets", "config.written", "config.document"),
    "config.camunda": ("config.model", "config.presets", "config.written"),
    "config.choice": ("config.written", "config.camunda"),
    "config.private": ("config.written", "config.resolve", "config.camunda"),
    "config.load": (
        "config.model",
        "config.private",
        "config.upgrades",
        "config.written",
        "config.document",
        "config.resolve",
        "config.camunda",
        "config.choice",
    ),
    "outgoing": (),
    "credentials": ("outgoing",),
    "gateway": ("access", "credentials.credential", "credentials.keeper", "outgoing"),
    "admin": ("credentials", "gateway"),
    "audit": ("access", "gateway"),
    "demo": (),
    "app": ("access", "config.model", "outgoing", "credentials", "gateway", "admin", "audit"),
    "commands": (
        "config.load",
        "config.model",
        "config.document",
        "config.presets",
        "config.upgrades",
        "app",
        "demo",
        "outgoing",
        "credentials",
        "gateway",
    ),
    "cli": ("config.load", "config.model", "config.document", "config.upgrades", "commands"),
    "__main__": ("commands", "cli"),
}
PURE_OF_USER = ("user.answer", "user.logged_in", "user.pkce", "user.refusals")
PURE = {
    "access": ("messages", "operations", "pattern", "rules", "spelling", "tree"),
    "credentials": (
        "reply",
        "standing",
        "cookies",
        "login",
        "repairs",
        "schedule",
        "token_answer",
        *PURE_OF_USER,
    ),
    "gateway": (
        "admission",
        "answer_head",
        "callers",
        "fields",
        "grammar",
        "guard",
        "mcp",
        "options",
        "paths",
        "problem_log",
        "rate",
        "refusal",
        "request_head",
        "request_reader",
        "watch",
    ),
    "outgoing": ("addresses", "alerts", "answer_causes", "causes"),
    "admin": ("history", "page_state", "status"),
    "commands": ("blocks", "child_environment", "init_text"),
    "audit": ("line",),
    "commands.doctor": (
        "answer_texts",
        "api_answers",
        "api_asked",
        "calls",
        "claims",
        "clocks",
        "finding",
        "login_answers",
        "refused_answers",
        "refused_tokens",
        "show",
        "token_answers",
        "token_texts",
    ),
}
HEAVY = {"asyncio", "aiohttp", "time", "socket"}


def imports(module: str) -> Iterator[str]:
    """Modules that are named in import statements, wherever these stand."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else node.module


ARROWS = {(module, name) for module in MODULES for name in imports(module) if name in MODULES}
PACKAGES = {module: {name.partition(".")[0] for name in imports(module)} for module in MODULES}


def room(module: str) -> str:
    """The first component below `proxy`; in `config` with the second."""
    parts = module.split(".")[1:]
    return ".".join(parts[: 2 if parts[:1] == ["config"] else 1])


def allowed(module: str, name: str) -> str | None:
    """What allows a module to import another one: an entry of its room's row; None: nothing does."""
    if module in GROUND:
        return None
    if name in GROUND or room(name) == room(module):
        return room(module)
    row = MAY_IMPORT.get(room(module), ())
    return next((entry for entry in row if f"{name}.".startswith(f"proxy.{entry}.")), None)


def circle(arrows: set[tuple[str, str]]) -> list[str]:
    graph: dict[str, set[str]] = {}
    for tail, head in arrows:
        graph.setdefault(tail, set()).add(head)
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        return list(error.args[1])
    return []


def test_a_room_imports_only_what_its_row_allows() -> None:
    assert not {(module, name) for module, name in ARROWS if allowed(module, name) is None}


def test_no_row_allows_more_than_is_used() -> None:
    used = {(room(module), allowed(module, name)) for module, name in ARROWS}
    assert not {(each, entry) for each, row in MAY_IMPORT.items() for entry in row} - used


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert not circle(ARROWS)


def test_no_room_imports_itself_by_way_of_others() -> None:
    assert not circle({(room(a), room(b)) for a, b in ARROWS if room(a) != room(b)})


@pytest.mark.parametrize("module", [f"{each}.{name}" for each, names in PURE.items() for name in names])
def test_a_pure_module_neither_waits_nor_reads_time(module: str) -> None:
    assert not PACKAGES[f"proxy.{module}"] & HEAVY


def test_time_is_read_in_one_place() -> None:
    readers = {module for module in MODULES if "time" in PACKAGES[module]}
    # A command line that waits for another process has no loop to hand a clock to.
    assert readers <= {"proxy.clock", "proxy.commands.probe", "proxy.commands.status"}


def test_aiohttp_is_used_in_five_places() -> None:
    users = {module for module in MODULES if "aiohttp" in PACKAGES[module] and room(module) != "demo"}
    assert users == {
        "proxy.gateway.listener",
        "proxy.credentials.outbound",
        "proxy.credentials.user.loopback",
        "proxy.commands.show",
    }


def compiled() -> Iterator[Path]:
    """The modules that scripts/compile_hook.py compiles."""
    names: dict[str, Iterable[str]] = {}
    for node in ast.parse((ROOT.parent / "scripts" / "compile_hook.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            names[node.targets[0].id] = ast.literal_eval(node.value)
    for pattern in names["HOT"]:
        yield from (path for path in ROOT.parent.glob(pattern) if path.name not in names["COLD"])


def test_compiled_code_does_not_await_while_it_handles_an_exception() -> None:
    """While it waits, the exception would be the context of what other tasks raise, and would stay alive."""
    waits = (ast.Await, ast.AsyncFor, ast.AsyncWith)
    found = [
        f"{path.name}:{node.lineno}"
        for path in compiled()
        for attempt in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(attempt, ast.Try)
        for part in (attempt.finalbody, *(handler.body for handler in attempt.handlers))
        for statement in part
        for node in ast.walk(statement)
        if isinstance(node, waits)
    ]
    assert not found
