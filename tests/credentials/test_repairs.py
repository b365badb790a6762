"""Gaps between repairs, place by place."""

from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.credentials.repairs import ANYWHERE, MAX_PLACES, Place, RepairGaps
from proxy.credentials.schedule import PACE

BAD: Place = ("zeebe", b"GET /bad")
GOOD: Place = ("zeebe", b"GET /good")
ELSEWHERE: Place = ("operate", b"GET /bad")


class Times:
    """A loop as the keeper's: attempts end a tenth of a second after they were asked for."""

    def __init__(self) -> None:
        self.gaps = RepairGaps(PACE)
        self.now = 1000.0
        self.ended_at = 999.0
        self.repaired_at = -inf

    def refused(self, place: Place = BAD) -> bool:
        """Whether a refusal from there is repaired now."""
        soonest = max(
            self.gaps.soonest(place, self.repaired_at, self.now), self.repaired_at + PACE.repair_min
        )
        if self.now < soonest:
            return False
        self.gaps.asked(place, self.now, self.ended_at)
        self.ended_at = self.repaired_at = self.now + 0.1
        return True

    def in_vain(self, place: Place = BAD) -> bool:
        """The same, and its request is refused again."""
        repaired = self.refused(place)
        if repaired:
            self.gaps.refused_again(place)
        return repaired

    def note_accepted(self, place: Place = BAD, *, repaired: bool = False) -> None:
        self.gaps.note_accepted(place, self.now, repaired=repaired)


def test_repairs_that_do_not_help_are_further_and_further_apart() -> None:
    times = Times()
    at: list[float] = []
    while len(at) < 11:
        if times.in_vain():
            at.append(times.now)
        times.now += 0.5
    gaps = [later - earlier for earlier, later in pairwise(at)]
    assert gaps == [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0]


def test_success_elsewhere_changes_nothing() -> None:
    times = Times()
    repairs = 0
    for _ in range(6000):
        repairs += times.in_vain()
        times.note_accepted(GOOD)
        times.note_accepted(ELSEWHERE)
        times.now += 0.1
    assert repairs <= 10


def test_a_repair_that_helped_leaves_no_gap() -> None:
    times = Times()
    for _ in range(100):
        assert times.refused()
        times.note_accepted(repaired=True)
        assert not times.gaps.doubts
        times.now += 1.2


def test_success_in_the_same_place_waives_the_gap_once_and_then_only_when_it_is_over() -> None:
    times = Times()
    for _ in range(5):
        assert times.in_vain()
        times.now += 32.0
    times.now -= 30.0
    assert not times.in_vain()
    times.note_accepted()
    assert times.in_vain()  # the sixth: 64 s
    times.now += 60.0
    times.note_accepted()
    assert not times.in_vain()
    times.now += 4.0
    times.note_accepted()
    assert times.in_vain()


def test_a_place_that_takes_turns_is_not_repaired_all_the_time() -> None:
    times, repairs = Times(), 0
    for _ in range(6000):
        repairs += times.in_vain()
        times.note_accepted()
        times.now += 0.1
    assert repairs <= 11


def test_one_bad_place_keeps_no_other_waiting() -> None:
    times = Times()
    for _ in range(8):
        times.in_vain()
        times.now += 300.0
    assert times.in_vain()
    times.now += 1.2
    assert not times.refused(BAD)
    assert times.refused(ELSEWHERE)
    times.now += 2.2
    assert times.refused(GOOD)


def test_a_thousand_bad_places_are_not_a_thousand_repairs() -> None:
    times, repairs = Times(), 0
    for number in range(36_000):
        repairs += times.in_vain(("zeebe", b"%d" % number))
        times.now += 0.1
    assert repairs <= 100  # of an hour; at first one a second, then about one a minute
    times.now += 1.0
    assert times.refused(ELSEWHERE)


def test_requests_that_wait_for_the_same_attempt_count_once() -> None:
    gaps = RepairGaps(PACE)
    for _ in range(200):
        gaps.asked(BAD, 1000.0, 999.0)
    assert gaps.soonest(BAD, 1000.1, 1001.0) == 1002.0


def test_a_place_where_nothing_happens_is_forgotten() -> None:
    times = Times()
    times.in_vain()
    times.now += 599.0
    times.note_accepted(GOOD)
    assert times.gaps.doubts
    times.now += 1.0
    times.note_accepted(GOOD)
    assert not times.gaps.doubts


