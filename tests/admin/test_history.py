"""Requests per second and latency, from counts that only grow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.admin.history import POINTS, History, Point, quantile
from proxy.gateway.tally import Tally

BOUNDS = (0.1, 0.2, 0.4)


def busy(tally: Tally, good: int, failed: int, seconds: float = 0.003) -> None:
    tally.requests["GET", 2] = tally.requests.get(("GET", 2), 0) + good
    tally.requests["POST", 5] = tally.requests.get(("POST", 5), 0) + failed
    for _ in range(good + failed):
        tally.request_seconds.observe(seconds)


def test_a_point_holds_what_happened_between_two_samples() -> None:
    history, tally = History(), Tally()
    busy(tally, 1000, 1000)
    history.sample(100.0, [("zeebe", tally)])
    assert history.points == {}
    busy(tally, 6, 2)
    history.sample(102.0, [("zeebe", tally)])
    (point,) = history.points["zeebe"]
    assert point == pytest.approx((3.0, 1.0, 0.0025, 0.00475))


def test_without_requests_there_is_no_latency() -> None:
    history, tally = History(), Tally()
    for now in (1.0, 2.0):
        history.sample(now, [("zeebe", tally)])
    assert list(history.points["zeebe"]) == [Point(0.0, 0.0, None, None)]


def test_the_oldest_points_are_dropped_and_upstreams_that_are_gone_forgotten() -> None:
    history, tally = History(), Tally()
    for now in range(POINTS + 10):
        history.sample(float(now), [("zeebe", tally), ("operate", tally)])
    assert {name: len(kept) for name, kept in history.points.items()} == {"zeebe": POINTS, "operate": POINTS}
    history.sample(float(POINTS + 10), [("zeebe", tally)])
    assert list(history.points) == ["zeebe"]


@pytest.mark.parametrize(
    ("buckets", "share", "seconds"),
    [
        ((0, 0, 0, 0), 0.5, None),
        ((4, 0, 0, 0), 0.5, 0.05),
        ((0, 4, 0, 0), 0.5, 0.15),
        ((2, 0, 2, 0), 0.5, 0.1),
        ((2, 0, 2, 0), 0.75, 0.3),
        ((0, 0, 0, 9), 0.5, 0.4),
    ],
)
def test_a_quantile_is_linear_within_its_bucket(
    buckets: tuple[int, ...], share: float, seconds: float | None
) -> None:
    assert quantile(BOUNDS, buckets, share) == pytest.approx(seconds)


@given(st.lists(st.integers(0, 10**9), min_size=4, max_size=4))
def test_the_median_is_never_above_the_slow_ones(buckets: list[int]) -> None:
    median, slow = quantile(BOUNDS, buckets, 0.5), quantile(BOUNDS, buckets, 0.95)
    if not any(buckets):
        assert (median, slow) == (None, None)
    else:
        assert median is not None
        assert slow is not None
        assert 0 <= median <= slow <= BOUNDS[-1]
