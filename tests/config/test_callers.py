"""Callers in the configuration: what is resolved, and what gets a notice."""

from hashlib import sha256
from pathlib import Path

import pytest

from proxy.clock import date_of, wall_time
from proxy.config.model import CallerConfig, Config, RateConfig
from tests.config.writing import BEARER, ZEEBE, read, refused

DAY = 24 * 3600
TOKEN = "canary-token-of-a-caller"
HASH = sha256(TOKEN.encode()).digest()


def loaded(folder: Path, caller: str, more: str = "") -> Config:
    return read(folder, f"{ZEEBE}{BEARER}callers: {{ci: {{{caller}}}}}\n{more}")


def caller(folder: Path, written: str) -> CallerConfig:
    (found,) = loaded(folder, written).callers
    return found


def test_a_list_may_be_written_as_its_only_entry(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN + "\r\n")
    one = caller(tmp_path, f"token_file: token, token_sha256: {'0' * 64}, upstreams: zeebe")
    many = caller(tmp_path, f"token_file: [token], token_sha256: [{'0' * 64}], upstreams: [zeebe, zeebe]")
    assert one == many
    assert (one.tokens[0].file, one.token_sha256, one.upstreams) == (
        tmp_path / "token",
        (bytes(32),),
        ("zeebe",),
    )
    assert caller(tmp_path, f"token: {TOKEN}").upstreams is None


@pytest.mark.parametrize(
    ("written", "rate"),
    [
        ("per_second: 5, burst: 20", RateConfig(5.0, 20)),
        ("per_second: 5", RateConfig(5.0, 5)),
        ("per_second: 2.5", RateConfig(2.5, 3)),
        ("per_second: 0.01", RateConfig(0.01, 1)),
    ],
)
def test_a_burst_is_by_default_what_a_second_allows(written: str, rate: RateConfig, tmp_path: Path) -> None:
    assert caller(tmp_path, f"token: {TOKEN}, rate: {{{written}}}").rate == rate


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("2027-01-31T00:00:00Z", 1_801_353_600.0),
        ("2027-01-31t00:00:00z", 1_801_353_600.0),
        ("2027-01-31T01:00:00+01:00", 1_801_353_600.0),
        ("'2027-01-31 00:00:00.5Z'", 1_801_353_600.5),
    ],
)
def test_an_expiry_is_a_time_with_its_zone(written: str, seconds: float, tmp_path: Path) -> None:
    assert caller(tmp_path, f"token: {TOKEN}, expires: {written}").expires == seconds


@pytest.mark.parametrize(
    ("ahead", "notice"),
    [(-1 * DAY, "callers.ci has expired ("), (13 * DAY, "callers.ci expires soon, on 20"), (15 * DAY, None)],
)
def test_an_expiry_that_is_near_gets_a_notice(ahead: int, notice: str | None, tmp_path: Path) -> None:
    notices = loaded(tmp_path, f"token: {TOKEN}, expires: {date_of(wall_time() + ahead)}").notices
    assert [each.startswith(str(notice)) for each in notices] == ([True] if notice else [])


def test_two_callers_with_one_token_are_found_wherever_the_tokens_are(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    ways = (f"token: {TOKEN}", "token_file: token", f"token_sha256: {HASH.hex()}")
    for one in ways:
        for other in ways:
            text = f"{ZEEBE}{BEARER}callers: {{ci: {{{one}}}, bi: {{{other}}}}}"
            (problem,) = refused(tmp_path, text)
            assert problem.startswith("callers.bi (line 5): has the same token as callers.ci")
            assert "canary" not in problem


def test_a_caller_may_name_one_token_in_two_ways_while_it_moves(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    assert caller(tmp_path, f"token_file: token, token_sha256: {HASH.hex()}").token_count == 2


def test_off_loopback_callers_are_as_good_as_a_caller_token(tmp_path: Path) -> None:
    text = ZEEBE.replace("}", ", listen: '0.0.0.0:19080'}") + BEARER + "guard: {allow_non_loopback: true}\n"
    advice = "set guard.caller_token or callers"
    assert any(advice in notice for notice in read(tmp_path, text).notices)
    with_callers = read(tmp_path, f"{text}callers: {{ci: {{token: {TOKEN}}}}}")
    assert not any(advice in notice for notice in with_callers.notices)


@pytest.mark.parametrize("listen", ["localhost:19080", "'[::1]:19080'", "unix:/run/zeebe.sock"])
def test_an_anonymous_caller_needs_no_token(listen: str, tmp_path: Path) -> None:
    upstream = ZEEBE.replace("}", f", listen: {listen}, anonymous: local}}")
    config = read(tmp_path, f"{upstream}{BEARER}callers: {{local: {{read_only: true}}}}")
    assert config.upstreams[0].anonymous == "local"


def test_an_anonymous_caller_must_be_allowed_there(tmp_path: Path) -> None:
    upstreams = ZEEBE.replace("}", ", anonymous: local}") + "  operate: {url: 'http://localhost:8081'}\n"
    (problem,) = refused(tmp_path, f"{upstreams}{BEARER}callers: {{local: {{upstreams: operate}}}}")
    assert "names caller `local`, whose upstreams do not name zeebe" in problem


def test_a_rule_of_a_caller_may_name_an_operation_of_any_of_its_upstreams(tmp_path: Path) -> None:
    upstreams = ZEEBE + "  optimize: {url: 'http://localhost:8083'}\n"
    rules = "allow: [POST /v2/process-instances, GET /api/public/dashboard]"
    text = f"{upstreams}{BEARER}callers: {{ci: {{token: {TOKEN}, {rules}%s}}}}"
    read(tmp_path, text % "")
    (problem,) = refused(tmp_path, text % ", upstreams: zeebe")
    assert "callers.ci.allow[1]" in problem