def asked(*places: Place, at: float = 1000.0) -> RepairGaps:
    """A repair asked for at each of these places, a second apart, each of them by itself."""
    gaps = RepairGaps(PACE)
    for number, place in enumerate(places):
        gaps.asked(place, at + number, at + number - 0.5)
    return gaps


def test_a_place_is_forgotten_after_twice_the_longest_gap_by_itself() -> None:
    gaps = asked(BAD)
    assert gaps.soonest(BAD, 1000.1, 1599.9) == 1002.0
    assert gaps.doubts
    assert gaps.soonest(BAD, 1000.1, 1600.0) == 1001.1
    assert not gaps.doubts


@pytest.mark.parametrize(
    ("gaps", "gap"),
    [
        (asked(), 1.0),
        (asked(BAD), 1.0),  # it may have helped
        (asked(BAD, BAD), 2.0),
        (asked(BAD, BAD, ("zeebe", b"2"), ("zeebe", b"2")), 4.0),
        (asked(ELSEWHERE, ELSEWHERE), 1.0),
    ],
)
def test_a_new_place_waits_longer_for_each_place_where_repairs_do_not_help(
    gaps: RepairGaps, gap: float
) -> None:
    assert gaps.soonest(GOOD, 1010.0, 1011.0) == 1010.0 + gap


def test_a_place_is_bad_once_a_request_that_was_sent_again_was_refused_until_one_passes() -> None:
    gaps = asked(BAD)
    gaps.refused_again(BAD)
    assert gaps.soonest(GOOD, 1010.0, 1011.0) == 1012.0
    gaps.note_accepted(BAD, 1011.0, repaired=False)
    assert gaps.soonest(GOOD, 1010.0, 1011.0) == 1011.0


def test_the_gap_is_waived_at_once_only_before_it_was_waived_ever() -> None:
    gaps = asked(BAD)
    gaps.note_accepted(BAD, 1000.5, repaired=False)
    assert gaps.soonest(BAD, 1000.1, 1000.5) == -inf
    gaps.asked(BAD, 1003.0, 1002.0)
    gaps.asked(BAD, 1010.0, 1009.0)
    assert gaps.soonest(BAD, 1010.1, 1011.0) == 1018.0
    gaps.note_accepted(BAD, 1017.9, repaired=False)
    assert gaps.soonest(BAD, 1010.1, 1017.9) == 1018.0
    gaps.note_accepted(BAD, 1018.0, repaired=False)
    assert gaps.soonest(BAD, 1010.1, 1018.0) == -inf


def test_a_repair_that_was_asked_for_before_the_last_attempt_ended_counts_once() -> None:
    gaps = asked(BAD)
    gaps.asked(BAD, 1000.2, 999.0)
    assert gaps.soonest(BAD, 1000.1, 1001.0) == 1002.0
    gaps.asked(BAD, 1000.5, 1000.0)  # an attempt ended at the moment of the first
    assert gaps.soonest(BAD, 1000.1, 1001.0) == 1004.5


def test_a_changed_source_leaves_no_gap() -> None:
    times = Times()
    times.in_vain()
    times.gaps.clear()
    assert times.gaps.soonest(BAD, -inf, times.now) == -inf


@pytest.mark.parametrize("count", [MAX_PLACES, 10 * MAX_PLACES])
def test_so_many_places_are_remembered_and_the_latest_of_them(count: int) -> None:
    gaps = RepairGaps(PACE)
    for number in range(count):
        gaps.asked(("zeebe", b"%d" % number), 1000.0 + number / 100, 1000.0 + number / 100)
    assert len(gaps.doubts) == MAX_PLACES
    assert {place for _, place in gaps.doubts} == {b"%d" % each for each in range(count - MAX_PLACES, count)}


moves = st.tuples(
    st.sampled_from(["refused", "in_vain", "accepted", "repaired"]),
    st.sampled_from([BAD, GOOD, ELSEWHERE, ANYWHERE]),
    st.floats(0.0, 700.0) | st.floats(0.0, 2.0),
)


@given(st.lists(moves, max_size=60))
def test_no_wait_for_a_repair_is_longer_than_five_minutes(events: list[tuple[str, Place, float]]) -> None:
    times = Times()
    for what, place, after in events:
        match what:
            case "refused":
                times.refused(place)
            case "in_vain":
                times.in_vain(place)
            case "accepted":
                times.note_accepted(place)
            case "repaired":
                times.note_accepted(place, repaired=True)
        soonest = times.gaps.soonest(place, times.repaired_at, times.now)
        assert soonest <= times.now + PACE.repair_max + 0.1
        times.now += after
