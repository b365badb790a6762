"""Callers, end to end: who may do what, and what becomes of those that are removed."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from proxy.clock import date_of
from tests.app.command import Running, command, proxy
from tests.app.in_process import House, ask, house, send
from tests.gateway.wire import Answer, Head, Wire, origin

CI, BI, AGENT = (f"cap_canary-{name}-0123456789" for name in ("ci", "bi", "agent"))
ANY = {"token": CI}


def hashed(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def shows(token: str) -> str:
    return f"X-Proxy-Token: {token}"


class Camunda:
    """An upstream that remembers its requests. `/stream` never ends, `/poll` and uploads wait."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Head] = []
        self.begun = asyncio.Semaphore(0)
        self.gone = asyncio.Semaphore(0)

    async def play(self, wire: Wire) -> None:
        try:
            while True:
                head = await wire.head()
                self.asked.append(head)
                if b"/stream" in head.line:
                    wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
                if b"/big" in head.line:
                    wire.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfirst")
                if any(part in head.line for part in (b"/stream", b"/big", b"/poll", b"/upload")):
                    self.begun.release()
                    await wire.reader.read(1)
                    if b"/upload" in head.line:
                        await wire.rest()
                    return
                await wire.octets(int(head.get(b"content-length") or 0))
                wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        finally:
            self.gone.release()
            wire.close()


@asynccontextmanager
async def calling(
    folder: Path, callers: dict[str, Any], **more: dict[str, Any]
) -> AsyncIterator[tuple[House, Camunda]]:
    """`zeebe` and `operate` before Camunda, and `open` that injects nothing."""
    camunda = Camunda()
    async with origin(camunda.play) as site:
        camunda.url = f"http://127.0.0.1:{site.port}"

        def prepare(it: House) -> None:
            zeebe = {"url": camunda.url, "listen": "localhost:0", "credential": "shared"}
            it.document["upstreams"] = {
                "zeebe": {**zeebe, **more.get("zeebe", {})},
                "operate": zeebe,
                "open": {**zeebe, "api": "other", "credential": "nothing", **more.get("open", {})},
            }
            it.document["credentials"] = {
                "shared": {"type": "bearer", "token": "canary-credential"},
                "nothing": {"type": "none"},
            }
            it.document["callers"] = callers
            it.document.update({name: value for name, value in more.items() if name == "guard"})

        async with house(folder, prepare) as it:
            yield it, camunda


async def asks(it: House, upstream: str, token: str, *fields: str, line: str = "GET /v2/topology") -> Answer:
    wire = await it.caller(upstream)
    shown = (shows(token),) if token else ()
    wire.send("\r\n".join((f"{line} HTTP/1.1", "Host: localhost", *shown, *fields, "", "")).encode())
    answer = await wire.message()
    wire.cut()
    return answer


def problem(answer: Answer) -> tuple[int, str, str]:
    told = json.loads(answer.body)
    return answer.status, told["type"].rpartition(":")[2], told["detail"]


async def running(it: House, camunda: Camunda, token: str, path: str, upstream: str = "zeebe") -> Wire:
    """A request that is under way."""
    wire = await it.caller(upstream)
    if path == "/upload":
        wire.send(
            b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n%b\r\n\r\nten"
            % shows(token).encode()
        )
    else:
        send(wire, path, *((shows(token),) if token else ()))
    await asyncio.wait_for(camunda.begun.acquire(), 5)
    if path in ("/stream", "/big"):
        assert (await wire.head()).status == 200
    return wire


# -- who may come in --


async def test_a_caller_shows_its_token_and_the_token_goes_no_further(tmp_path: Path) -> None:
    (tmp_path / "bi").write_text(BI + "\n")
    callers = {
        "ci": {"token": [CI, CI + "-next"]},
        "bi": {"token_file": "bi"},
        "agent": {"token_sha256": hashed(AGENT)},
    }
    async with calling(tmp_path, callers) as (it, camunda):
        for token in (CI, CI + "-next", BI, AGENT):
            for fields in ((shows(token),), (f"Authorization: Bearer {token}",)):
                for upstream in ("zeebe", "open"):
                    assert (await asks(it, upstream, "", *fields)).status == 200
        for head in camunda.asked:
            assert b"cap_canary" not in head.raw
        asked = len(camunda.asked)
        for token in ("", "wrong", hashed(AGENT), CI[:-1], BI + "\n"[:-1] + "x"):
            answer = await asks(it, "zeebe", token)
            assert problem(answer)[:2] == (401, "caller_unknown")
            assert answer.head.all(b"www-authenticate")[0] == b'Bearer realm="camunda-auth-proxy"'
        assert len(camunda.asked) == asked
        assert "token of a caller (callers)" in problem(await asks(it, "zeebe", ""))[2]
        assert "may have been replaced or removed" in problem(await asks(it, "zeebe", "wrong"))[2]
        mcp = await asks(it, "zeebe", "", "Content-Length: 0", line="POST /mcp/cluster")
        assert (mcp.status, mcp.head.all(b"www-authenticate")) == (403, [])
        assert set(it.proxy.known_secrets()) >= {CI, CI + "-next", BI}


