"""The main job, end to end, as its users see it."""

import asyncio
import base64
import json
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxy.app.proxy import running
from proxy.clock import SystemClock, Timer
from proxy.config.load import load
from proxy.demo import Fault, Rules, SimulatedCamunda, simulated_camunda
from tests.app.command import proxy

FREE = "localhost:0"


def configuration(camunda: SimulatedCamunda, **zeebe: Any) -> dict[str, Any]:
    """Zeebe behind a token server, Optimize behind a shared token, one with Basic, one open."""
    secret = camunda.keycloak.clients["orchestration"].secret
    return {
        "upstreams": {
            "zeebe": {"url": camunda.url("zeebe"), "listen": FREE, "credential": "identity", **zeebe},
            "optimize": {"url": camunda.url("optimize-shared"), "listen": FREE, "credential": "shared"},
            "basic": {
                "api": "zeebe",
                "url": camunda.url("zeebe-basic"),
                "listen": FREE,
                "credential": "user",
            },
            "open": {
                "api": "zeebe",
                "url": camunda.url("zeebe-open"),
                "listen": FREE,
                "credential": "nothing",
            },
        },
        "credentials": {
            "identity": {
                "type": "oauth2",
                "token_url": camunda.keycloak.url,
                "client_id": "orchestration",
                "client_secret": secret,
            },
            "shared": {"type": "bearer", "token": camunda.shared_token},
            "user": {"type": "basic", "username": camunda.username, "password": camunda.password},
            "nothing": {"type": "none"},
        },
        "admin": {"listen": "127.0.0.1:0"},
    }


