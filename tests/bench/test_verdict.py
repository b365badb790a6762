"""Ratios are taken of figures that were measured side by side, never of medians."""

from math import isnan, nan

import pytest

from bench.verdict import Figures, Target, judged, ratio


def figures(**by_peer: list[float]) -> Figures:
    return Figures("plain", "µs/request", by_peer)


def test_a_machine_that_slows_down_between_rounds_does_not_move_a_ratio() -> None:
    spread = ratio(figures(ours=[10, 20, 40], envoy=[20, 40, 80]), "ours", "envoy")
    assert spread is not None
    assert (spread.low, spread.middle, spread.high) == (0.5, 0.5, 0.5)


def test_a_round_without_an_answer_is_no_pair() -> None:
    measured = figures(ours=[10, nan, 30], envoy=[20, 10, nan])
    spread = ratio(measured, "ours", "envoy")
    assert spread is not None
    assert spread.middle == 0.5
    assert measured.typical("ours") == 20
    assert isnan(figures(ours=[nan]).typical("ours"))


@pytest.mark.parametrize("by_peer", [{}, {"ours": [1.0]}, {"ours": [1.0], "envoy": [0.0]}])
def test_no_pairs_make_no_ratio_and_no_verdict(by_peer: dict[str, list[float]]) -> None:
    measured = figures(**by_peer)
    assert ratio(measured, "ours", "envoy") is None
    assert judged(Target("plain", 1.0, "envoy"), measured) is None


def test_a_target_is_met_by_exactly_what_it_allows() -> None:
    assert judged(Target("idle", 12.0), figures(ours=[12.0])) == (12.0, True)
    assert judged(Target("idle", 12.0), figures(ours=[12.5])) == (12.5, False)
    assert judged(Target("plain", 2.5, "nginx"), figures(ours=[5.0], nginx=[2.0])) == (2.5, True)
