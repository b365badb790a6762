"""Starting, resting, and living on tokens that end every few seconds."""

import re
import time
from typing import Final

from bench.field import SMALL, Field
from bench.load import OpenLoop, ask
from bench.peers import OURS
from bench.plan import Plan, account
from bench.verdict import Figures

_RATE: Final = 500.0


def start(field: Field, plan: Plan) -> list[Figures]:
    """Seconds from the start to the first forwarded request, the token call included, and memory after it."""
    seconds: dict[str, list[float]] = {name: [] for name in field.names}
    rss: dict[str, list[float]] = {name: [] for name in field.names}
    for _ in range(plan.starts):
        for name in field.names:
            with field.forgiving(name), field.start(name) as up:
                seconds[name].append(up.first_answer)
                time.sleep(1)
                rss[name].append(up.process.rss())
    return [Figures("start", "s", seconds), Figures("rss", "MiB", rss)]


def tokens(field: Field, plan: Plan) -> list[Figures]:
    """Requests that had to wait for a token, where each token lives for 5 s; ours alone."""
    with field.start(OURS, token="/token-5s") as up:
        admin = up.setting.admin
        before, called = _waited(admin), _token_calls(field)
        loop = OpenLoop(up.setting.plain, *SMALL)
        try:
            pace = loop.run(_RATE, plan.token_seconds)
        finally:
            loop.close()
        account(field, up, "tokens", pace.answers)
        waited, calls = _waited(admin) - before, _token_calls(field) - called
    per_minute = calls / plan.token_seconds * 60
    return [
        Figures("tokens", "waited", {OURS: [waited]}),
        Figures("tokens-calls", "/min", {OURS: [per_minute]}),
        Figures("tokens-p99", "ms", {OURS: [pace.percentile(99)]}),
    ]


def _waited(admin: int) -> float:
    _, text = ask(admin, "/metrics")
    name = rb"^camunda_auth_proxy_credential_wait_seconds_count.* ([0-9.e+]+)$"
    return sum(float(value) for value in re.findall(name, text, re.MULTILINE))


def _token_calls(field: Field) -> int:
    log = field.origin.folder / "tokens.log"
    return log.read_bytes().count(b"\n") if log.exists() else 0
