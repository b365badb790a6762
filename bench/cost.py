"""CPU for each request, and for each MiB: proxies take turns second by second."""

from typing import Final

from bench.field import LARGE, SMALL, Field, Up
from bench.load import OpenLoop, uploads, wrk
from bench.plan import Measure, Plan, Values, account, micro, take_turns
from bench.process import spending
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
            with spending(up.process) as spent:
                answers = wrk(port, SMALL[0], connections, plan.seconds, SMALL[1], close=close)
            account(field, up, name, answers)
            return {
                name: micro(spent.cpu, answers.requests),
                f"{name}-rate": answers.requests / plan.seconds,
                f"{name}-busy": spent.busy,
            }

        units = {name: "µs/request", f"{name}-rate": "req/s", f"{name}-busy": "%"}
        return take_turns(field, plan.rounds, units, turn)

    return measure


def open_loop(field: Field, plan: Plan) -> list[Figures]:
    """1,000 requests a second, where most of the cost is waking up; and how late answers are."""
    units = {"open": "µs/request", "open-p50": "ms", "open-p99": "ms", "open-busy": "%"}

    def turn(up: Up) -> Values:
        loop = OpenLoop(up.setting.plain, *SMALL)
        try:
            with spending(up.process) as spent:
                pace = loop.run(_RATE, plan.seconds)
        finally:
            loop.close()
        account(field, up, "open", pace.answers)
        late = {"open-p50": pace.percentile(50), "open-p99": pace.percentile(99)}
        return {"open": micro(spent.cpu, len(pace.delays)), **late, "open-busy": spent.busy}

    return take_turns(field, plan.rounds, units, turn)


def downloads(field: Field, plan: Plan) -> list[Figures]:
    """Answers of 1 MiB, four at a time."""
    units = {"down": "µs/MiB", "down-rss": "MiB", "down-busy": "%"}

    def turn(up: Up) -> Values:
        up.process.forget_peak()
        with spending(up.process) as spent:
            answers = wrk(up.setting.plain, LARGE[0], TRANSFERS, plan.seconds, LARGE[1])
        account(field, up, "down", answers)
        cost = micro(spent.cpu, answers.requests)
        return {"down": cost, "down-rss": up.process.peak(), "down-busy": spent.busy}

    return take_turns(field, plan.rounds, units, turn)


def upload(field: Field, plan: Plan) -> list[Figures]:
    """Bodies of 10 MiB, four at a time."""
    each = max(1, round(6 * plan.seconds))
    mebibytes = TRANSFERS * each * UPLOAD >> 20

    def turn(up: Up) -> Values:
        up.process.forget_peak()
        with spending(up.process) as spent:
            answers = uploads(up.setting.plain, UPLOAD, TRANSFERS, each)
        account(field, up, "up", answers)
        return {"up": micro(spent.cpu, mebibytes), "up-rss": up.process.peak(), "up-busy": spent.busy}

    units = {"up": "µs/MiB", "up-rss": "MiB", "up-busy": "%"}
    return take_turns(field, plan.rounds, units, turn)