async def test_a_caller_uses_the_upstreams_that_it_names(tmp_path: Path) -> None:
    callers = {
        "ci": {"token": CI, "upstreams": ["zeebe", "open"]},
        "bi": {"token": BI, "upstreams": "operate"},
    }
    async with calling(tmp_path, callers) as (it, camunda):
        for token, good in ((CI, {"zeebe", "open"}), (BI, {"operate"})):
            for upstream in ("zeebe", "operate", "open"):
                answer = await asks(it, upstream, token)
                assert answer.status == (200 if upstream in good else 403)
        status, code, words = problem(await asks(it, "operate", CI))
        assert (status, code) == (403, "not_permitted")
        assert words.startswith("Caller `ci` may not use upstream `operate`: callers.ci.upstreams")
        assert len(camunda.asked) == 3


async def test_rights_of_upstream_and_caller_add_up_to_the_narrower(tmp_path: Path) -> None:
    callers = {
        "bi": {"token": BI, "read_only": True},
        "ci": {"token": CI, "allow": ["POST /v2/process-instances", "GET /v2/topology"]},
        "agent": {"token": AGENT, "deny": ["GET /v2/topology"]},
    }
    upstream = {"zeebe": {"deny": ["POST /v2/process-instances"]}}
    create = ("POST /v2/process-instances", "POST /v2/process-instances/search", "GET /v2/topology")
    async with calling(tmp_path, callers, **upstream) as (it, _):
        for token, at_zeebe, at_operate in (
            (BI, [403, 200, 200], [403, 200, 200]),
            (CI, [403, 403, 200], [200, 403, 200]),
            (AGENT, [403, 200, 403], [200, 200, 403]),
        ):
            for name, wanted in (("zeebe", at_zeebe), ("operate", at_operate)):
                answers = [await asks(it, name, token, "Content-Length: 0", line=line) for line in create]
                assert [answer.status for answer in answers] == wanted, (token, name)
        _, code, words = problem(await asks(it, "zeebe", BI, "Content-Length: 0", line=create[0]))
        assert code == "not_permitted"
        assert "upstreams.zeebe.deny" in words
        _, _, words = problem(await asks(it, "operate", CI, "Content-Length: 0", line=create[1]))
        assert "callers.ci.allow" in words


