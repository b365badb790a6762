"""`${NAME}`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.written.variables import substitute

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
