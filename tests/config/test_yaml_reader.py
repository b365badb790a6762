"""YAML that cannot surprise."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.written.yaml_reader import read_yaml
from proxy.errors import ConfigError
from tests.config.writing import BEARER, ZEEBE, read, refused


def tree(text: str) -> dict[str, object]:
    written, problems = read_yaml(text, "f.yaml", str)
    assert not problems
    return written.tree


@pytest.mark.parametrize(
    "scalar", ["on", "yes", "0123", "19080:80", "1e3", "1_000", "2020-01-01", ".inf", "0x1f", "=", "true"]
)
def test_a_scalar_stays_the_text_that_was_written(scalar: str) -> None:
    assert tree(f"a: {scalar}\nb: [{scalar}]\n{scalar}: c") == {"a": scalar, "b": [scalar], scalar: "c"}


def test_only_a_plain_null_is_nothing() -> None:
    nothing = dict.fromkeys("abcde")
    assert tree("a:\nb: ~\nc: null\nd: Null\ne: NULL") == nothing
    texts = {"a": "", "b": "null", "c": "~", "d": "nULL", "e": "none"}
    assert tree("a: ''\nb: 'null'\nc: \"~\"\nd: nULL\ne: none") == texts


def test_every_value_knows_its_line() -> None:
    written, _ = read_yaml("a:\n  b:\n    - x\n    - y\n\nc: {d: e}", "f.yaml", str)
    assert written.origins == {
        ("a",): 1,
        ("a", "b"): 2,
        ("a", "b", 0): 3,
        ("a", "b", 1): 4,
        ("c",): 6,
        ("c", "d"): 6,
    }


def test_an_alias_repeats_what_its_anchor_names() -> None:
    assert tree("a: &x {b: c}\nd: *x") == {"a": {"b": "c"}, "d": {"b": "c"}}


def nested(levels: int) -> str:
    """A value that stands at that level: the document's own mapping is level 0."""
    return "a: " + "[" * (levels - 1) + "x" + "]" * (levels - 1)


def test_sixteen_levels_may_be_nested_and_no_more() -> None:
    assert tree(nested(16))
    with pytest.raises(ConfigError, match="deeper than 16 levels"):
        tree(nested(17))


def listed(values: int) -> str:
    """A mapping with so many values, the document and the list counted in."""
    return "a: [" + "x, " * (values - 2) + "]"


def test_ten_thousand_values_may_be_written_and_no_more() -> None:
    assert tree(listed(10_000))
    with pytest.raises(ConfigError, match="more than 10000 values"):
        tree(listed(10_001))


def test_ten_thousand_values_may_stand_there_once_aliases_are_expanded() -> None:
    anchor = "a: &a [" + "x, " * 998 + "]"  # 999 values with the list
    aliases = "\nb: [" + "*a, " * 9 + "]"  # 9 * 999 and the list
    rest = "\nc: [" + "x, " * 8 + "]"  # 8 and the list
    assert tree(anchor + aliases + rest)
    with pytest.raises(ConfigError, match="more than 10000 values"):
        tree(anchor + aliases + rest + "\nd: x")


def test_a_file_of_commas_ends_soon(tmp_path: Path) -> None:
    lines: list[int] = []

    def counted(text: str) -> str:
        lines.append(1)
        return text

    with pytest.raises(ConfigError, match="more than 10000 values"):
        read_yaml("a: [" + "x," * 200_000 + "]", "f.yaml", counted)
    assert not lines  # it ends before variables are put in


FOUR_MIB = 4 * 1024 * 1024


