"""How much is measured, and what every measure shares."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import nan
from typing import Final

from bench.field import Field, Up
from bench.load import Answers
from bench.verdict import Figures

Values = Mapping[str, float]
Measure = Callable[[Field, "Plan"], list[Figures]]


@dataclass(frozen=True)
class Plan:
    """How much of everything.

    Attributes:
        rounds: turns that each proxy takes; one more comes first and is not counted.
        seconds: of load in a turn.
        callers: idle connections, and waiting long polls, as far as open files allow.
        requests: after which memory should not have grown.
        starts: of each proxy.
        token_seconds: of load with tokens that live for 5 s.
        counted: requests that valgrind and strace look at.
    """

    rounds: int = 9
    seconds: float = 1.0
    callers: int = 10_000
    requests: int = 1_000_000
    starts: int = 5
    token_seconds: float = 180.0
    counted: int = 2_000


SHORT: Final = Plan(rounds=2, callers=1_000, requests=50_000, starts=2, token_seconds=15.0, counted=500)


def take_turns(
    field: Field, rounds: int, units: Mapping[str, str], turn: Callable[[Up], Values]
) -> list[Figures]:
    """Every proxy in turn, `rounds` times: what drifts in the machine meets all of them.

    Args:
        units: of each figure that `turn` gives, by name.
    """
    gathered: dict[str, dict[str, list[float]]] = {name: {up.name: [] for up in field.up} for name in units}
    for number in range(rounds + 1):
        first = number % len(field.up)  # nobody always comes after the same neighbour's load
        for up in field.up[first:] + field.up[:first]:
            values: Values = {}
            with field.forgiving(up.name):
                values = turn(up)
            if number:
                for name in units:
                    gathered[name][up.name].append(values.get(name, nan))
    return [Figures(name, units[name], by_peer) for name, by_peer in gathered.items()]


def account(field: Field, up: Up, measure: str, answers: Answers) -> None:
    """See that nothing was lost, and nothing answered wrongly."""
    if answers.lost or answers.wrong or not answers.requests:
        what = f"{answers.requests} good answers, {answers.lost} lost, {answers.wrong} wrong"
        field.blame(up.name, f"{measure}: {what}")


def micro(seconds: float, count: float) -> float:
    """Microseconds for each; nan where there was none."""
    return seconds / count * 1e6 if count else nan
