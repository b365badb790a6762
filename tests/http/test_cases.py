"""Every case of the data, whole, over plain TCP: part of the quick suite."""

import asyncio
from pathlib import Path

import pytest

from tests.certificates import certificate
from tests.http.cases import at_a_tls_listener, suite
from tests.http.runner import Layout, Report, run

SUITE = suite("http_cases.json")

pytestmark = pytest.mark.xdist_group("http")  # one run of all cases serves every test here


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return asyncio.run(run(SUITE, "whole", tmp_path_factory.mktemp("http")))


@pytest.mark.parametrize("name", [case["id"] for _, case in SUITE])
def test_a_case_is_handled_right(report: Report, name: str) -> None:
    assert name not in report.complaints, report.complaints[name]


def test_a_part_of_the_cases_has_the_same_result_at_a_tls_listener(tmp_path: Path) -> None:
    """The slow suite runs all of them so."""
    listener = certificate(tmp_path, "127.0.0.1")
    some = at_a_tls_listener(SUITE)[::6]
    report = asyncio.run(run(some, "whole", tmp_path, Layout(listener=listener)))
    assert len(some) >= 30
    assert not report.complaints, "\n".join(report.complaints.values())


def test_no_log_line_holds_the_credential(report: Report) -> None:
    assert report.said
    assert not report.leaked()