def test_four_mebibytes_of_text_may_stand_there_once_variables_are_put_in() -> None:
    half = {"$A": "a" * (FOUR_MIB // 2)}
    written, _ = read_yaml("a: $A\nb: $A", "f.yaml", lambda text: half.get(text, text))
    assert len(str(written.tree["a"])) + len(str(written.tree["b"])) == FOUR_MIB
    with pytest.raises(ConfigError, match="more than 4 MiB of text"):
        read_yaml("a: $A\nb: $A\nc: x", "f.yaml", lambda text: half.get(text, text))


def test_a_missing_variable_is_a_problem_and_its_value_left_out() -> None:
    def substitute(text: str) -> str:
        if text == "$MISSING":
            raise ValueError("names a variable that is not set")
        return text.replace("$A", "b")

    written, problems = read_yaml("a: $A\nb: $MISSING\nc: [$A, $MISSING]\nd: x", "f.yaml", substitute)
    assert written.tree == {"a": "b", "c": ["b"], "d": "x"}
    assert written.unexpanded == {("a",): "$A", ("c", 0): "$A"}
    assert [(problem.path, problem.line) for problem in problems.values()] == [("b", 2), ("c[1]", 3)]


def test_aliases_that_stand_for_billions_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    with pytest.raises(ConfigError, match="more than 10000 values"):
        tree("\n".join(lines))


@pytest.mark.parametrize(
    "text", ["a: " + "[" * 100_000, "a: " + "{a: " * 100, "\n".join(" " * n + "a:" for n in range(50))]
)
def test_nesting_without_end_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="deeper than 16 levels"):
        tree(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: 'canary", 2),
        ("a: 1\nb canary\nc: 2", 3),
        ("a: @canary", 1),
        ("a: *canary", 1),
        ("a: {canary", 1),
        ("a: 1\n\tcanary: 2", 2),
        ("a: %canary", 1),
        ("a: `canary", 1),
        ("a: b: canary", 1),
        ("{canary: 1, [x]: 2}", 1),
        ("a: 1\n---\nb: canary", 2),
        ("a: 1\n? {canary: 1}\n: 2", 2),
        ("- canary", 1),
        ("canary", 1),
    ],
)
def test_what_is_not_yaml_is_one_problem_with_its_line_and_without_its_text(text: str, line: int) -> None:
    with pytest.raises(ConfigError) as caught:
        tree(text)
    (problem,) = caught.value.problems
    assert problem.line in {line, line + 1}
    assert "canary" not in problem.message


@pytest.mark.parametrize(
    ("text", "line"),
    [('a: b\nc: "\\UFFFFFFFF"', 1), ("%YAML " + "1" * 5000 + ".1\n---\na: b", None)],
)
def test_what_the_scanner_fails_over_is_one_problem_too(text: str, line: int | None) -> None:
    with pytest.raises(ConfigError) as caught:
        tree(text)
    (problem,) = caught.value.problems
    assert "is not valid YAML" in problem.message
    assert problem.line == line


def test_a_key_that_is_there_twice_is_a_problem_that_names_both_lines(tmp_path: Path) -> None:
    assert refused(tmp_path, BEARER + ZEEBE + "log: {level: info}\nlog: {level: debug}\n") == [
        "log (line 6): is there twice, first in line 5"
    ]


def test_of_a_key_that_is_there_three_times_the_first_repetition_is_told() -> None:
    _, problems = read_yaml("a: {b: 1}\nc: {d: 1,\n  d: 2,\n  d: 3}", "f.yaml", str)
    ((path, problem),) = problems.items()
    assert (path, problem.line, problem.message) == (("c", "d"), 3, "is there twice, first in line 2")


def test_a_tag_that_says_nothing_is_none() -> None:
    assert tree("a: ! x\nb: ! [c]") == {"a": "x", "b": ["c"]}


@pytest.mark.parametrize("value", ["!!str x", "!x [a]", "!!map {a: b}", "!<tag:yaml.org,2002:int> 1"])
def test_every_other_tag_is_a_problem(value: str) -> None:
    _, problems = read_yaml(f"a: {value}", "f.yaml", str)
    (problem,) = problems.values()
    assert (problem.path, problem.line) == ("a", 1)
    assert "has a YAML tag" in problem.message


def test_a_tag_is_a_problem(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, ZEEBE + "credentials: {a: {type: bearer, token: !canary x}}")
    assert "has a YAML tag" in problem
    assert "canary" not in problem


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"# nothing\n---\n", "is empty"),
        (b"\xff\xfea\x00", "is not UTF-8"),
        ("a: ü".encode("latin-1"), "is not UTF-8"),
        (b"a: \x00", "control character"),
        (b"#" * (1024 * 1024 + 1), "larger than 1MiB"),
        (b"#" * (1024 * 1024), "is empty"),
        (b"[a]", "must be a mapping"),
    ],
)
def test_a_file_that_cannot_be_a_configuration_gets_one_sentence(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    (problem,) = refused(tmp_path, content)
    assert problem.startswith("camunda-auth-proxy.yaml")
    assert sentence in problem


def test_a_byte_order_mark_and_crlf_do_no_harm(tmp_path: Path) -> None:
    text = "\ufeff" + (ZEEBE + BEARER).replace("\n", "\r\n")
    assert read(tmp_path, text).upstreams[0].name == "zeebe"


LETTERS = st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"])


@given(st.dictionaries(st.text(LETTERS, min_size=1, max_size=5), st.text(LETTERS, max_size=10), min_size=1))
def test_quoted_texts_come_back_unchanged(values: dict[str, str]) -> None:
    assert tree(json.dumps(values)) == values


@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@` \n\t,?", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    problems = 1
    try:
        read_yaml(text, "f.yaml", str)
    except ConfigError as error:
        problems = len(error.problems)
    assert problems == 1
