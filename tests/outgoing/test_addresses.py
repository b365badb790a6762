"""In which order addresses are tried."""

import socket

from hypothesis import given
from hypothesis import strategies as st

from proxy.outgoing.addresses import FORGET, MOST, AddressInfo, Failures
from tests.clock import FakeClock


def v4(last: int) -> AddressInfo:
    return socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"192.0.2.{last}", 80)


def v6(last: int) -> AddressInfo:
    return socket.AF_INET6, socket.SOCK_STREAM, 6, "", (f"2001:db8::{last}", 80, 0, 0)


def test_families_take_turns_and_the_systems_first_choice_stays_first() -> None:
    failures = Failures(FakeClock().now)
    assert failures.order([v6(1), v6(2), v6(3), v4(1), v4(2)]) == [v6(1), v4(1), v6(2), v4(2), v6(3)]
    assert failures.order([v4(1), v4(2), v6(1)]) == [v4(1), v6(1), v4(2)]


def test_what_worked_is_tried_before_what_was_silent() -> None:
    failures = Failures(FakeClock().now)
    failures.learn([v6(1), v4(1), v4(2)])
    assert failures.order([v6(1), v4(1), v4(2), v4(3)]) == [v4(2), v4(3), v6(1), v4(1)]


def test_of_those_that_failed_the_oldest_failure_is_tried_first() -> None:
    clock = FakeClock()
    failures = Failures(clock.now)
    for last in (3, 1, 2, 3):
        failures.note(v4(last))
        clock.jump(1)
    assert failures.order([v4(1), v4(2), v4(3)]) == [v4(1), v4(2), v4(3)]
    failures.note(v4(1))
    assert failures.order([v4(1), v4(2), v4(3)]) == [v4(2), v4(3), v4(1)]


def test_an_address_that_works_again_is_in_its_place_at_once() -> None:
    failures = Failures(FakeClock().now)
    failures.note(v6(1))
    assert failures.order([v6(1), v4(1)]) == [v4(1), v6(1)]
    failures.forget(v6(1))
    assert failures.order([v6(1), v4(1)]) == [v6(1), v4(1)]


def test_a_failure_is_forgotten_after_ten_minutes() -> None:
    clock = FakeClock()
    failures = Failures(clock.now)
    failures.note(v6(1))
    clock.jump(FORGET - 1)
    assert failures.order([v6(1), v4(1)]) == [v4(1), v6(1)]
    clock.jump(1)
    assert failures.order([v6(1), v4(1)]) == [v6(1), v4(1)]


def test_no_more_addresses_are_remembered_than_there_is_room_for() -> None:
    failures = Failures(FakeClock().now)
    for port in range(MOST + 1):
        failures.note((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", port)))
    assert len(failures._failed) == MOST


@given(st.lists(st.integers(1, 9).flatmap(lambda last: st.sampled_from([v4(last), v6(last)])), unique=True))
def test_no_address_is_lost_or_tried_twice(found: list[AddressInfo]) -> None:
    failures = Failures(FakeClock().now)
    failures.learn(found[::2])
    assert sorted(failures.order(found)) == sorted(found)
