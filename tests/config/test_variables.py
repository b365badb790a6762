"""`${NAME}`, and files of variables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.written.variables import parse_env_file, substitute
from proxy.errors import ConfigError

SET = {"A": "1", "B": "${A}", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain", "plain"),
        ("${A}", "1"),
        ("x${A}y${A}", "x1y1"),
        ("${B}", "${A}"),
        ("$${A}", "${A}"),
        ("$A $ {A} $$", "$A $ {A} $$"),
        ("${NO:-d}", "d"),
        ("${NO:-}", ""),
        ("${A:-d}", "1"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY}", ""),
        ("${NO:-http://x:1/}", "http://x:1/"),
        ("$$${A}", "$${A}"),
    ],
)
def test_variables_are_put_in_once(text: str, result: str) -> None:
    assert substitute(text, SET) == result


@pytest.mark.parametrize("text", ["${NO}", "${", "${A", "${1A}", "${A-b}", "${}", "${NO:-${A}}", "${A B}"])
def test_what_cannot_be_put_in_is_refused_without_the_text(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        substitute("canary" + text, SET)
    assert "canary" not in str(caught.value)


def test_an_unset_variable_is_named() -> None:
    with pytest.raises(ValueError, match="NOT_THERE"):
        substitute("${NOT_THERE}", {})


@given(st.text(), st.text().filter(lambda text: "$" not in text))
def test_a_value_goes_in_octet_for_octet(value: str, around: str) -> None:
    assert substitute(f"{around}${{A}}{around}", {"A": value}) == around + value + around


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=x", "x"),
        ("export A='x y'", "x y"),
        ('A="x"', "x"),
        ("  export   A = x  ", "x"),
        ("A=", ""),
        ("A=''", ""),
        ("A=x#y", "x#y"),
        ("A=x # comment", "x"),
        ("A='x#y' # comment", "x#y"),
        ("A=a=b", "a=b"),
        ("A='x'\r", "x"),
        ('A="it\'s"', "it's"),
        ("A=# comment", ""),
        ("A='$HOME'", "$HOME"),
    ],
)
def test_a_line_is_a_name_and_a_value(line: str, value: str) -> None:
    assert parse_env_file(f"# comment\n\n{line}\n", "f") == {"A": value}


def test_the_last_of_two_lines_wins() -> None:
    assert parse_env_file("A=1\r\nA=2\r\n", "f") == {"A": "2"}


def test_malformed_lines_are_all_reported_by_number_and_never_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_env_file("canary\nA=1\nexport B='canary\n1C=canary\nD='canary' canary", "console.env")
    assert [(problem.path, problem.line) for problem in caught.value.problems] == [
        ("console.env", n) for n in (1, 3, 4, 5)
    ]
    assert "canary" not in str(caught.value)


@given(st.text(alphabet=st.characters(exclude_characters="'\n\r"), max_size=40))
def test_a_quoted_value_stays_as_it_is(value: str) -> None:
    assert parse_env_file(f"export A='{value}'", "f") == {"A": value}