async def test_an_mcp_client_with_read_only_rights_may_list_and_not_change(tmp_path: Path) -> None:
    callers = {"agent": {"token": AGENT, "read_only": True}, "ci": {"token": CI}}
    async with calling(tmp_path, callers) as (it, _):

        async def calls(token: str, method: str, **params: Any) -> Answer:
            body = json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
            wire = await it.caller()
            wire.send(
                f"POST /mcp/cluster HTTP/1.1\r\nHost: localhost\r\n{shows(token)}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            return await wire.message()

        assert (await calls(AGENT, "tools/list")).status == 200
        refused = await calls(AGENT, "tools/call", name="createProcessInstance", arguments={})
        assert json.loads(refused.body)["id"] == 7
        assert "callers.agent" in refused.body.decode()
        assert (await calls(CI, "tools/call", name="createProcessInstance", arguments={})).status == 200


async def test_a_caller_over_its_rate_gets_429_and_others_do_not(tmp_path: Path) -> None:
    callers = {"ci": {"token": CI, "rate": {"per_second": 2, "burst": 3}}, "bi": {"token": BI}}
    async with calling(tmp_path, callers) as (it, _):
        for upstream, status in (("zeebe", 200), ("operate", 200), ("zeebe", 200), ("zeebe", 429)):
            assert (await asks(it, upstream, CI)).status == status
        answer = await asks(it, "operate", CI)
        assert problem(answer)[:2] == (429, "rate_limited")
        assert answer.head.get(b"retry-after") == b"1"
        assert answer.head.get(b"content-type") == b"application/problem+json"
        assert (await asks(it, "zeebe", BI)).status == 200
        mcp = await asks(it, "zeebe", CI, "Content-Length: 0", line="POST /mcp/cluster")
        assert (mcp.status, mcp.head.get(b"retry-after")) == (429, b"1")
        await it.clock.advance(0.5)
        assert [(await asks(it, "zeebe", CI)).status for _ in range(2)] == [200, 429]
        it.document["callers"]["bi"]["upstreams"] = ["zeebe"]
        await it.apply()
        assert (await asks(it, "zeebe", CI)).status == 429  # a reload gives a caller nothing


async def test_a_caller_that_has_expired_is_told_so_and_its_stream_ends(tmp_path: Path) -> None:
    async with calling(tmp_path, {"ci": ANY, "bi": {"token": BI}}) as (it, camunda):
        it.document["callers"]["ci"] = {"token": CI, "expires": date_of(it.wall() + 60)}
        await it.apply()
        wire = await running(it, camunda, CI, "/stream")
        other = await running(it, camunda, BI, "/stream")
        await it.clock.advance(57)
        assert (await asks(it, "zeebe", CI)).status == 200
        await it.clock.advance(10)
        status, code, words = problem(await asks(it, "zeebe", CI))
        assert (status, code) == (401, "caller_expired")
        assert words.startswith("Caller `ci` has expired (callers.ci.expires: 2030-")
        assert await wire.ended() == "reset"
        assert not other.reader.at_eof()
        assert other.reader.exception() is None


async def test_requests_without_a_token_are_those_of_the_anonymous_caller(tmp_path: Path) -> None:
    callers = {"local": {"read_only": True}, "ci": {"token": CI}}
    more = {name: {"anonymous": "local"} for name in ("zeebe", "open")}
    async with calling(tmp_path, callers, **more) as (it, camunda):
        for token, read, change in (("", 200, 403), (CI, 200, 200), ("cap_wrong", 401, 401)):
            assert (await asks(it, "zeebe", token)).status == read
            line = "POST /v2/process-instances"
            assert (await asks(it, "zeebe", token, "Content-Length: 0", line=line)).status == change
        assert (await asks(it, "operate", "")).status == 401
        own = "Authorization: Basic b3duOm93bg=="
        assert (await asks(it, "open", "", own, line="GET /v2/topology")).status == 200
        assert camunda.asked[-1].get(b"authorization") == b"Basic b3duOm93bg=="
        del it.document["callers"]["local"]["read_only"]
        await it.apply()
        wire = await running(it, camunda, "", "/poll")
        del it.document["upstreams"]["zeebe"]["anonymous"]
        await it.apply()
        assert await wire.ended() == "reset"
        assert (await asks(it, "zeebe", "")).status == 401


async def test_the_nameless_caller_of_the_guard_is_there_beside_those_with_names(tmp_path: Path) -> None:
    callers = {"ci": {"token": CI, "upstreams": ["zeebe"]}}
    async with calling(tmp_path, callers, guard={"caller_token": BI}) as (it, _):
        for token, operate in ((CI, 403), (BI, 200)):
            assert (await asks(it, "zeebe", token)).status == 200
            assert (await asks(it, "operate", token)).status == operate
        status = json.loads((await it.look("/status.json")).body)
        assert [caller["name"] for caller in status["callers"]] == ["ci", None]


async def test_a_hundred_callers_each_have_their_own_rights(tmp_path: Path) -> None:
    tokens = {f"c{number:02}": f"cap_canary-number-{number:02}" for number in range(100)}
    names = ("zeebe", "operate", "open")
    callers = {
        name: {"token_sha256": hashed(token), "upstreams": [names[number % 3]]}
        for number, (name, token) in enumerate(tokens.items())
    }
    async with calling(tmp_path, callers) as (it, _):
        wire = await it.caller()
        for number, token in enumerate(tokens.values()):
            send(wire, "/v2/topology", shows(token))
            assert (await wire.message()).status == (200 if number % 3 == 0 else 403)
        assert await it.metric("caller_requests_total", upstream="zeebe", outcome="answered") == 34
        assert await it.metric("caller_requests_total", caller="c42", outcome="answered") == 1


# -- tokens that change --


async def test_a_changed_token_file_counts_at_once_and_running_requests_go_on(tmp_path: Path) -> None:
    file = tmp_path / "ci"
    file.write_text(CI)
    async with calling(tmp_path, {"ci": {"token_file": "ci"}, "bi": {"token": BI}}) as (it, camunda):
        assert (await asks(it, "zeebe", CI)).status == 200
        wire = await running(it, camunda, CI, "/stream")
        for unusable in ("", "short"):
            file.write_text(unusable)
            assert (await asks(it, "zeebe", CI)).status == 200
        new = tmp_path / "new"
        new.write_text(AGENT + "\n")
        new.rename(file)
        assert [(await asks(it, "zeebe", token)).status for token in (CI, AGENT, BI)] == [401, 200, 200]
        file.unlink()
        assert [(await asks(it, "zeebe", token)).status for token in (CI, AGENT)] == [401, 200]
        await it.clock.advance(20)
        assert not wire.reader.at_eof()
        assert AGENT in set(it.proxy.known_secrets())


# -- reloads --


async def test_a_removed_caller_is_out_and_what_it_runs_is_cut(tmp_path: Path) -> None:
    async with calling(tmp_path, {"ci": ANY, "bi": {"token": BI}}) as (it, camunda):
        paths = ("/poll", "/stream", "/big", "/upload")
        cut = [await running(it, camunda, CI, path) for path in paths]
        idle = await it.caller()
        assert (await ask(idle, "/v2/topology", shows(CI))).status == 200
        kept = await running(it, camunda, BI, "/poll")
        ended = camunda.gone._value
        served = it.proxy.served
        del it.document["callers"]["ci"]
        await it.apply()
        for wire, path in zip(cut, paths, strict=True):
            assert await wire.ended() == "reset", path
        for _ in paths:
            await asyncio.wait_for(camunda.gone.acquire(), 5)
        assert ended == 0
        assert problem(await ask(idle, "/v2/topology", shows(CI)))[:2] == (401, "caller_unknown")
        assert (await ask(idle, "/v2/topology", shows(BI))).status == 200  # its connection is still open
        assert it.proxy.served == served  # no upstream was made anew
        assert not kept.reader.at_eof()
        assert kept.reader.exception() is None
        assert it.upstream().forwarder.busy == 1


async def test_a_cut_answer_on_a_unix_socket_does_not_look_complete(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    more = {"zeebe": {"listen": f"unix:{tmp_path}/s"}}
    async with calling(tmp_path, {"ci": ANY, "bi": {"token": BI}}, **more) as (it, _):
        wire = await it.caller()
        send(wire, "/big", shows(CI))
        assert (await wire.head()).get(b"transfer-encoding") == b"chunked"
        del it.document["callers"]["ci"]
        await it.apply()
        assert b"0\r\n\r\n" not in await wire.rest()


async def test_a_request_is_cut_if_its_caller_loses_the_upstream_or_its_token(tmp_path: Path) -> None:
    both = [hashed(CI), hashed(AGENT)]
    callers = {"ci": {"token_sha256": both}, "bi": {"token": BI}}
    async with calling(tmp_path, callers) as (it, camunda):
        lost = await running(it, camunda, CI, "/stream")
        kept = await running(it, camunda, AGENT, "/stream")
        at_operate = await running(it, camunda, BI, "/stream", "operate")
        it.document["callers"]["ci"]["token_sha256"] = hashed(AGENT)
        it.document["callers"]["bi"]["upstreams"] = ["zeebe"]
        await it.apply()
        assert await lost.ended() == "reset"
        assert await at_operate.ended() == "reset"
        assert not kept.reader.at_eof()
        assert kept.reader.exception() is None


async def test_a_request_at_a_port_that_is_given_up_is_cut_with_its_caller(tmp_path: Path) -> None:
    async with calling(tmp_path, {"ci": ANY, "bi": {"token": BI}}) as (it, camunda):
        cut = await running(it, camunda, CI, "/poll", "operate")
        kept = await running(it, camunda, BI, "/poll", "operate")
        del it.document["upstreams"]["operate"]
        del it.document["callers"]["ci"]
        await it.apply()
        assert await cut.ended() == "reset"
        assert not kept.reader.at_eof()
        assert kept.reader.exception() is None


async def test_callers_come_and_go_by_reload(tmp_path: Path) -> None:
    async with calling(tmp_path, {}) as (it, camunda):
        wire = await it.caller()
        assert (await ask(wire, "/v2/topology")).status == 200
        poll = await running(it, camunda, "", "/poll")
        it.document["callers"] = {"ci": ANY}
        assert (await it.apply()).changed == ("zeebe", "operate", "open")
        assert (await ask(wire, "/v2/topology")).status == 401
        assert (await ask(wire, "/v2/topology", shows(CI))).status == 200
        assert not poll.reader.at_eof()
        it.document["callers"]["bi"] = {"token": BI}
        change = await it.apply()
        assert (change.changed, change.anything) == ((), True)
        assert (await ask(wire, "/v2/topology", shows(BI))).status == 200
        del it.document["callers"]
        await it.apply()
        assert (await ask(wire, "/v2/topology")).status == 200


# -- what is told --


async def test_metrics_and_status_name_the_callers(tmp_path: Path) -> None:
    callers = {
        "ci": {"token": CI, "upstreams": ["zeebe"], "rate": {"per_second": 1, "burst": 2}, "read_only": True},
        "bi": {"token": BI, "expires": "2029-01-31T00:00:00Z"},
        "idle": {"token": AGENT, "expires": "2099-01-31T00:00:00+01:00"},
    }
    async with calling(tmp_path, callers) as (it, _):
        for upstream, token in (("zeebe", CI), ("operate", CI), ("zeebe", CI), ("zeebe", BI), ("zeebe", "")):
            await asks(it, upstream, token)
        text = (await it.look("/metrics")).body.decode()
        metric = "camunda_auth_proxy_caller_requests_total"
        assert sorted(line for line in text.splitlines() if line.startswith(metric)) == [
            f"{metric}{labels} 1.0"
            for labels in (
                '{caller="",outcome="unknown",upstream="zeebe"}',
                '{caller="bi",outcome="expired",upstream="zeebe"}',
                '{caller="ci",outcome="answered",upstream="zeebe"}',
                '{caller="ci",outcome="not_permitted",upstream="operate"}',
                '{caller="ci",outcome="rate_limited",upstream="zeebe"}',
            )
        ]
        told = json.loads((await it.look("/status.json")).body)["callers"]
        assert told[0] == {
            "name": "ci",
            "upstreams": ["zeebe"],
            "access": "read-only",
            "expires": None,
            "requests": 3,
            "outcomes": {"answered": 1, "not_permitted": 1, "rate_limited": 1},
        }
        assert (told[1]["expires"], told[1]["outcomes"]) == ("2029-01-31T00:00:00Z", {"expired": 1})
        assert (told[2]["expires"], told[2]["requests"]) == ("2099-01-30T23:00:00Z", 0)
        del it.document["callers"]["ci"]
        await it.apply()
        assert await it.metric("caller_requests_total", caller="ci") == 0


async def test_without_callers_nothing_is_told_of_them(tmp_path: Path) -> None:
    async with calling(tmp_path, {}) as (it, _):
        assert (await asks(it, "zeebe", "")).status == 200
        assert "caller_requests_total{" not in (await it.look("/metrics")).body.decode()
        assert json.loads((await it.look("/status.json")).body)["callers"] == []


async def lines(sidecar: Running, path: str, code: str | None) -> list[dict[str, Any]]:
    """The line of a request, and the one of its problem."""
    found = [await sidecar.event(lambda event: (event.get("path"), event.get("problem")) == (path, code))]
    if code is not None:
        found.append(await sidecar.event(lambda event: event.get("problem") == code and "path" not in event))
        assert found[1]["address"].startswith(("127.0.0.1:", "[::1]:"))
    return found


async def test_log_lines_name_the_caller_and_never_a_token(tmp_path: Path) -> None:
    camunda = Camunda()
    (tmp_path / "bi").write_text(BI)
    async with origin(camunda.play) as site:
        config = {
            "upstreams": {"zeebe": {"url": f"http://127.0.0.1:{site.port}", "listen": "localhost:0"}},
            "credentials": {"shared": {"type": "bearer", "token": "canary-credential"}},
            "callers": {
                "ci": {"token": CI},
                "bi": {"token_file": "bi", "upstreams": ["zeebe"], "deny": ["GET /v2/license"]},
                "agent": {"token_sha256": hashed(AGENT), "rate": {"per_second": 0.01}},
            },
            "admin": {"listen": "127.0.0.1:0"},
            "log": {"level": "debug", "requests": True},
        }
        async with proxy(tmp_path, config) as sidecar:
            for path, token, name, code in (
                ("/v2/topology", CI, "ci", None),
                ("/v2/license", BI, "bi", "not_permitted"),
                ("/v2/roles", AGENT, "agent", None),
                ("/v2/authentication/me", AGENT, "agent", "rate_limited"),
                ("/v2/status", CI + "x", "", "caller_unknown"),
            ):
                await sidecar.get("zeebe", path, headers={"X-Proxy-Token": token})
                for line in await lines(sidecar, path, code):
                    assert line.get("caller", "") == name
            status = (await sidecar.look("/status.json"))[1] + (await sidecar.look("/metrics"))[1]
        for secret in (CI, BI, AGENT, hashed(AGENT), "canary"):
            assert secret not in sidecar.said + status


# -- the command line --


async def test_check_shows_each_caller_and_its_rights(tmp_path: Path) -> None:
    tmp_path.joinpath("camunda-auth-proxy.yaml").write_text(
        "upstreams:\n  zeebe: {url: 'http://localhost:8080', anonymous: local}\n  operate: {url: 'http://localhost:8080'}\n"
        "credentials: {c: {type: none}}\nguard: {caller_token: canary-nameless-caller}\ncallers:\n"
        f"  ci: {{token: [{CI}, {BI}], upstreams: zeebe, rate: {{per_second: 0.5}}}}\n"
        f"  old: {{token_sha256: {hashed(AGENT)}, expires: 2020-01-31T00:00:00Z}}\n"
        "  local: {read_only: true}\n"
    )
    code, out, err = await command("check", folder=tmp_path)
    assert code == 0, err
    rows = [" ".join(line.split()) for line in out.splitlines()]
    for row in (
        "caller upstreams access rate expires known by",
        "ci zeebe all 0.5/s, burst 1 never 2 tokens",
        "old all all - 2020-01-31T00:00:00Z 1 token",
        "local all read-only - never anonymous at zeebe",
        "(no name) all all - never guard.caller_token",
    ):
        assert row in rows, out
    assert "notice: callers.old has expired (2020-01-31T00:00:00Z), so its requests are refused" in out
    assert "canary" not in out + err


async def test_a_new_token_is_printed_once_with_lines_that_work(tmp_path: Path) -> None:
    code, out, err = await command("token", "new", "ci-job", folder=tmp_path)
    assert (code, err) == (0, "")
    token = next(line.strip() for line in out.splitlines() if line.startswith("  cap_"))
    assert len(token) == len("cap_") + 43
    again = (await command("token", "new", "ci-job", folder=tmp_path))[1]
    assert token not in again
    assert list(tmp_path.iterdir()) == []  # nothing is stored
    block = out[out.index("callers:") : out.index("The caller sends")]
    assert token not in block
    tmp_path.joinpath("camunda-auth-proxy.yaml").write_text(
        f"upstreams: {{zeebe: {{url: 'http://localhost:8080'}}}}\ncredentials: {{c: {{type: none}}}}\n{block}"
    )
    code, shown, err = await command("check", folder=tmp_path)
    assert code == 0, err
    assert "ci-job  all" in shown
    async with calling(tmp_path, {"ci-job": {"token_sha256": block.split()[-1]}}) as (it, _):
        (header,) = (line.strip() for line in out.splitlines() if line.startswith("  X-Proxy-Token:"))
        assert (await asks(it, "zeebe", "", header)).status == 200


async def test_a_name_that_no_caller_can_have_gets_no_token() -> None:
    code, out, err = await command("token", "new", "ci job")
    assert (code, out) == (2, "")
    assert "NAME may only hold letters" in err


async def test_env_says_how_a_client_sends_its_token(tmp_path: Path) -> None:
    text = (
        "upstreams: {zeebe: {url: 'http://localhost:8080'%s}}\ncredentials: {c: {type: none}}\n"
        f"callers: {{ci: {{token: {CI}}}}}\n"
    )
    file = tmp_path / "camunda-auth-proxy.yaml"
    file.write_text(text % "")
    code, out, err = await command("env", folder=tmp_path)
    assert (code, "callers are set" in err, "CAMUNDA_BASIC_AUTH_PASSWORD" in err) == (0, True, True)
    assert "CAMUNDA_OAUTH_DISABLED" not in out
    _, out, _ = await command("env", "--format", "mcp", folder=tmp_path)
    assert json.loads(out)["mcpServers"]["camunda-cluster"]["headers"]["X-Proxy-Token"]
    file.write_text(text % ", anonymous: ci")
    code, out, err = await command("env", folder=tmp_path)
    assert (code, err) == (0, "")
    assert "CAMUNDA_OAUTH_DISABLED" in out
