"""What is wrong on the wire is told in words: in the log at its default level, in the answer, in the status.

Each case is the proxy as its users run it. No canary is in any of it.
"""

import asyncio
import json
import re
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from proxy.app.proxy import running
from proxy.clock import SystemClock
from proxy.commands import tables
from proxy.config.load import load
from tests.app.command import Running, command, proxy
from tests.gateway.wire import OK, REFUSED, answering, origin
from tests.token_server import token_server

CANARY = "c4n4ry-s3cr3t"
SAAS = {"type": "oauth2", "client_id": "me", "client_secret": CANARY}


def jwt(**claims: object) -> str:
    payload = urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJub25lIn0.{payload}.{CANARY}"


def written(url: str, credential: dict[str, Any], **upstream: object) -> dict[str, Any]:
    return {
        "upstreams": {"zeebe": {"url": url, "listen": "127.0.0.1:0", "credential": "c", **upstream}},
        "credentials": {"c": credential},
        "admin": {"listen": "127.0.0.1:0"},
    }


async def seen(it: Running) -> dict[str, Any]:
    """What /status.json says about the upstream."""
    _, text, _ = await it.look("/status.json")
    assert CANARY not in text
    found: dict[str, Any] = json.loads(text)["upstreams"][0]["upstream"]
    return found


async def told(it: Running) -> str:
    """What `health` prints; it finds the proxy ready."""
    where = (await it.admin()).removeprefix("http://")
    code, out, _ = await command("health", "--address", where)
    assert code == 0
    _, line = out.splitlines()
    _, machine, _ = await command("health", "--json", "--address", where)
    told = json.loads(machine)["upstreams"]["zeebe"]["told"]
    assert re.sub(r"\d+ s", "", told) in re.sub(r"\d+ s", "", line)  # a second may have passed
    return line


async def test_an_upstream_that_is_down_is_told_with_address_setting_and_cause(tmp_path: Path) -> None:
    async with origin() as site:
        port = site.port
    config = written(f"http://127.0.0.1:{port}/base", {"type": "basic", "username": "u", "password": CANARY})
    async with proxy(tmp_path, config) as it:
        assert "no request was sent yet, so the credential is not tried yet" in await told(it)
        for _ in range(5):
            status, body, _ = await it.get("zeebe", "/")
            assert status == 502
        words = f"zeebe at http://127.0.0.1:{port}/base (upstreams.zeebe.url): connection refused: no program"
        assert words in json.loads(body)["detail"]
        event = await it.message(f"upstream zeebe is unreachable: {words}")
        assert (event["level"], event["cause"], bool(event["request_id"])) == ("WARNING", "refused", True)
        assert (await seen(it))["state"] == "unreachable"
        assert (await seen(it))["failed_requests"] == 5
        line = await told(it)
        assert line.startswith("zeebe: ready; is unreachable, for ")
        assert f" s and 5 requests: {words}" in line
        async with origin(answering(OK), port=port):
            assert (await it.get("zeebe", "/"))[0] == 200
        event = await it.message("upstream zeebe answers again after ")
        assert "(before: is unreachable); 5 requests failed meanwhile" in event["message"]
        assert (event["state"], event["requests"]) == ("answers", 5)
        assert await told(it) == "zeebe: ready; answers"
    assert CANARY not in it.said


@pytest.mark.parametrize(
    ("credential", "words"),
    [
        (
            {"type": "basic", "username": "u", "password": CANARY},
            "it does not accept user and password of credentials.c. Check credentials.c.username",
        ),
        (
            {"type": "bearer", "token": CANARY},
            "it does not accept the shared token of credentials.c. It may have expired",
        ),
        ({"type": "none"}, "it wants a credential, and credentials.c is of type none"),
    ],
)
async def test_a_static_credential_that_is_refused_is_told(
    tmp_path: Path, credential: dict[str, Any], words: str
) -> None:
    async with (
        origin(answering(REFUSED)) as site,
        proxy(tmp_path, written(f"http://127.0.0.1:{site.port}", credential)) as it,
    ):
        for _ in range(5):
            assert (await it.get("zeebe", "/"))[0] == 401
        await it.message(f'(upstreams.zeebe.url): it answered 401 (error="invalid_token"): {words}')
        state = await seen(it)
        assert (state["state"], state["credential"], state["failed_requests"]) == (
            "refuses",
            "refused",
            5,
        )
        assert words in state["last_problem"]["reason"]
        assert words in await told(it)
    assert it.said.count("refuses our credential") == 1
    assert CANARY not in it.said


async def test_a_token_for_the_wrong_audience_is_told(tmp_path: Path) -> None:
    async with token_server() as tokens, origin(answering(REFUSED)) as site:
        config = written(
            f"http://127.0.0.1:{site.port}", {**SAAS, "token_url": tokens.url}, audience="operate-api"
        )
        async with proxy(tmp_path, config) as it:
            await it.get("zeebe", "/")
            await it.message("it does not accept the token of credentials.c, although its token endpoint has")
            assert "the audience (`operate-api`)" in (await seen(it))["last_problem"]["reason"]
    assert CANARY not in it.said


