"""The command as its user runs it: exit codes, output, report, progress."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.app.command import CLEAN, ROOT, command, proxy
from tests.doctor.rig import SECRET, TOPOLOGY, Document, none, oauth2, scripted
from tests.token_server import invalid_client, token_server


def written(folder: Path, document: Document) -> str:
    file = folder / "c.yaml"
    file.write_text(json.dumps(document), encoding="utf-8")
    file.chmod(0o600)
    return str(file)


async def test_nothing_is_wrong(tmp_path: Path) -> None:
    async with scripted(otherwise=TOPOLOGY) as server, token_server() as tokens:
        file = written(tmp_path, oauth2(server.url, tokens.url))
        code, out, err = await command("doctor", "--config", file)
    assert (code, err) == (0, "")
    assert out.endswith("Nothing is wrong.\n")


async def test_something_is_wrong(tmp_path: Path) -> None:
    async with scripted() as server, token_server() as tokens:
        tokens.always = invalid_client
        file = written(tmp_path, oauth2(server.url, tokens.url))
        code, out, err = await command("doctor", "--config", file)
    assert (code, err) == (1, "")
    assert out.endswith("1 thing is wrong: see credentials.identity.\n")
    assert SECRET not in out


async def test_json(tmp_path: Path) -> None:
    async with scripted() as server, token_server() as tokens:
        tokens.always = invalid_client
        file = written(tmp_path, oauth2(server.url, tokens.url))
        code, out, err = await command("doctor", "--json", "--config", file)
    found = json.loads(out)
    assert (code, err, found["ok"], found["source"]) == (1, "", False, file)
    sections = {each["subject"]: each["steps"] for each in found["sections"]}
    token = next(each for each in sections["credentials.identity"] if each["name"] == "token")
    assert (token["mark"], token["cause"]["name"]) == ("wrong", "token_wrong_secret")
    assert isinstance(token["seconds"], float)
    assert sections["upstreams.zeebe"][-1]["mark"] == "skipped"


async def test_the_report_is_for_its_owner_and_holds_no_secret(tmp_path: Path) -> None:
    report = tmp_path / "report.txt"
    async with scripted() as server, token_server() as tokens:
        tokens.always = invalid_client
        file = written(tmp_path, oauth2(server.url, tokens.url))
        code, out, err = await command("doctor", "--config", file, "--report", str(report))
    assert (code, err) == (1, f"The report is in {report}.\n")
    text = report.read_text()
    assert text.startswith("camunda-auth-proxy doctor, version ")
    assert "token_wrong" not in out
    assert out.strip() in text
    assert SECRET not in text
    if os.name == "posix":
        assert report.stat().st_mode & 0o777 == 0o600


async def test_a_report_that_cannot_be_written_is_told_before_anything_is_tried(tmp_path: Path) -> None:
    async with scripted() as server:
        file = written(tmp_path, none(server.url))
        report = str(tmp_path / "missing" / "report.txt")
        code, out, err = await command("doctor", "--config", file, "--report", report)
        assert not server.asked
    assert (code, out) == (2, "")
    assert err == f"--report {report} cannot be written: No such file or directory; name another file.\n"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--config", "missing.yaml"), "missing.yaml"),
        (("--what",), "--what"),
        (("--config", "bad.yaml"), "upstreams.zeebe.url"),
    ],
)
async def test_bad_usage_and_bad_configuration(tmp_path: Path, arguments: Any, word: str) -> None:
    (tmp_path / "bad.yaml").write_text(json.dumps(none("ftp://x")))
    code, out, err = await command("doctor", *arguments, folder=tmp_path)
    assert (code, out) == (2, "")
    assert word in err


async def test_without_a_file_from_variables(tmp_path: Path) -> None:
    async with scripted(otherwise=TOPOLOGY) as server, token_server() as tokens:
        environ = {
            "CAMUNDA_REST_ADDRESS": server.url,
            "CAMUNDA_OAUTH_URL": tokens.url,
            "CAMUNDA_CLIENT_ID": "orchestration",
            "CAMUNDA_CLIENT_SECRET": SECRET,
        }
        code, out, _ = await command("doctor", environ=environ, folder=tmp_path)
    assert code == 0
    assert "CAMUNDA_REST_ADDRESS" in out


async def test_beside_a_running_proxy(tmp_path: Path) -> None:
    async with scripted(otherwise=TOPOLOGY) as server, token_server() as tokens:
        document = oauth2(server.url, tokens.url)
        document["admin"] = {"listen": "127.0.0.1:0"}
        async with proxy(tmp_path, document) as running:
            port = (await running.url("zeebe")).rpartition(":")[2]
            document["upstreams"]["zeebe"]["listen"] = f"127.0.0.1:{port}"
            code, out, err = await command("doctor", "--config", written(tmp_path, document))
            status, _, _ = await running.get("zeebe", "/v2/topology")
    assert (code, err) == (0, ""), out
    assert status == 200


@pytest.mark.skipif(sys.platform == "win32", reason="needs a terminal of POSIX")
async def test_a_terminal_sees_what_is_tried(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    try:
        async with scripted(otherwise=TOPOLOGY) as server, token_server() as tokens:
            file = written(tmp_path, oauth2(server.url, tokens.url))
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "proxy", "doctor", "--json", "--config", file),
                env={**CLEAN, "PYTHONPATH": str(ROOT)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=theirs,
            )
            out, _ = await process.communicate()
        shown = os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert json.loads(out)["ok"]
    assert f"connecting to {tokens.url}" in shown
    assert "getting credentials: identity" in shown
    assert f"calling {server.url}: GET /v2/topology" in shown
    assert shown.endswith("\r\x1b[2K"), "the line is removed"
