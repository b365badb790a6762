"""A proxy with the faults that the judge of bench/conformance must find: `careless_proxy.py LANES.json`.

It puts the credential behind the request line of whatever arrives, and copies bytes. With each request it
asks for a token, and forwards without one if there is none. Where a write fails, it cuts its client.
"""

import asyncio
import json
import sys
from functools import partial
from typing import Any

import aiohttp


async def token(lane: dict[str, Any]) -> str:
    if not lane["token_url"]:
        return str(lane["token"])
    form = {"client_id": lane["client_id"], "client_secret": lane["client_secret"]}
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.post(lane["token_url"], data=form) as answer,
        ):
            return str((await answer.json())["access_token"])
    except Exception:  # noqa: BLE001 -- this is one of its faults
        return ""


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while octets := await reader.read(1 << 16):
        writer.write(octets)
        await writer.drain()
    writer.close()


async def serve(lane: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        line = await reader.readline()
        credential = await token(lane)
        host, _, port = lane["upstream"].rpartition("/")[2].rpartition(":")
        back, there = await asyncio.open_connection(host, int(port))
        there.write(line + (f"Authorization: Bearer {credential}\r\n".encode() if credential else b""))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(copy(reader, there))
            tasks.create_task(copy(back, writer))
    except* (OSError, ConnectionError):
        pass
    writer.transport.abort()


async def main(path: str) -> None:
    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        lanes = json.load(file)
    for lane in lanes:
        host, _, port = lane["listen"].rpartition(":")
        await asyncio.start_server(partial(serve, lane), host, int(port))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
