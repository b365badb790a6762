"""CPU for each request, and for each MiB: proxies take turns second by second."""

from typing import Final

from bench.field import LARGE, SMALL, Field, Up
from bench.load import OpenLoop, uploads, wrk
from bench.plan import Measure, Plan, Values, account, micro, take_turns
from bench.verdict import Figures

UPLOAD: Final = 10 << 20
TRANSFERS: Final = 4
"""Long bodies on their way at a time."""
_RATE: Final = 1000.0


def closed_loop(name: str, connections: int, *, tls: bool = False, close: bool = False) -> Measure:
    """`connections` callers that ask again as soon as they are answered.

    Args:
        tls: the proxy speaks TLS to the origin.
        close: a new connection for each request.
    """

    def measure(field: Field, plan: Plan) -> list[Figures]:
        def turn(up: Up) -> Values:
            port = up.setting.tls if tls else up.setting.plain
            before = up.process.cpu()
            answers = wrk(port, SMALL[0], connections, plan.seconds, SMALL[1], close=close)
            spent = up.process.cpu() - before
            account(field, up, name, answers)
            return {name: micro(spent, answers.requests), f"{name}-rate": answers.requests / plan.seconds}

        return take_turns(field, plan.rounds, {name: "µs/request", f"{name}-rate": "req/s"}, turn)

    return measure


def open_loop(field: Field, plan: Plan) -> list[Figures]:
    """1,000 requests a second, where most of the cost is waking up; and how late answers are."""
    units = {"open": "µs/request", "open-p50": "ms", "open-p99": "ms"}

    def turn(up: Up) -> Values:
        loop = OpenLoop(up.setting.plain, *SMALL)
        try:
            before = up.process.cpu()
            pace = loop.run(_RATE, plan.seconds)
            spent = up.process.cpu() - before
        finally:
            loop.close()
        account(field, up, "open", pace.answers)
        late = {"open-p50": pace.percentile(50), "open-p99": pace.percentile(99)}
        return {"open": micro(spent, len(pace.delays)), **late}

    return take_turns(field, plan.rounds, units, turn)


def downloads(field: Field, plan: Plan) -> list[Figures]:
    """Answers of 1 MiB, four at a time."""
    units = {"down": "µs/MiB", "down-rss": "MiB"}

    def turn(up: Up) -> Values:
        up.process.forget_peak()
        before = up.process.cpu()
        answers = wrk(up.setting.plain, LARGE[0], TRANSFERS, plan.seconds, LARGE[1])
        spent = up.process.cpu() - before
        account(field, up, "down", answers)
        return {"down": micro(spent, answers.requests), "down-rss": up.process.peak()}

    return take_turns(field, plan.rounds, units, turn)


def upload(field: Field, plan: Plan) -> list[Figures]:
    """Bodies of 10 MiB, four at a time."""
    each = max(1, round(6 * plan.seconds))
    mebibytes = TRANSFERS * each * UPLOAD >> 20

    def turn(up: Up) -> Values:
        up.process.forget_peak()
        before = up.process.cpu()
        answers = uploads(up.setting.plain, UPLOAD, TRANSFERS, each)
        spent = up.process.cpu() - before
        account(field, up, "up", answers)
        return {"up": micro(spent, mebibytes), "up-rss": up.process.peak()}

    return take_turns(field, plan.rounds, {"up": "µs/MiB", "up-rss": "MiB"}, turn)
