"""Single values."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.document import units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("1h", 3600),
        ("0", 0),
        ("45", 45),
        ("0.5", 0.5),
        ("1.5s", 1.5),
        (20, 20),
        ("720h", 2592000),
    ],
)
def test_durations_are_seconds(text: object, seconds: float) -> None:
    assert units.seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "byte_count"),
    [("64KiB", 65536), ("8MiB", 8388608), ("0", 0), ("1000", 1000), ("1 GiB", 1073741824), ("7B", 7)],
)
def test_sizes_are_octets(text: str, byte_count: int) -> None:
    assert units.byte_count(text) == byte_count


@pytest.mark.parametrize(
    ("read", "text"),
    [
        *(
            (units.seconds, text)
            for text in ("", "s", "-1", "1d", "1m30s", "1e3", "inf", "nan", "721h", "1_0", "٣s", True)
        ),
        *((units.byte_count, text) for text in ("", "KiB", "-1", "1kb", "1.5MiB", "2GiB", "1e3", "٣")),
        *((units.count, text) for text in ("0", "-1", "1.0", "65537", "x", "٣", True)),
        *((units.flag, text) for text in ("yes", "on", "1", "", "tRUE")),
        (units.positive_seconds, "0"),
    ],
)
def test_anything_else_is_refused_in_a_sentence(read: Callable[[object], object], text: object) -> None:
    with pytest.raises(ValueError, match=r"^(is|must)\b"):
        read(text)


@given(st.text(max_size=12))
def test_a_refusal_never_repeats_the_value(text: str) -> None:
    for read in (units.seconds, units.byte_count, units.count, units.flag):
        with pytest.raises(ValueError, match=r"^(is|must)") as caught:
            read("canary" + text)
        assert "canary" not in str(caught.value)


@given(st.integers(min_value=0, max_value=720), st.sampled_from("smh"))
def test_a_duration_is_its_number_times_its_unit(number: int, unit: str) -> None:
    assert units.seconds(f"{number}{unit}") == number * {"s": 1, "m": 60, "h": 3600}[unit]
