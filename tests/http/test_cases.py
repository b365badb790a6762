"""Every case of the data, whole, over plain TCP: part of the quick suite."""

import asyncio

import pytest

from tests.http.cases import suite
from tests.http.runner import Report, run

SUITE = suite("http_cases.json")

pytestmark = pytest.mark.xdist_group("http")  # one run of all cases serves every test here


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return asyncio.run(run(SUITE, "whole", tmp_path_factory.mktemp("http")))


@pytest.mark.parametrize("name", [case["id"] for _, case in SUITE])
def test_a_case_is_handled_right(report: Report, name: str) -> None:
    assert name not in report.complaints, report.complaints[name]


def test_no_log_line_holds_the_credential(report: Report) -> None:
    assert report.said
    assert not report.leaked()
