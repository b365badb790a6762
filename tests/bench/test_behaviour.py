"""The judge of bench/conformance finds what is wrong, and lets pass what is right."""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.behaviour import configurations
from bench.behaviour.http_rows import http_verdicts
from bench.behaviour.lanes import Lane
from bench.behaviour.page_rows import page_verdicts, recorded
from bench.behaviour.peers import OURS, PEERS, Peer
from bench.behaviour.refusal_rows import refusal_verdicts
from bench.behaviour.table import failures, markdown
from bench.behaviour.token_rows import token_verdicts
from bench.behaviour.upload_rows import upload_verdicts
from bench.behaviour.verdict import Result, Verdict, judged, one_line
from bench.process import Command
from tests.certificates import certificate

PROGRAM = Path(__file__).with_name("careless_proxy.py")


def careless(lanes: Sequence[Lane], folder: Path, pki: Path) -> Command:
    path = folder / "lanes.json"
    path.write_text(json.dumps(configurations.go(lanes, pki)), encoding="utf-8")
    return Command((sys.executable, str(PROGRAM), str(path)), folder)


CARELESS = Peer("careless", "Careless", careless, sys.executable)
GOOD = PEERS[OURS]
both = pytest.mark.parametrize(
    ("peer", "result"), [(CARELESS, Result.FAILED), (GOOD, Result.PASSED)], ids=["bad", "good"]
)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("pki"), "127.0.0.1")


def results(verdicts: Sequence[Verdict]) -> dict[str, Result]:
    return {each.row: each.result for each in verdicts}


@both
async def test_http_rows_tell_a_bad_proxy_from_a_good_one(
    peer: Peer, result: Result, tmp_path: Path, pki: tuple[Path, Path]
) -> None:
    rows = ["base-get", "host-rebind-port", "more-browser-cross", "chunk-hex-prefix"]
    verdicts = await http_verdicts(peer, tmp_path, pki[0], rows)
    assert results(verdicts) == dict.fromkeys([*rows, "via"], result)


@both
async def test_page_rows_tell_a_bad_proxy_from_a_good_one(
    peer: Peer, result: Result, tmp_path: Path, pki: tuple[Path, Path]
) -> None:
    rows = ["form POST from another site", "image from a rebound name", "fetch no-cors from a data: frame"]
    assert results(await page_verdicts(peer, tmp_path, pki[0], rows)) == dict.fromkeys(rows, result)


async def test_a_preflight_that_the_api_does_not_answer_leads_to_nothing(
    tmp_path: Path, pki: tuple[Path, Path]
) -> None:
    rows = ["fetch JSON POST from another site"]
    assert results(await page_verdicts(CARELESS, tmp_path, pki[0], rows)) == {rows[0]: Result.PASSED}


@both
async def test_upload_rows_tell_a_bad_proxy_from_a_good_one(
    peer: Peer, result: Result, tmp_path: Path, pki: tuple[Path, Path]
) -> None:
    rows = ["http, 20 MiB, length, origin closes, client reads meanwhile"]
    assert results(await upload_verdicts(peer, tmp_path, pki, rows)) == {rows[0]: result}


@pytest.mark.slow
async def test_rows_of_tokens_and_refusals_tell_a_bad_proxy_from_a_good_one(
    tmp_path: Path, pki: tuple[Path, Path]
) -> None:
    faults = ["down at the start", "token_lf at the start", "50 requests wait for the first token"]
    refusals = ["401 for ever", "one path refuses for ever"]
    bad, good, worse, better = await asyncio.gather(
        token_verdicts(CARELESS, tmp_path / "bad", pki[0], faults),
        token_verdicts(GOOD, tmp_path / "good", pki[0], faults),
        refusal_verdicts(CARELESS, tmp_path / "bad", pki[0], refusals),
        refusal_verdicts(GOOD, tmp_path / "good", pki[0], refusals),
    )
    assert results(bad + worse) == dict.fromkeys(faults + refusals, Result.FAILED)
    assert results(good + better) == dict.fromkeys(faults + refusals, Result.PASSED), good + better


async def test_what_a_proxy_has_no_feature_for_is_no_failure(tmp_path: Path, pki: tuple[Path, Path]) -> None:
    verdicts = [
        *await token_verdicts(PEERS["nginx"], tmp_path, pki[0]),
        *await http_verdicts(PEERS["mcp-remote"], tmp_path, pki[0]),
    ]
    assert {each.result for each in verdicts} == {Result.CANNOT}
    assert all(each.why for each in verdicts)


def test_the_recorded_attacks_name_the_port_and_are_all_different() -> None:
    attacks = list(recorded())
    assert len(attacks) > 500
    assert len({attack.name for attack in attacks}) == len(attacks)
    assert all(b"{port}" in request and b"{mark}" in request for each in attacks for request in each.requests)


# -- the table --

SOME = (
    judged("http-requests", "a", "nginx", ["the token went\nto 127.0.0.1:12345"]),
    judged("http-requests", "b", "nginx", []),
    Verdict("token-endpoint", "c", "nginx", Result.CANNOT, "it has none"),
    judged("http-requests", "a", OURS, []),
    judged("http-requests", "b", OURS, ["wrong"]),
    judged("token-endpoint", "c", OURS, []),
)


def test_the_table_tells_passed_of_tried_and_where_another_is_better() -> None:
    text = markdown(SOME, {"nginx": "1.2"}, {})
    assert "| HTTP: requests | 1 of 2 | 1 of 2 |" in text
    assert "| Faults of the token endpoint | cannot | 1 of 1 |" in text
    assert '- nginx passes 1 row(s) of "HTTP: requests" that ours fails.' in text
    assert "- http-requests, b: wrong" in text
    assert "- nginx: it has none (Faults of the token endpoint)." in text


def test_cost_is_the_median_of_ratios_within_a_round() -> None:
    by_peer = {"nginx": [1.0, 10.0, 1.0], OURS: [2.0, 20.0, 2.0], "envoy": [4.0, 40.0, 4.0]}
    reference = {"figures": {"plain-32": {"unit": "x", "by_peer": by_peer}}, "machine": {"ours": "abc"}}
    text = markdown(SOME, {}, reference)
    assert "| CPU per request, 32 connections | 0.50 | 1.00 |" in text
    assert "CPU per request, 32 connections: nginx (0.50) of ours." in text


def test_each_failure_is_one_line_without_ports() -> None:
    assert failures(SOME).splitlines() == [
        "group\tpeer\trow\tseen",
        "http-requests\tnginx\ta\tthe token went to HOST:PORT",
        "http-requests\tours\tb\twrong",
    ]


def test_a_reason_is_short_printable_ascii() -> None:
    assert one_line("a\tb\x00ü" + "x" * 1000).startswith("a b?\\xfcx")
    assert len(one_line("x" * 1000)) == 240
