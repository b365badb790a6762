import asyncio
import logging
import socket

import pytest

from proxy.credentials.keeper import Keeper
from proxy.errors import CredentialRejected, CredentialUnavailable
from tests.admin.port import CANARY, CERTIFICATE_ENDS, House, exchange, reply, view
from tests.credentials.sources import running

PATHS = ("/health/startup", "/health/live", "/health/ready", "/metrics", "/status.json")


async def test_ready_says_503_before_the_first_fetch_and_200_after_it(house: House) -> None:
    before = await house.get("/health/ready")
    await house.fetched()
    after = await house.get("/health/ready")

    untried = {"upstream": "unknown", "told": "no request was sent yet, so the credential is not tried yet"}
    waiting = {"ready": False, "reason": "the first fetch of a credential has not ended yet", **untried}
    assert (before.status, before.json) == (503, {"ready": False, "upstreams": {"zeebe": waiting}})
    good = {"ready": True, "reason": "", **untried}
    assert (after.status, after.json) == (200, {"ready": True, "upstreams": {"zeebe": good}})


async def test_started_once_the_first_fetch_has_failed_though_not_ready(house: House) -> None:
    house.source.always = CredentialUnavailable("the token endpoint failed: 500")
    before = await house.get("/health/startup")
    await house.fetched()
    after = await house.get("/health/startup")
    ready = await house.get("/health/ready")

    assert (before.status, before.json) == (503, {"started": False, "waiting": ["zeebe"]})
    assert (after.status, after.json) == (200, {"started": True, "waiting": []})
    assert ready.status == 503
    assert ready.json["upstreams"]["zeebe"]["reason"] == "the token endpoint failed: 500"


async def test_nothing_but_live_is_well_before_the_listeners_are_bound(house: House) -> None:
    await house.fetched()
    house.state.bound = False
    assert [(await house.get(f"/health/{name}")).status for name in ("startup", "live", "ready")] == [
        503,
        200,
        503,
    ]


async def test_one_upstream_without_a_credential_makes_the_whole_not_ready(house: House) -> None:
    other = Keeper("login", house.source, clock=house.clock)
    house.state.upstreams += (view("operate", other),)
    await house.fetched()
    answer = await house.get("/health/ready")

    assert answer.status == 503
    assert {name: each["ready"] for name, each in answer.json["upstreams"].items()} == {
        "zeebe": True,
        "operate": False,
    }


async def test_an_expired_credential_is_not_ready(house: House) -> None:
    await house.fetched()
    house.clock.jump(301.0)
    assert (await house.get("/health/ready")).status == 503


async def test_a_valid_credential_is_ready_and_says_why_its_refresh_fails(house: House) -> None:
    async with running(house.keeper, house.clock):
        house.source.always = CredentialRejected("the token endpoint refused our client: 401")
        await house.clock.advance(250.0)
        answer = await house.get("/health/ready")

    assert answer.status == 200
    assert answer.json["upstreams"]["zeebe"] == {
        "ready": True,
        "reason": "the token endpoint refused our client: 401",
        "upstream": "unknown",
        "told": "no request was sent yet, so the credential is not tried yet",
    }


async def test_what_the_last_answers_say_is_told_and_changes_no_readiness(house: House) -> None:
    """A pod is not restarted because its upstream is down, but the operator sees it."""
    await house.fetched()
    (upstream,) = house.state.upstreams
    upstream.watch.failed(
        house.clock.now() - 34.0, "unreachable", "refused", "zeebe: connection refused.", "id-1"
    )
    ready = await house.get("/health/ready")
    (shown,) = (await house.get("/status.json")).json["upstreams"]
    metrics = (await house.get("/metrics")).body.decode()

    assert ready.status == 200
    assert ready.json["upstreams"]["zeebe"] == {
        "ready": True,
        "reason": "",
        "upstream": "unreachable",
        "told": "is unreachable, for 34 s and 1 request: zeebe: connection refused.",
    }
    assert (shown["state"], shown["upstream"]) == (
        "ready",
        {
            "state": "unreachable",
            "for": 34.0,
            "failed_requests": 1,
            "credential": "untried",
            "last_problem": {
                "ago": 34.0,
                "state": "unreachable",
                "cause": "refused",
                "reason": "zeebe: connection refused.",
                "request_id": "id-1",
            },
        },
    )
    assert 'camunda_auth_proxy_upstream_state{state="unreachable",upstream="zeebe"} 1.0' in metrics
    assert 'camunda_auth_proxy_upstream_state{state="answers",upstream="zeebe"} 0.0' in metrics
    assert 'camunda_auth_proxy_upstream_state_seconds{upstream="zeebe"} 34.0' in metrics


