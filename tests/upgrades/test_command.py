"""`check --from VERSION` says what concerns one configuration."""

from pathlib import Path

import pytest

from tests.app.command import command

CONFIG = """
cluster: {region: bru-2, id: 5c34c0a7-0000-0000-0000-000000000000}
upstreams:
  zeebe: {replay_buffer: 1MiB}
  optimize: {}
credentials:
  saas: {type: oauth2, client_id: id, client_secret: a-secret-of-25-characters}
"""


async def check(tmp_path: Path, *options: str, text: str = CONFIG) -> tuple[int, str, str]:
    (tmp_path / "camunda-auth-proxy.yaml").write_text(text, encoding="utf-8")
    return await command("check", *options, folder=tmp_path)


def one_line(text: str) -> str:
    return " ".join(text.split())


async def test_what_concerns_the_configuration_is_named_with_its_place(tmp_path: Path) -> None:
    code, out, err = await check(tmp_path, "--from", "2026-11-22")
    assert (code, err) == (0, "")
    said = one_line(out)
    assert "Changes since 2026-11-22 " in said
    assert "- upstreams.optimize: The default of replay_buffer is 4 MiB" in said
    assert "- upstreams.zeebe: The URL that cluster gives" in said
    assert "Do: Write replay_buffer: 64KiB" in said
    assert said.index("- upstreams.zeebe: ") < said.index("- A file with a secret")  # places come first
    assert "- problem code draining (gone): " in said
    assert "- field of the log caller -> address: " in said
    assert "metrics: " in said
    assert "login, logout or callback" not in said  # it has no session
    assert max(len(line) for line in out[out.index("Changes since") :].splitlines()) <= 80


async def test_without_changes_it_says_so(tmp_path: Path) -> None:
    code, out, _ = await check(tmp_path, "--from", "2999-01-01")
    assert code == 0
    assert "Nothing that concerns users has changed since 2999-01-01." in out
    assert "is right" in out


async def test_a_configuration_that_cannot_be_used_gets_the_whole_list(tmp_path: Path) -> None:
    code, out, err = await check(tmp_path, "--from", "2026-11-22", text=CONFIG.replace("zeebe:", "zeeebe:"))
    assert code == 2
    assert "upstreams.*: The default of replay_buffer" in one_line(out)
    assert "upstreams.zeeebe" in err


@pytest.mark.parametrize("version", ["99.0.0", "newest", ""])
async def test_a_version_that_is_none_is_a_wrong_usage(version: str, tmp_path: Path) -> None:
    code, out, err = await check(tmp_path, "--from", version)
    assert (code, out) == (2, "")
    assert "--from " in err
    assert len(err.splitlines()) <= 5
