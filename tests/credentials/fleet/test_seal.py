"""The name of a credential in the store, and its sealed value."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.credentials.fleet.key import LENGTH, Facts
from proxy.credentials.fleet.seal import MARK, Opened, Sealer
from tests.credentials.fleet.proxies import facts

FIELDS = ((b"Authorization", b"Bearer abc.def.ghi"),)
FACTS = facts("s3cret")
SEALER = Sealer("s3cret", FACTS)


def test_equal_facts_have_one_name_and_it_shows_none_of_them() -> None:
    assert SEALER.name == Sealer("s3cret", facts("s3cret")).name
    assert len(SEALER.name) == LENGTH
    assert set(SEALER.name) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    "other",
    [
        replace(FACTS, endpoint="https://other.example/token"),
        replace(FACTS, client="other"),
        replace(FACTS, proof="changed"),
        replace(FACTS, audience="operate.camunda.io"),
        replace(FACTS, audience=None),
        replace(FACTS, scope="read"),
        replace(FACTS, resource="zeebe.camunda.io"),
        replace(FACTS, auth_method="client_secret_basic"),
        replace(FACTS, others=(("tenant", "a"),)),
    ],
)
def test_every_fact_is_part_of_the_name(other: Facts) -> None:
    sealer = Sealer("s3cret", other)
    assert sealer.name != SEALER.name
    assert sealer.open(SEALER.seal(FIELDS, 300.0)) is None  # a value that was copied to another key


def test_a_value_shows_only_its_mark_and_opens_to_what_was_sealed() -> None:
    value = SEALER.seal(FIELDS, 300.0)
    assert b"abc.def" not in value
    assert value[MARK].decode() == SEALER.mark(FIELDS)
    assert SEALER.open(value) == Opened(FIELDS, 300.0)
    assert SEALER.seal(FIELDS, 300.0) != value
    assert "abc" not in repr(SEALER.open(value))


def test_another_key_opens_nothing() -> None:
    assert Sealer("other", FACTS).open(SEALER.seal(FIELDS, 300.0)) is None


@given(st.data())
def test_a_value_in_which_one_bit_has_changed_does_not_open(data: st.DataObject) -> None:
    value = bytearray(SEALER.seal(FIELDS, 300.0))
    value[data.draw(st.integers(0, len(value) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert SEALER.open(bytes(value)) is None


@given(st.binary(max_size=300))
def test_a_foreign_value_does_not_open_and_raises_nothing(value: bytes) -> None:
    assert SEALER.open(value) is None


@pytest.mark.parametrize("size", [0, 1, 27, 39, 40, 80])
def test_a_value_that_was_cut_off_does_not_open(size: int) -> None:
    assert SEALER.open(SEALER.seal(FIELDS, 300.0)[:size]) is None


@pytest.mark.parametrize("life", [0.0, -1.0, float("inf"), float("nan")])
def test_a_life_that_is_none_does_not_open(life: float) -> None:
    assert SEALER.open(SEALER.seal(FIELDS, life)) is None
