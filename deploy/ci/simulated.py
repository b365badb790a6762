#!/usr/bin/env python3
"""A simulated Camunda (proxy.demo) at fixed ports: simulated.py HOST KEYCLOAK_HOST SECRET_FILE

The engine is at HOST:8080, Keycloak at KEYCLOAK_HOST:18080, whose client `orchestration` has the secret in
the file. SIGHUP: the file holds a new secret, and all tokens so far are revoked. Says `up`, and then a line
for each token that was asked for.
"""

import asyncio
import signal
import sys
from pathlib import Path

from proxy.demo import SimulatedCamunda, simulated_camunda

CLIENT = "orchestration"


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def forwarded(port: int, host: str) -> asyncio.Server:
    """Accept connections from anywhere; the container's network decides which clients can reach it."""
    there, _, there_port = host.partition(":")

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(there, int(there_port))
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))

    return await asyncio.start_server(connected, "", port)


def rotate(camunda: SimulatedCamunda, secret: Path) -> None:
    camunda.keycloak.change_secret(CLIENT, secret.read_text(encoding="utf-8").rstrip("\n"))
    camunda.revoke()
    print("rotated", flush=True)  # noqa: T201


async def tell(camunda: SimulatedCamunda) -> None:
    told = 0

    def more() -> bool:
        asked = camunda.keycloak.requests
        return len(asked) > told and asked[told].outcome != "pending"

    while True:
        await camunda.news.until(more)
        print("token", camunda.keycloak.requests[told].outcome, flush=True)  # noqa: T201
        told += 1


async def main(host: str, keycloak_host: str, secret: Path) -> None:
    loop = asyncio.get_running_loop()
    async with simulated_camunda() as camunda, asyncio.TaskGroup() as tasks:
        api, keycloak = camunda.api("orchestration"), camunda.keycloak
        await forwarded(8080, api.host)
        await forwarded(18080, keycloak.host)
        api.host, keycloak.host = f"{host}:8080", f"{keycloak_host}:18080"  # what `Host` has to say
        rotate(camunda, secret)
        loop.add_signal_handler(signal.SIGHUP, rotate, camunda, secret)
        telling = tasks.create_task(tell(camunda))
        loop.add_signal_handler(signal.SIGTERM, telling.cancel)
        print("up", flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
