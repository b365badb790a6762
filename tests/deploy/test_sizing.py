"""What docs/operations.md says about memory follows from the code, and deploy/ gives as much."""

import re
from pathlib import Path

import pytest

from proxy.audit.writer import MOST_BYTES
from proxy.config.document.file import UpstreamDocument
from proxy.gateway.limit import KEPT_FREELY, MANY_HELD, MAX_BUFFERED, MAX_KEPT
from proxy.gateway.small_reads import SMALL
from tests.deploy.sizing import CONNECTION, PROCESS, STORE, TLS_CONNECTION, most

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
SECTION = OPERATIONS.split("\n### Memory\n")[1].split("\n## ")[0]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")] for line in SECTION.splitlines() if line[:1] == "|"
]
BUDGETS = ROWS[2 : ROWS.index(next(row for row in ROWS if row[0] == "upstreams"))]
SUMS = ROWS[len(BUDGETS) + 4 :]
UNITS = {"KiB": 1 << 10, "MiB": 1 << 20}
DEFAULT = UpstreamDocument.model_fields["max_connections"].default


def sizes(text: str) -> list[int]:
    """The sizes in a text, in bytes."""
    return [int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+) (KiB|MiB)", text)]


def test_each_budget_is_the_codes() -> None:
    said = [sizes(row[1]) for row in BUDGETS]
    assert said == [
        [PROCESS],
        [STORE],
        [MOST_BYTES],
        [CONNECTION, TLS_CONNECTION],
        [KEPT_FREELY],
        [MAX_KEPT],
        [MAX_BUFFERED],
        [MANY_HELD, SMALL],
    ]


@pytest.mark.parametrize("row", SUMS, ids=" ".join)
def test_each_sum_is_that_of_its_settings(row: list[str]) -> None:
    upstreams, connections, callers, tls, more, total, limit = row
    bytes_ = most(int(upstreams), int(connections), int(callers), tls=tls == "yes", more=more == "yes")
    assert sizes(total) == [(-(-bytes_ >> 20)) << 20], f"{bytes_ / (1 << 20):.1f} MiB"
    assert bytes_ <= int(limit.removesuffix("Mi")) << 20 < bytes_ + (64 << 20)


def test_there_are_sums() -> None:
    assert len(SUMS) >= 4


def test_the_limit_that_deploy_sets_is_enough_for_one_upstream_and_a_thousand_callers() -> None:
    text = (ROOT / "deploy/kubernetes/component/sidecar.yaml").read_text(encoding="utf-8")
    (request,), (limit,) = (
        re.findall(rf"{kind}: \{{.*memory: (\d+)Mi", text) for kind in ("requests", "limits")
    )
    assert int(request) << 20 == PROCESS
    assert most(1, DEFAULT, 1000, tls=False, more=True) <= int(limit) << 20
    assert f"limit {limit} Mi" in OPERATIONS
    assert f"request {request} Mi" in OPERATIONS
