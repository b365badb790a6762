"""Tokens that live for five seconds, under load, for ten minutes: nobody may notice.

`SOAK_SECONDS` makes it shorter or longer.
"""

import asyncio
import os
from collections import Counter
from pathlib import Path

import pytest

from proxy.clock import SystemClock, pause
from proxy.demo import Rules, simulated_camunda
from tests.app.command import proxy

SECONDS = float(os.environ.get("SOAK_SECONDS", "600"))
RATE = 500
CALLERS = 20
REQUEST = b"GET /v2/topology HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def caller(port: int, begin: float, end: float, statuses: Counter[int]) -> None:
    """Requests at their moments on one kept connection; late ones are made up for, so that the rate holds."""
    clock = SystemClock()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    due = begin
    while due < end:
        if due > clock.now():
            await pause(clock, due - clock.now())
        writer.write(REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        statuses[int(head.split(b" ", 2)[1])] += 1
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
        due += CALLERS / RATE
    writer.close()


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 120)
async def test_with_tokens_of_five_seconds_at_500_requests_a_second_none_waits_or_fails(
    tmp_path: Path,
) -> None:
    async with simulated_camunda(rules=Rules(token_life=5.0)) as camunda:
        config = {
            "upstreams": {"zeebe": {"url": camunda.url("zeebe"), "listen": "localhost:0"}},
            "credentials": {
                "identity": {
                    "type": "oauth2",
                    "token_url": camunda.keycloak.url,
                    "client_id": "orchestration",
                    "client_secret": camunda.keycloak.clients["orchestration"].secret,
                }
            },
            "admin": {"listen": "127.0.0.1:0"},
        }
        async with proxy(tmp_path, config) as sidecar:
            assert (await sidecar.get("zeebe", "/v2/topology"))[0] == 200
            waited = await sidecar.metric(
                "credential_wait_seconds_count"
            )  # for the very first token, perhaps
            port = int((await sidecar.url("zeebe")).rpartition(":")[2])
            statuses: Counter[int] = Counter()
            begin = SystemClock().now()
            async with asyncio.TaskGroup() as tasks:
                for number in range(CALLERS):
                    tasks.create_task(
                        caller(port, begin + number / RATE, begin + SECONDS, statuses),
                        name=f"caller {number}",
                    )
            took = SystemClock().now() - begin  # on a busy machine the callers need longer
            assert statuses.keys() == {200}, statuses
            assert statuses[200] >= RATE * SECONDS * 0.999
            assert camunda.api("zeebe").refusals.total() == 0
            assert camunda.api("zeebe").statuses.keys() == {200}
            assert await sidecar.metric("credential_wait_seconds_count") == waited
            assert len(camunda.keycloak.requests) / took <= 0.3 or SECONDS < 60
            assert not camunda.complaints