async def test_a_shared_token_that_has_expired_is_told_before_any_request(tmp_path: Path) -> None:
    config = written("http://127.0.0.1:1", {"type": "bearer", "token": jwt(exp=1_000_000_000)})
    async with proxy(tmp_path, config) as it:
        event = await it.message("the shared token says that it expired")
        assert (event["level"], event["credential"]) == ("WARNING", "c")
    assert CANARY not in it.said


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            {
                "status": 401,
                "body": json.dumps({"error": "invalid_client", "error_description": f"No {CANARY}"}),
            },
            "it refused our client (401 invalid_client: No ***). Check credentials.c.client_id and cred",
        ),
        (
            {"status": 404},
            "it answered 404: there is no token endpoint at this path. Correct credentials.c.tok",
        ),
        ({"status": 405}, "it answered 405: this URL takes no POST"),
        (
            {"status": 302, "headers": {"Location": "https://x.test/sso?a=b"}},
            "a redirect (302 to https://x.test",
        ),
        ({"status": 200, "text": "<html>", "content_type": "text/html"}, "answered 200 with an HTML page"),
        (
            {"status": 400, "body": '{"error":"invalid_scope"}'},
            "it refused the scope `s/.default` (400 invalid",
        ),
        (
            {"status": 403, "body": '{"error":"access_denied"}'},
            "it refused the audience `zeebe-api` (403 acc",
        ),
    ],
)
async def test_a_token_endpoint_that_gives_no_token_is_told(
    tmp_path: Path, answer: dict[str, Any], words: str
) -> None:
    async with token_server() as tokens:
        if "body" in answer:
            answer = {**answer, "content_type": "application/json"}
        tokens.script.extend(web.Response(**answer) for _ in range(9))
        credential = {**SAAS, "token_url": tokens.url, "scope": "s/.default", "wait": "0s"}
        config = written("http://127.0.0.1:1", credential, audience="zeebe-api")
        async with proxy(tmp_path, config) as it:
            where = f"the token endpoint at {tokens.url} (credentials.c.token_url): "
            event = await it.event(lambda event: words in event["message"])
            assert where in event["message"]
            _, body, _ = await it.get("zeebe", "/")
            assert words.replace(": No ***", "") in json.loads(body)["detail"]
            assert "***" not in body
            assert CANARY not in body
            _, status, _ = await it.look("/status.json")
            assert words in json.loads(status)["credentials"][0]["reason"]
            assert CANARY not in status
    assert CANARY not in it.said


async def test_404_to_everything_makes_the_setting_doubtful(tmp_path: Path) -> None:
    async with origin(answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")) as site:
        config = written(f"http://127.0.0.1:{site.port}/x", {"type": "bearer", "token": CANARY})
        async with proxy(tmp_path, config) as it:
            for _ in range(5):
                assert (await it.get("zeebe", "/v2/topology"))[0] == 404
            await it.message("so upstreams.zeebe.url may have a wrong path or cluster id")
    assert it.said.count("404 to every request") == 1


async def test_who_was_refused_at_the_door_is_in_the_log(tmp_path: Path) -> None:
    config = written("http://127.0.0.1:1", {"type": "none"})
    async with proxy(tmp_path, config) as it:
        status, _, fields = await it.get("zeebe", "/", headers={"Origin": "https://evil.test"})
        event = await it.message("The request comes from a web page of another site")
        assert status == 403
        assert (event["problem"], event["origin"]) == ("cross_site", "https://evil.test")
        assert event["request_id"] == fields["X-Request-Id"]
        assert event["address"].startswith(("127.0.0.1:", "[::1]:"))
        await it.look("/nowhere")
        assert (await it.message("There is no such path on this port"))["problem"] == "not_found"


async def test_the_table_says_of_a_static_credential_that_it_is_not_tried_yet(tmp_path: Path) -> None:
    async with origin(answering(OK)) as site:
        credential = {"type": "basic", "username": "u", "password": CANARY}
        document = written(f"http://127.0.0.1:{site.port}", credential)
        (tmp_path / "c.yaml").write_text(json.dumps(document))
        config = load(config=tmp_path / "c.yaml", env_file=None, environ={}, directory=tmp_path)
        async with running(config, SystemClock()) as app:
            await app.first_fetches(asyncio.get_running_loop().create_future())
            assert "ready; the credential is not tried yet" in tables.running_table(app)
            url = f"http://127.0.0.1:{app.served[0].bound.port}/"
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                assert answer.status == 200
            shown = tables.running_table(app)
            assert "ready" in shown
            assert "not tried yet" not in shown
