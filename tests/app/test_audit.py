"""The audit log, end to end."""

import asyncio
import json
import signal
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from proxy.errors import ConfigError, StartError
from tests.app.command import command, proxy
from tests.app.in_process import House, Site, ask, house
from tests.app.test_sighup import configuration, two_sites
from tests.gateway.wire import origin


def audit(folder: Path, **more: Any) -> dict[str, Any]:
    return {"file": str(folder / "audit.log"), **more}


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


async def told(here: House, folder: Path, count: int) -> list[dict[str, Any]]:
    """The lines, as soon as there are so many."""
    await here.until(lambda: here.proxy.state.audit and here.proxy.state.audit.written >= count)
    found = read(folder / "audit.log")
    assert len(found) == count
    return found


async def post(here: House, path: str, *fields: str, method: str = "POST") -> int:
    wire = await here.caller()
    lines = (f"{method} {path} HTTP/1.1", "Host: localhost", "Content-Length: 2", *fields, "", "{}")
    wire.send("\r\n".join(lines).encode())
    return (await wire.message()).status


async def test_a_request_that_changes_something_gets_a_line_and_a_read_gets_none(tmp_path: Path) -> None:
    def prepare(here: House) -> None:
        here.document["audit"] = audit(tmp_path)

    async with house(tmp_path, prepare) as here:
        await here.says()
        assert await post(here, "/v2/process-instances?secret=canary", "X-Request-Id: mine-1") == 200
        (line,) = await told(here, tmp_path, 1)
        assert {name: line[name] for name in ("upstream", "method", "path", "status", "refused")} == {
            "upstream": "zeebe",
            "method": "POST",
            "path": "/v2/process-instances",
            "status": 200,
            "refused": None,
        }
        assert line["client_request_id"] == "mine-1"
        assert len(line["request_id"]) == 16
        assert line["address"].startswith("127.0.0.1:")
        assert not line["repaired"]
        assert await here.metric("audit_written_total") == 1
        assert await here.metric("audit_lost_total") == 0
    assert stat.S_IMODE((tmp_path / "audit.log").stat().st_mode) == 0o600
    assert "canary" not in (tmp_path / "audit.log").read_text()


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "PURGE", "get", "PROPFIND"])
async def test_each_method_but_the_safe_ones_changes_something(method: str, tmp_path: Path) -> None:
    def prepare(here: House) -> None:
        here.document["audit"] = audit(tmp_path)

    async with house(tmp_path, prepare) as here:
        assert await post(here, "/v2/jobs", method=method) == 200
        (line,) = await told(here, tmp_path, 1)
        assert line["method"] == method


async def test_with_reads_every_request_gets_a_line(tmp_path: Path) -> None:
    def prepare(here: House) -> None:
        here.document["audit"] = audit(tmp_path, reads=True)

    async with house(tmp_path, prepare) as here:
        await here.says()
        assert [line["method"] for line in await told(here, tmp_path, 1)] == ["GET"]


async def test_what_our_rules_refuse_gets_a_line_also_if_it_is_a_read(tmp_path: Path) -> None:
    def prepare(here: House) -> None:
        here.document["audit"] = audit(tmp_path)
        here.document["guard"] = {"caller_token": "0123456789abcdef"}

    async with house(tmp_path, prepare) as here:
        answer = await here.ask()
        assert answer.status == 401
        wire = await here.caller()
        assert (await ask(wire, "/v2/topology", "Sec-Fetch-Site: cross-site")).status == 403
        first, second = await told(here, tmp_path, 2)
        assert (first["refused"], first["status"]) == ("caller_unknown", 401)
        assert first["request_id"] == (answer.head.get(b"x-request-id") or b"").decode()
        assert (second["refused"], second["status"]) == ("cross_site", 403)


async def test_a_request_that_was_sent_again_is_told_as_repaired(tmp_path: Path) -> None:
    def prepare(here: House) -> None:
        here.document["audit"] = audit(tmp_path)

    async with house(tmp_path, prepare) as here:
        await here.clock.advance(60)  # so that the token endpoint may be asked again at once
        here.a.accepts = b"Bearer token-2"
        wire = await here.caller()
        wire.send(b"POST /v2/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")
        await here.later(lambda: here.proxy.state.audit and here.proxy.state.audit.written)
        assert (await wire.message()).status == 200
        (line,) = await told(here, tmp_path, 1)
        assert line["repaired"]


async def test_the_log_of_requests_and_the_audit_log_have_the_same_id(tmp_path: Path) -> None:
    async with two_sites() as (a, _):
        document = {**configuration(zeebe=a.url), "audit": audit(tmp_path), "log": {"requests": True}}
        async with proxy(tmp_path, document) as sidecar:
            await sidecar.get("zeebe", "/v2/jobs", "POST")
            event = await sidecar.message("request")
        (line,) = read(tmp_path / "audit.log")
        assert event["request_id"] == line["request_id"]


