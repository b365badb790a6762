"""Resident memory: for callers who are merely there, for those who do not read, and over many requests."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from bench.callers import answered, connected
from bench.cost import TRANSFERS, UPLOAD
from bench.field import HUGE, SMALL, Field, Up
from bench.load import uploads, wrk
from bench.peers import OURS
from bench.plan import Plan, account
from bench.verdict import Figures

_STALLED: Final = 16
_WARM_UP: Final = 100_000
_SETTLED: Final = 2.0
"""Seconds in which what fills has filled."""


def idle(field: Field, plan: Plan) -> list[Figures]:
    """For each connection that has been answered once and stays."""
    path, size = SMALL
    count = _affordable(field, plan)

    def grown(up: Up) -> float:
        # One after the other: many connections to the proxy, hardly any to the origin.
        return _held(up, count, lambda: connected(up.setting.plain, count, path, answer=size))

    return [Figures("idle", "KiB/connection", _each_fresh(field, grown))]


def polls(field: Field, plan: Plan) -> list[Figures]:
    """For each caller who waits for an answer that takes its time."""
    count = _affordable(field, plan)

    def grown(up: Up) -> float:
        with connected(up.setting.plain, 1, "/poll"):  # what is loaded at the first one is not theirs
            _until(lambda: field.polls.held() == 1)
        before = up.process.rss()
        with connected(up.setting.plain, count, "/poll") as callers:
            if not _until(lambda: field.polls.held() >= count):
                field.blame(up.name, f"polls: {field.polls.held()} of {count} reached the origin")
            after = up.process.rss()
            field.polls.release()
            if not all(answered(caller, len(b"released")) for caller in callers):
                field.blame(up.name, "polls: not all were answered")
        return (after - before) * 1024 / count

    return [Figures("polls", "KiB/caller", _each_fresh(field, grown))]


def buffers(field: Field, _: Plan) -> list[Figures]:
    """For each caller of a 64 MiB answer who reads none of it, and at the most for each upload of 10 MiB."""

    def stalled(up: Up) -> float:
        return _held(
            up, _STALLED, lambda: connected(up.setting.plain, _STALLED, HUGE[0], receive_buffer=4096)
        )

    def sending(up: Up) -> float:
        up.process.forget_peak()
        before = up.process.rss()
        account(field, up, "sending", uploads(up.setting.plain, UPLOAD, TRANSFERS, 3))
        return (up.process.peak() - before) * 1024 / TRANSFERS

    return [
        Figures("unread", "KiB/caller", _each_fresh(field, stalled)),
        Figures("sending", "KiB/upload", _each_fresh(field, sending)),
    ]


def million(field: Field, plan: Plan) -> list[Figures]:
    """Growth over many requests, and the highest there was; ours alone."""
    path, size = SMALL
    seen: list[float] = []
    with field.forgiving(OURS), field.start(OURS) as up:
        done, before = 0, min(_WARM_UP, plan.requests)
        while done < before + plan.requests:
            answers = wrk(up.setting.plain, path, 32, 2, size)
            account(field, up, "million", answers)
            if not answers.requests:
                break
            done += answers.requests
            if done >= before:
                seen.append(up.process.rss())
    growth = {OURS: [seen[-1] - seen[0]]} if seen else {}
    return [Figures("million", "MiB", growth), Figures("million-rss", "MiB", {OURS: seen})]


def _each_fresh(field: Field, measure: Callable[[Up], float]) -> dict[str, list[float]]:
    """Each proxy started anew: what it held before would be given out again."""
    figures = {}
    path, size = SMALL
    for name in field.names:
        with field.forgiving(name), field.start(name) as up:
            account(field, up, "warm-up", wrk(up.setting.plain, path, 32, 1, size))
            figures[name] = [measure(up)]
    return figures


def _held(up: Up, count: int, callers: Callable[[], AbstractContextManager[object]]) -> float:
    """KiB for each."""
    before = up.process.rss()
    with callers():
        time.sleep(_SETTLED)
        return (up.process.rss() - before) * 1024 / count


def _affordable(field: Field, plan: Plan) -> int:
    """Each waiting caller is two open files, in the proxy and in the origin."""
    return min(plan.callers, (field.origin.files - 400) // 200 * 100)


def _until(reached: Callable[[], bool]) -> bool:
    end = time.perf_counter() + 60
    while not reached():
        if time.perf_counter() > end:
            return False
        time.sleep(0.05)
    return True
