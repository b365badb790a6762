"""When much waits for peers that do not read, connections read little at once; all of it still arrives."""

import asyncio
import ssl
from pathlib import Path
from typing import cast

import pytest

from proxy.gateway.dial import Endpoint
from proxy.gateway.limit import MANY_HELD
from tests import certificates
from tests.gateway.rig import gateway, get, post
from tests.gateway.wire import OK, origin

BODY = bytes(range(256)) * 8192  # 2 MiB


@pytest.mark.parametrize("tls", [False, True])
async def test_a_body_and_an_answer_arrive_whole_in_small_reads(tls: bool, tmp_path: Path) -> None:
    pki = certificates.certificate(tmp_path, "127.0.0.1") if tls else None
    async with origin(tls=certificates.serving(pki) if pki is not None else None) as site:
        endpoint = None
        if pki is not None:
            trusting = ssl.create_default_context(cafile=pki[0])
            endpoint = Endpoint("127.0.0.1", site.port, lambda: trusting)
        async with gateway(site, endpoint=endpoint) as rig:
            memory = rig.listener.limit.memory
            memory.stalled += MANY_HELD
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
            wire = await rig.call(post(BODY))
            peer = await site.accept()
            assert (await peer.message()).body == BODY
            peer.send(answer)
            assert (await wire.message()).body == BODY
            memory.stalled -= MANY_HELD
            wire.send(get("/next"))
            assert (await peer.head()).line == b"GET /next HTTP/1.1"
            peer.send(OK)
            assert (await wire.message()).body == b"ok"


async def test_what_waits_for_a_caller_that_does_not_read_is_counted_until_it_reads() -> None:
    async with origin() as site, gateway(site) as rig:
        memory = rig.listener.limit.memory
        wire = await rig.call(get())
        cast(asyncio.Transport, wire.writer.transport).pause_reading()
        peer = await site.accept()
        await peer.head()
        size = 64 << 20
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        peer.send(bytes(size))
        await rig.until(lambda: memory.stalled > 0)
        assert memory.stalled < 1 << 20
        wire.writer.transport.abort()
        await rig.until(lambda: memory.stalled == 0)