async def test_a_reload_turns_it_on_changes_the_file_and_turns_it_off(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        await post(here, "/1")
        here.document["audit"] = audit(tmp_path)
        assert (await here.apply()).anything
        await post(here, "/2")
        here.document["audit"] = {"file": str(tmp_path / "other.log")}
        assert (await here.apply()).anything
        await post(here, "/3")
        # Not until the file has bytes: the writer's thread counts a line after it has written it.
        await here.until(lambda: here.proxy.state.audit is not None and here.proxy.state.audit.written == 2)
        assert await here.metric("audit_written_total") == 2  # it counts on
        del here.document["audit"]
        await here.apply()
        await post(here, "/4")
    assert [line["path"] for line in read(tmp_path / "audit.log")] == ["/2"]
    assert [line["path"] for line in read(tmp_path / "other.log")] == ["/3"]


async def test_a_reload_to_a_file_that_cannot_be_opened_changes_nothing(tmp_path: Path) -> None:
    def prepare(here: House) -> None:
        here.document["audit"] = audit(tmp_path)

    async with house(tmp_path, prepare) as here:
        config = here.config()
        here.document["audit"] = {"file": str(tmp_path / "gone" / "audit.log")}
        with pytest.raises(ConfigError, match="does not exist; make it"):
            here.config()
        (tmp_path / "gone").mkdir()
        later = here.config()
        (tmp_path / "gone").rmdir()  # between reading the configuration and applying it
        with pytest.raises(StartError, match=r"audit\.file: .* cannot be opened: No such file"):
            await here.proxy.apply(later)
        assert here.proxy.config == config
        await post(here, "/1")
        assert len(await told(here, tmp_path, 1)) == 1


async def test_lines_go_to_stdout_and_the_log_does_not(tmp_path: Path) -> None:
    async with two_sites() as (a, _):
        document = {**configuration(zeebe=a.url), "audit": {"file": "-"}}
        async with proxy(tmp_path, document) as sidecar:
            for number in range(3):
                await sidecar.get("zeebe", f"/{number}", "POST")
            process = sidecar._process
        assert process.stdout is not None
        out = (await process.stdout.read()).decode()
    assert [json.loads(line)["path"] for line in out.splitlines()] == ["/0", "/1", "/2"]


async def test_a_request_that_the_end_cuts_off_gets_its_line(tmp_path: Path) -> None:
    site = Site("a")
    async with origin(site.play) as at:
        document = configuration(zeebe=f"http://127.0.0.1:{at.port}")
        async with proxy(tmp_path, {**document, "audit": audit(tmp_path)}) as sidecar:
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(cut_off(sidecar))
                await site.held.wait()
                sidecar.signal(signal.SIGTERM)
                await sidecar.message("stopping")
                sidecar.signal(signal.SIGTERM)
                assert await sidecar.ended() == 1
            assert running.result()
        site.release.set()
    (line,) = read(tmp_path / "audit.log")
    assert (line["path"], line["status"]) == ("/hold", 499)


async def cut_off(sidecar: Any) -> bool:
    try:
        await sidecar.get("zeebe", "/hold", "POST")
    except OSError:
        return True
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full")
async def test_a_full_disk_behind_stdout_stops_no_request_and_is_said(tmp_path: Path) -> None:
    async with two_sites() as (a, _):
        document = {**configuration(zeebe=a.url), "audit": {"file": "-"}}
        config = tmp_path / "c.yaml"
        config.write_text(json.dumps(document))
        script = tmp_path / "run.sh"
        script.write_text(f"exec {sys.executable} -m proxy run --config {config} >/dev/full")
        process = await asyncio.create_subprocess_exec(
            "sh",
            script,
            stderr=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        assert process.stderr is not None
        ports: dict[str, int] = {}
        said: list[str] = []
        async with asyncio.timeout(50):
            while "admin listening" not in "".join(said):
                said.append((await process.stderr.readline()).decode())
        for line in said:
            event = json.loads(line)
            if "listen" in event and "upstream" in event:
                ports[event["upstream"]] = int(event["listen"][0].rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", ports["zeebe"])
        writer.write(b"POST /1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        async with asyncio.timeout(20):
            while "stdout cannot be written: No space left on device" not in said[-1]:
                said.append((await process.stderr.readline()).decode())
        writer.close()
        process.terminate()
        rest = (await process.stderr.read()).decode()
        assert await process.wait() == 0
    assert "audit: 1 lines could not be written to stdout before the end." in rest


async def test_check_finds_what_is_wrong_with_the_folder(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    text = (
        "upstreams: {zeebe: {url: 'http://localhost:8080'}}\n"
        "credentials: {shared: {type: bearer, token: canary-token}}\n"
    )
    file.write_text(text + "audit: {file: gone/audit.log}\n")
    code, out, err = await command("check", "--config", str(file))
    assert code == 2
    assert f"/gone/audit.log, but {tmp_path / 'gone'} does not exist; make it" in out + err
    file.write_text(text + "audit: {file: /dev/full}\n")
    code, out, err = await command("check", "--config", str(file))
    assert code == 2
    assert (
        "audit.file (line 3): names /dev/full, which is not a regular file; write - for stdout" in out + err
    )
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    file.write_text(text + "audit: {file: open/audit.log}\n")
    code, out, err = await command("check", "--config", str(file))
    assert code == 2
    assert "every user may write in" in out + err
    file.write_text(text + "audit: {file: audit.log}\n")
    code, out, err = await command("check", "--config", str(file))
    assert code == 0
    assert not (tmp_path / "audit.log").exists()  # check writes nothing
