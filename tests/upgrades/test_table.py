"""The table of upgrades fits the program: its new names are there, its old ones are not."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from proxy import __version__
from proxy.commands.upgrade import named
from proxy.config.document.credentials import CREDENTIALS
from proxy.config.document.mistakes import understand
from proxy.config.presets import PRESETS
from proxy.config.upgrades import OUTSIDE, Change, Upgrades, key_paths, parsed, places, upgrades
from proxy.config.written.findings import Findings, Written
from scripts.upgrading_page import PAGE, with_table
from tests.upgrades.present import ROOT, names

TABLE = upgrades()
NAMES = names()
PLACES = {
    "setting": NAMES["settings"],
    "default": NAMES["settings"],
    "problem": NAMES["problems"],
    "metric": NAMES["metrics"],
    "alert": NAMES["alerts"],
    "command": NAMES["commands"],
}


def titled(change: Change) -> str:
    return f"{change.date} {named(change)}"


@pytest.mark.parametrize("change", TABLE.changes, ids=titled)
def test_a_new_name_exists_and_an_old_one_does_not(change: Change) -> None:
    if change.kind == "file":
        assert (ROOT / change.new).exists()
        assert not (ROOT / change.old).exists()
    elif change.kind in PLACES:
        assert not change.new or change.new in PLACES[change.kind]
        assert change.old not in PLACES[change.kind]


@pytest.mark.parametrize("change", TABLE.changes, ids=titled)
def test_a_row_says_what_changed_in_whole_sentences(change: Change) -> None:
    assert change.says.endswith(".")
    assert not change.do or change.do.endswith((".", ")."))
    assert "|" not in change.says + change.do  # they stand in a table
    assert change.kind not in ("setting", "default") or change.new or change.old


@pytest.mark.parametrize("change", [each for each in TABLE.changes if each.where], ids=titled)
def test_a_row_concerns_places_that_there_are(change: Change) -> None:
    assert change.kind not in OUTSIDE
    keys = [f"{change.where}.{key}" for key in (*change.has, *change.lacks)]
    assert not [key for key in keys if key not in NAMES["settings"]]
    assert change.where.split(".")[0] in NAMES["settings"]
    assert not change.beside or change.beside in NAMES["settings"]
    kinds = {"credentials.*": set[str](CREDENTIALS), "upstreams.*": set[str](PRESETS)}
    assert not [each for each in change.of if each not in kinds[change.where]]


@pytest.mark.parametrize("added", TABLE.added, ids=lambda added: f"{added.date}")
def test_a_name_that_was_added_exists(added: object) -> None:
    for what, there in NAMES.items():
        assert not set(getattr(added, what)) - there


def test_rows_stand_in_the_order_in_which_they_came() -> None:
    assert [each.date for each in TABLE.changes] == sorted(each.date for each in TABLE.changes)


def test_the_page_is_made_of_the_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_table(page, TABLE), "run scripts/upgrading"


def row(**more: object) -> Change:
    base = Change(date(2027, 1, 5), "0.2.0", "setting", "It is shorter.")
    return replace(base, **more)  # type: ignore[arg-type]


RENAMED = Upgrades((row(old="upstreams.*.idle", new="upstreams.*.idle_timeout", do="Write it anew."),), ())


def refused(tree: dict[str, object], table: Upgrades) -> list[str]:
    written = Written(tree, {})
    findings = Findings(written, {})
    understand(written, findings, table)
    return [str(problem) for problem in findings.problems]


def test_a_setting_that_is_gone_is_refused_with_the_name_of_the_new_one() -> None:
    tree: dict[str, object] = {"upstreams": {"zeebe": {"idle": "5s"}}}
    assert refused(tree, RENAMED) == [
        "upstreams.zeebe.idle: was a setting until 0.2.0: write idle_timeout. It is shorter. Write it anew."
    ]


def test_a_key_that_never_was_one_is_refused_as_before() -> None:
    (problem,) = refused({"upstreams": {"zeebe": {"idel_timeout": "5s"}}}, RENAMED)
    assert problem == "upstreams.zeebe.idel_timeout: is not a known key; did you mean idle_timeout?"
    (problem,) = refused({"admin": {"idle": "5s"}}, RENAMED)
    assert "is not a known key" in problem


def test_the_name_of_a_code_that_is_gone_was_never_a_setting() -> None:
    table = Upgrades((row(kind="problem", old="draining"),), ())
    (problem,) = refused({"draining": "5s"}, table)
    assert problem == "draining: is not a known key"


OLD, NEW = row(version="0.1.0", date=date(2026, 11, 22)), row(version="0.2.0")
BOTH = Upgrades((OLD, NEW), ())


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("0.1.0", (NEW,)),
        ("v0.1.0", (NEW,)),
        ("0.1", (NEW,)),
        ("0.1.0rc1", (NEW,)),
        ("0.1.1.dev3+g1a2b3c4", (NEW,)),
        ("0.0.9", (OLD, NEW)),
        ("0.2.0", ()),
        ("2026-11-22", (OLD, NEW)),
        ("2026-11-23", (NEW,)),
        ("2027-01-06", ()),
    ],
)
def test_only_what_is_newer_is_listed(wanted: str, expected: tuple[Change, ...]) -> None:
    assert BOTH.since(wanted, "0.2.0").changes == expected


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ("", "must be a version, as 0.1.0"),
        ("0.x", "must be a version"),
        ("yesterday", "must be a version"),
        ("2026-13-01", "must be a version"),
        ("0.3.0", "is later than this program, which is 0.2.0"),
        ("1.0", "is later than this program"),
    ],
)
def test_what_is_no_earlier_version_is_refused(wanted: str, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        BOTH.since(wanted, "0.2.0")


def test_the_version_of_this_program_can_be_compared() -> None:
    assert TABLE.since(__version__, __version__) == TABLE.since("2999-01-01", __version__)


TREE = {
    "cluster": {"region": "bru-2", "id": "x"},
    "upstreams": {"zeebe": {}, "b": {"url": "http://x", "replay_buffer": "1MiB"}},
    "credentials": {"saas": {"type": "oauth2"}, "user": {"type": "session"}},
}
TYPES: dict[tuple[str, ...], str] = {
    ("credentials", "saas"): "oauth2",
    ("credentials", "user"): "session",
    ("upstreams", "zeebe"): "zeebe",
    ("upstreams", "b"): "optimize",
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (row(), ()),
        (row(where="upstreams.*"), ("upstreams.b", "upstreams.zeebe")),
        (row(where="upstreams.*", has=("url",)), ("upstreams.b",)),
        (row(where="upstreams.*", has=("listen", "url")), ("upstreams.b",)),
        (row(where="upstreams.*", has=("listen",)), None),
        (row(where="upstreams.*", lacks=("replay_buffer",)), ("upstreams.zeebe",)),
        (row(where="upstreams.*", lacks=("listen", "replay_buffer")), ("upstreams.zeebe",)),
        (row(where="upstreams.*", lacks=("url",), beside="cluster"), ("upstreams.zeebe",)),
        (row(where="upstreams.*", lacks=("url",), beside="store"), None),
        (row(where="credentials.*", of=("session", "basic")), ("credentials.user",)),
        (row(where="credentials.*", of=("bearer",)), None),
        (row(where="upstreams.*", of=("zeebe", "operate")), ("upstreams.zeebe",)),
        (row(where="admin", lacks=("listen",)), ("admin",)),
        (row(where="admin", has=("listen",)), None),
    ],
)
def test_a_row_concerns_the_places_that_it_describes(
    change: Change, expected: tuple[str, ...] | None
) -> None:
    assert places(change, frozenset(key_paths(TREE)), TYPES) == expected


def test_a_row_with_a_wrong_key_is_no_table() -> None:
    with pytest.raises(TypeError):
        parsed(
            '[[change]]\ndate = 2026-11-22\nversion = "0.1.0"\nkind = "setting"\nsays = "x"\nwehre = "admin"'
        )


def test_the_table_is_in_the_package() -> None:
    assert Path(upgrades.__module__.replace(".", "/")).with_suffix(".toml").exists()