async def test_while_draining_it_lives_is_not_ready_and_ends_connections(house: House) -> None:
    await house.fetched()
    house.state.draining = True
    ready = reply(await exchange(house.port, b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n"))

    assert ready.status == 503
    assert ready.fields["Connection"] == "close"
    assert ready.json["upstreams"]["zeebe"]["reason"] == "the proxy is shutting down"
    assert (await house.get("/health/live")).status == 200
    assert (await house.get("/health/startup")).status == 200


async def test_status_json_tells_how_everything_stands(house: House) -> None:
    house.tally.requests.update({("GET", 2): 5, ("POST", 2): 1, ("GET", 4): 2})
    house.tally.in_flight = 3
    await house.fetched()
    house.clock.jump(10.0)
    answer = await house.get("/status.json")

    assert answer.fields["Content-Type"] == "application/json"
    document = answer.json
    refresh = document["credentials"][0].pop("next_attempt_in")
    assert 215.0 <= refresh <= 230.0
    assert document == {
        "version": "9.8.7",
        "uptime": 10.0,
        "started": True,
        "ready": True,
        "draining": False,
        "upstreams": [
            {
                "name": "zeebe",
                "api": "zeebe",
                "url": "http://zeebe.test",
                "listen": ["127.0.0.1:19080", "[::1]:19080"],
                "listen_tls": {"certificate_expires_in": CERTIFICATE_ENDS - house.wall()},
                "credential": "saas",
                "target": "zeebe.camunda.io",
                "state": "ready",
                "reason": "",
                "upstream": {
                    "state": "unknown",
                    "for": None,
                    "failed_requests": 0,
                    "credential": "untried",
                    "last_problem": None,
                },
                "requests": 8,
                "codes": {"2xx": 6, "4xx": 2},
                "in_flight": 3,
            }
        ],
        "callers": [],
        "credentials": [
            {
                "name": "saas",
                "target": "zeebe.camunda.io",
                "condition": "good",
                "usable": True,
                "expires_in": 290.0,
                "last_success_ago": 10.0,
                "last_outcome": "ok",
                "failures": 0,
                "reason": "",
            }
        ],
        "requests": 8,
        "in_flight": 3,
    }


async def test_no_answer_holds_a_secret(house: House) -> None:
    await house.fetched()
    assert house.keeper.current is not None
    assert CANARY.encode() in house.keeper.current.fields[0][1]
    for path in (*PATHS, "/"):
        for probe in (False, True):
            answer = await house.get(path, probe=probe)
            assert CANARY not in f"{answer.fields}{answer.body!r}"
    assert CANARY not in f"{house.state!r}{house.state.snapshot(0.0)!r}"


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_is_kept_from_caches_sniffers_and_other_sites(house: House, path: str) -> None:
    answer = await house.get(path)
    assert answer.fields["Cache-Control"] == "no-store"
    assert answer.fields["X-Content-Type-Options"] == "nosniff"
    assert answer.fields["Cross-Origin-Resource-Policy"] == "same-origin"
    assert int(answer.fields["Content-Length"]) == len(answer.body)


@pytest.mark.parametrize("path", [*PATHS, "/nowhere"])
async def test_head_is_get_without_the_body(house: House, path: str) -> None:
    got, headed = await house.get(path), await house.ask("HEAD", path)
    assert headed.body == b""
    assert headed.status == got.status
    assert headed.fields["Content-Type"] == got.fields["Content-Type"]
    assert int(headed.fields["Content-Length"]) > 0


@pytest.mark.parametrize(
    "path", ["/status.json/", "/events/", "/page", "/health", "/Health/live", "/status%2ejson", "//metrics"]
)
async def test_any_other_path_is_404(house: House, path: str) -> None:
    answer = await house.get(path)
    assert answer.status == 404
    assert answer.fields["Content-Type"] == "application/problem+json"
    assert answer.json["type"] == "urn:camunda-auth-proxy:not_found"
    assert answer.fields["X-Request-Id"]


async def test_a_query_changes_nothing(house: House) -> None:
    assert (await house.get("/health/live?verbose=1")).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
@pytest.mark.parametrize("probe", [False, True])
async def test_nothing_but_get_and_head_is_allowed(house: House, method: str, probe: bool) -> None:
    answer = await house.ask(method, "/health/live", probe=probe)
    assert answer.status == 405
    assert answer.fields["Allow"] == "GET, HEAD"
    assert answer.json["type"] == "urn:camunda-auth-proxy:not_allowed"


async def test_a_body_ends_the_connection_but_not_the_answer(house: House) -> None:
    request = b"POST /status.json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf"
    answer = reply(await exchange(house.port, request))
    assert answer.status == 405
    assert answer.fields["Connection"] == "close"


async def test_a_caller_may_finish_a_body_that_nobody_wants(house: House) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\n\r\n")
    assert reply(await reader.read()).status == 405
    writer.write(b"x" * 4_000_000)
    await writer.drain()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("host", ["evil.test", "evil.test:19090", "localhost.evil.test", "0.0.0.0:1"])
async def test_the_admin_port_answers_to_its_own_names_only(house: House, host: str) -> None:
    answer = await house.get("/status.json", {"Host": host})
    assert answer.status == 421
    assert "guard.allowed_hosts" in answer.json["detail"]


@pytest.mark.parametrize(
    "fields",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.test"},
        {"Origin": "null"},
    ],
)
async def test_no_web_page_of_another_site_reads_the_admin_port(house: House, fields: dict[str, str]) -> None:
    answer = await house.get("/metrics", fields)
    assert answer.status == 403
    assert answer.json["type"] == "urn:camunda-auth-proxy:cross_site"


async def test_the_probe_port_answers_to_any_name(house: House) -> None:
    await house.fetched()
    for path in PATHS[:-1]:
        assert (await house.get(path, {"Host": "10.1.2.3:19091"}, probe=True)).status == 200


async def test_the_probe_port_has_no_status_json(house: House) -> None:
    assert (await house.get("/status.json", probe=True)).status == 404


@pytest.mark.parametrize(
    "octets",
    [
        b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\n\r\n",
        b"GET  /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /metrics\r\n\r\n",
    ],
)
async def test_the_admin_port_reads_as_strictly_as_every_listener(house: House, octets: bytes) -> None:
    answer = reply(await exchange(house.port, octets))
    assert answer.status == 400
    assert answer.json["type"] == "urn:camunda-auth-proxy:bad_request"


async def test_one_connection_takes_many_requests(house: House) -> None:
    one = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    octets = await exchange(house.port, one * 5 + last)
    assert octets.count(b"HTTP/1.1 200 OK") == 6
    assert octets.count(b"Connection: close") == 1


async def test_a_caller_gets_no_more_answers_than_it_reads(house: House) -> None:
    """The others would fill our memory."""
    asked = 500
    one = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.socket() as caller:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        caller.connect(("127.0.0.1", house.port))
        caller.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(caller, one * asked)
        seen = -1
        while house.scrapes != seen:
            seen = house.scrapes
            for _ in range(200):
                await asyncio.sleep(0)
        assert 0 < seen < asked
        while house.scrapes < asked:
            assert await loop.sock_recv(caller, 1 << 20)


async def test_a_fault_is_answered_with_500_and_logged(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> dict[str, int]:
        raise ZeroDivisionError(CANARY)

    house.tally.pools.append(broken)
    with caplog.at_level(logging.ERROR):
        answer = await house.get("/metrics")
    assert answer.status == 500
    assert answer.json["type"] == "urn:camunda-auth-proxy:internal"
    assert CANARY not in answer.body.decode()
    assert [record.exc_info is not None for record in caplog.records] == [True]