async def test_every_kind_of_credential_is_let_in(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda, proxy(tmp_path, configuration(camunda)) as sidecar:
        for upstream, path in (
            ("zeebe", "/v2/topology"),
            ("optimize", "/api/public/dashboard?collectionId=x"),
            ("basic", "/v2/topology"),
            ("open", "/v2/topology"),
        ):
            status, body, _ = await sidecar.get(upstream, path)
            assert status == 200, (upstream, body)
        assert not camunda.complaints


async def test_saas_gets_an_audience_for_each_api_and_one_request_a_second(tmp_path: Path) -> None:
    async with simulated_camunda(rules=Rules(token_gap=0.1)) as camunda:
        names = {"zeebe": "/v2/topology", "optimize": "/api/public/dashboard?collectionId=x"}
        config = {
            "upstreams": {
                name: {
                    "url": camunda.url(name, saas=True),
                    "listen": FREE,
                    "audience": f"{name}.camunda.io",
                }
                for name in names
            },
            "credentials": {
                "saas": {
                    "type": "oauth2",
                    "token_url": camunda.saas.url,
                    "client_id": "saas-client",
                    "client_secret": camunda.saas.clients["saas-client"].secret,
                    "request_format": "json",
                }
            },
            "admin": {"listen": "127.0.0.1:0"},
        }
        async with proxy(tmp_path, config) as sidecar:
            for name, path in names.items():
                status, body, _ = await sidecar.get(name, path)
                assert status == 200, body
            assert await sidecar.metric("credential_usable", target="optimize.camunda.io") == 1


async def test_a_file_that_console_let_download_opens_its_ports(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        port = free_port()
        (tmp_path / "credentials.txt").write_text(
            f"export CAMUNDA_CLIENT_ID='orchestration'\n"
            f"export CAMUNDA_CLIENT_SECRET='{camunda.keycloak.clients['orchestration'].secret}'\n"
            f"export CAMUNDA_OAUTH_URL='{camunda.keycloak.url}'\n"
            f"export ZEEBE_REST_ADDRESS='{camunda.url('zeebe')}'\n",
            encoding="utf-8",
        )
        environ = {"CAMUNDA_AUTH_PROXY_ADMIN_LISTEN": f"127.0.0.1:{port}"}
        async with proxy(tmp_path, "", environ, "--env-file", "credentials.txt") as sidecar:
            status, body, _ = await sidecar.get("zeebe", "/v2/topology")
            assert status == 200, body
            assert await sidecar.url("zeebe") == "http://localhost:19080"


async def test_a_token_server_that_is_down_at_the_start_is_waited_for(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        camunda.keycloak.fault = Fault.DOWN
        config = configuration(camunda)
        config["credentials"]["identity"]["wait"] = "1s"
        async with proxy(tmp_path, config) as sidecar:
            assert (await sidecar.look("/health/live"))[0] == 200
            assert (await sidecar.look("/health/ready"))[0] == 503
            status, body, fields = await sidecar.get("zeebe", "/v2/topology")
            assert status == 503
            assert int(fields["Retry-After"]) >= 1
            assert json.loads(body)["type"] == "urn:camunda-auth-proxy:credential_unavailable"
            assert not camunda.api("zeebe").statuses
            camunda.keycloak.fault = None

            async def ready() -> bool:
                return (await sidecar.look("/health/ready"))[0] == 200

            await sidecar.until(ready)
            assert (await sidecar.get("zeebe", "/v2/topology"))[0] == 200
            assert all(request.gap is None or request.gap >= 0.99 for request in camunda.keycloak.requests)


async def test_a_wrong_secret_is_told_as_such_and_mended_by_a_changed_file(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        file = tmp_path / "secret"
        file.write_text("not-the-secret\n", encoding="utf-8")
        config = configuration(camunda)
        del config["credentials"]["identity"]["client_secret"]
        config["credentials"]["identity"]["client_secret_file"] = str(file)
        async with proxy(tmp_path, config) as sidecar:
            status, body, _ = await sidecar.get("zeebe", "/v2/topology")
            assert status == 502, body
            assert json.loads(body)["type"] == "urn:camunda-auth-proxy:credential_rejected"
            new = tmp_path / "new"
            new.write_text(camunda.keycloak.clients["orchestration"].secret + "\n", encoding="utf-8")
            new.rename(file)
            await sidecar.event(
                lambda event: event["message"] == "credential is good" and event["credential"] == "identity"
            )
            assert (await sidecar.get("zeebe", "/v2/topology"))[0] == 200


async def test_a_revoked_token_is_replaced_once_for_all_who_meet_it(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda, proxy(tmp_path, configuration(camunda)) as sidecar:
        assert (await sidecar.get("zeebe", "/v2/topology"))[0] == 200
        await asyncio.wait_for(camunda.news.until(lambda: camunda.keycloak.count("issued") == 1), 5)
        loop = asyncio.get_running_loop()
        later: asyncio.Future[None] = loop.create_future()
        loop.call_later(1.1, later.set_result, None)  # repairs keep their distance from the last fetch
        await later
        camunda.revoke()
        answers = await asyncio.gather(*(sidecar.get("zeebe", "/v2/topology") for _ in range(50)))
        assert {status for status, _, _ in answers} == {200}
        assert camunda.keycloak.count("issued") == 2
        assert await sidecar.metric("repairs_total", outcome="ok") >= 1


async def test_no_secret_is_in_anything_it_says(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        config = configuration(camunda)
        config["log"] = {"level": "debug", "requests": True}
        async with proxy(tmp_path, config) as sidecar:
            asked = [
                await sidecar.get("zeebe", path) for path in ("/v2/topology?token=canary-in-query", "/v2/no")
            ]
            evil = {"Host": "evil.example", "X": "canary-in-field"}
            asked.append(await sidecar.get("zeebe", "/v2/topology", headers=evil))
            camunda.keycloak.fault = Fault.ERROR_IN_200
            looked = ("/metrics", "/status.json", "/health/ready", "/nothing")
            shown = str(asked + [await sidecar.look(path) for path in looked])
        text = sidecar.said + shown
        assert camunda.api("zeebe").statuses[200]
        for secret in (*camunda.secrets, "canary-in-query", "canary-in-field", "eyJ"):  # eyJ begins a JWT
            assert secret not in text
            assert base64.b64encode(secret.encode()).decode().rstrip("=") not in text
        assert any(event["message"] == "request" for event in sidecar.events)


async def test_sigterm_lets_a_request_end_that_is_under_way(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda, proxy(tmp_path, configuration(camunda)) as sidecar:
        poll = asyncio.gather(
            sidecar.get(
                "zeebe",
                "/v2/jobs/activation",
                "POST",
                json={"type": "t", "maxJobsToActivate": 1, "timeout": 1000, "requestTimeout": 1500},
            )
        )
        await asyncio.wait_for(camunda.news.until(lambda: camunda.api("zeebe").polls == 1), 10)
        sidecar.signal()
        await sidecar.message("stopping")
        [(status, _, fields)] = await poll
        assert status == 200
        assert fields["Connection"] == "close"
        assert await sidecar.ended() == 0


async def test_a_second_signal_cuts_what_still_runs(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda, proxy(tmp_path, configuration(camunda)) as sidecar:
        poll = asyncio.gather(
            sidecar.get("zeebe", "/v2/jobs/activation", "POST", json={"type": "t", "requestTimeout": 30000}),
            return_exceptions=True,
        )
        await asyncio.wait_for(camunda.news.until(lambda: camunda.api("zeebe").polls == 1), 10)
        sidecar.signal()
        await sidecar.message("stopping")
        sidecar.signal(signal.SIGINT)
        assert await sidecar.ended() == 1
        assert isinstance((await poll)[0], Exception)


async def test_a_caller_that_goes_takes_its_upstream_request_with_it(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda, proxy(tmp_path, configuration(camunda)) as sidecar:
        poll = asyncio.gather(
            sidecar.get("zeebe", "/v2/jobs/activation", "POST", json={"type": "t", "requestTimeout": 30000})
        )
        await asyncio.wait_for(camunda.news.until(lambda: camunda.api("zeebe").polls == 1), 10)
        poll.cancel()
        await asyncio.wait_for(camunda.news.until(lambda: camunda.api("zeebe").cut == 1), 10)
        with pytest.raises(asyncio.CancelledError):
            await poll


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Broken(SystemClock):
    """A clock with a bug, for whoever sets a timer."""

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        raise ZeroDivisionError


async def test_a_bug_in_a_background_task_ends_everything_with_its_traceback(tmp_path: Path) -> None:
    async with simulated_camunda() as camunda:
        file = tmp_path / "c.yaml"
        file.write_text(json.dumps(configuration(camunda)), encoding="utf-8")
        config = load(config=file, env_file=None, environ={}, directory=tmp_path)
        forever: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with pytest.raises(ExceptionGroup) as caught:
            async with running(config, Broken()):
                await forever
        assert caught.group_contains(ZeroDivisionError)
