"""What the caller sends arrives byte for byte, and what the upstream answers likewise."""

import asyncio

import pytest

from tests.gateway.rig import gateway, get, post
from tests.gateway.wire import OK, Answer, Wire, answering, origin

# -- the request --


async def test_a_request_arrives_octet_for_octet_with_the_credential_last() -> None:
    async with origin() as site, gateway(site, prefix=b"/base") as rig:
        await rig.call(
            b"GET /a%2Fb//..%2e/c?q=%20+&x=/?%C3 HTTP/1.1\r\nhOST: localhost\r\nX-One: 1\r\n"
            b"x-ONE:   two words \t\r\nX-Empty:\r\nX-Bytes: caf\xc3\xa9 \xff\r\nAccept: */*\r\n\r\n"
        )
        head = await (await site.accept()).head()
        assert (
            head.raw
            == (
                b"GET /base/a%%2Fb//..%%2e/c?q=%%20+&x=/?%%C3 HTTP/1.1\r\nHost: origin:%d\r\nX-One: 1\r\n"
                b"x-ONE: two words\r\nX-Empty: \r\nX-Bytes: caf\xc3\xa9 \xff\r\n"
                b"Accept: */*\r\nVia: 1.1 us-1\r\nAuthorization: Bearer 1\r\n\r\n"
            )
            % site.port
        )


@pytest.mark.parametrize(
    "connection", ["authorization", "close, Authorization", "keep-alive,AUTHORIZATION,x-a"]
)
async def test_a_caller_cannot_remove_the_credential(connection: str) -> None:
    async with origin() as site, gateway(site) as rig:
        await rig.call(get("/", "Authorization: mine", f"Connection: {connection}", "Cookie: mine", "X-A: 1"))
        head = await (await site.accept()).head()
        assert head.all(b"authorization") == [b"Bearer 1"]
        assert head.get(b"cookie") is None
        assert head.get(b"connection") is None


async def test_without_a_credential_of_ours_the_callers_own_passes() -> None:
    async with origin() as site, gateway(site, injects=False) as rig:
        await rig.call(get("/", "Authorization: Basic mine", "Cookie: a=1", "Cookie: b=2"))
        head = await (await site.accept()).head()
        # the source hands out a credential that a keeper of type none would not
        assert head.all(b"authorization")[0] == b"Basic mine"
        assert head.all(b"cookie") == [b"a=1", b"b=2"]


@pytest.mark.parametrize("sizes", [[1], [5, 1, 70_000], [300_000]])
async def test_a_chunked_body_arrives_whole_and_chunked(sizes: list[int]) -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get("/", "Transfer-Encoding: chunked", method="POST"))
        body = b""
        for size in sizes:
            piece = bytes(number % 251 for number in range(size))
            body += piece
            wire.send(b"%X;ext=1\r\n%b\r\n" % (size, piece))
        wire.send(b"0\r\nX-Trailer: dropped\r\n\r\n")
        peer = await site.accept()
        got = await peer.message()
        assert got.body == body
        assert got.head.get(b"transfer-encoding") == b"chunked"
        assert got.head.get(b"content-length") is None
        peer.send(OK)
        assert (await wire.message()).body == b"ok"


async def test_a_counted_body_is_streamed_as_it_comes() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get("/", "Content-Length: 0300000", method="PUT") + b"first")
        peer = await site.accept()
        head = await peer.head()
        assert head.get(b"content-length") == b"300000"
        assert await peer.octets(5) == b"first"
        wire.send(b"x" * 299_995)
        assert await peer.octets(299_995) == b"x" * 299_995
        peer.send(OK)
        assert (await wire.message()).status == 200
        assert rig.notes.all[0].received == 300_000


async def test_a_body_of_length_0_keeps_its_length() -> None:
    async with origin() as site, gateway(site) as rig:
        await rig.call(post(b""))
        assert (await (await site.accept()).head()).get(b"content-length") == b"0"


async def test_an_http_1_0_caller_is_served_and_its_connection_ends() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    async with origin(answering(chunked)) as site, gateway(site) as rig:
        wire = await rig.call(b"GET / HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n")
        answer = await wire.message()
        assert answer.head.get(b"transfer-encoding") is None
        assert answer.body == b"abc"


@pytest.mark.parametrize(
    "target",
    [
        *(
            "/../other/x",
            "/%2e%2e/other",
            "/v2/..%2f..%2fother/x",
            "/..\\other",
            "/x%5c..%5c..%5cy",
            "/..;/x",
        ),
        *("/%252e%252e/x", "/..%c0%afx", "/./x", "/x/.", "/x/..?y", "http://localhost/../other"),
    ],
)
async def test_a_target_never_leaves_the_path_of_the_base_url(target: str) -> None:
    async with origin(answering(OK)) as site, gateway(site, prefix=b"/base") as rig:
        wire = await rig.call(get(target))
        answer = await wire.message()
        assert answer.status == 400
        assert b"urn:camunda-auth-proxy:bad_request" in answer.body
        assert b"upstreams.zeebe.url" in answer.body
        assert site.accepted == 0


@pytest.mark.parametrize("prefix", [b"/base", b""])
async def test_dots_that_are_no_segment_arrive_as_they_came(prefix: bytes) -> None:
    for target in (b"/a%2Fb%2f..%2e/c?x=/../%2e%2e/", b"/a...b/.well-known/x", b"//x/%25", b"/?/.."):
        async with origin() as site, gateway(site, prefix=prefix) as rig:
            await rig.call(get(target.decode()))
            head = await (await site.accept()).head()
            assert head.line == b"GET %b%b HTTP/1.1" % (prefix, target)


@pytest.mark.parametrize("target", ["/../x", "/%2e%2e/x", "/v2/..;/x"])
async def test_where_the_base_url_has_no_path_there_is_none_to_leave(target: str) -> None:
    async with origin() as site, gateway(site) as rig:
        await rig.call(get(target))
        assert (await (await site.accept()).head()).line == b"GET %b HTTP/1.1" % target.encode()


# -- the answer --


async def test_an_answer_arrives_octet_for_octet_without_what_ends_here() -> None:
    async with (
        origin(
            answering(
                b"HTTP/1.1 418 Whatever\r\nDate: long ago\r\n"
                b"X-a:  one\r\nX-A: \xe9 two \r\nSet-Cookie: a=1\r\n"
                b"Set-Cookie: b=2\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
                b"Access-Control-Allow-Origin: *\r\nStrict-Transport-Security: max-age=1\r\n"
                b"Timing-Allow-Origin: *\r\nLocation: /base/next\r\n"
                b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x00"
            )
        ) as site,
        gateway(site, prefix=b"/base") as rig,
    ):
        wire = await rig.call(get())
        assert (await wire.head()).raw == (
            b"HTTP/1.1 418 I'm a Teapot\r\nDate: long ago\r\nX-a: one\r\nX-A: \xe9 two\r\n"
            b"Content-Encoding: gzip\r\nlocation: /next\r\n"
            b"Cross-Origin-Resource-Policy: same-origin\r\n"
            b"X-Content-Type-Options: nosniff\r\nContent-Security-Policy: sandbox\r\n"
            b"Via: 1.1 us-1\r\nContent-Length: 3\r\n\r\n"
        )
        assert await wire.octets(3) == b"\x1f\x8b\x00"
        wire.send(get())
        assert (await wire.message()).status == 418
        assert site.accepted == 1


@pytest.mark.parametrize("first", [b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK"], ids=["usual", "for llhttp"])
async def test_an_answer_without_date_gets_one(first: bytes) -> None:
    fields = b"\r\nX-Date: none\r\nContent-Length: 0\r\n\r\n"
    answers = answering(first + fields, first + b"\r\ndATE: then" + fields)
    async with origin(answers) as site, gateway(site) as rig:
        wire = await rig.call(get())
        [date] = (await wire.message()).head.all(b"date")
        assert date.endswith(b" GMT")
        wire.send(get())
        assert (await wire.message()).head.all(b"date") == [b"then"]


@pytest.mark.parametrize("cut", [1, 7, 19, 40, 60, 64])
async def test_an_answer_in_pieces_is_the_same(cut: int) -> None:
    octets = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\nT: x\r\n\r\n"
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get())
        peer = await site.accept()
        await peer.head()
        for at in range(0, len(octets), cut):
            peer.send(octets[at : at + cut])
            await rig.clock.settle()
        assert (await wire.message()).body == b"hello!"
        await rig.until(lambda: rig.pool.counts()["idle"] == 1)


@pytest.mark.parametrize(
    ("request_octets", "answer", "length"),
    [
        (get(method="HEAD"), b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n", b"1234"),
        (get(method="HEAD"), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None),
        (get(method="HEAD"), b"HTTP/1.1 200 OK\r\n\r\n", None),
        (get(), b"HTTP/1.1 204 No Content\r\n\r\n", None),
        (get(), b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", None),
        (get(), b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: x\r\n\r\n", b"99"),
    ],
)
async def test_an_answer_without_a_body_leaves_both_connections_good(
    request_octets: bytes, answer: bytes, length: bytes | None
) -> None:
    async with origin(answering(answer, OK)) as site, gateway(site) as rig:
        wire = await rig.call(request_octets)
        first = await wire.message(to_head=True)
        assert first.head.get(b"content-length") == length
        wire.send(get())
        assert (await wire.message()).body == b"ok"
        assert site.accepted == 1


async def test_a_close_delimited_answer_ends_with_the_connection() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get())
        peer = await site.accept()
        await peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
        peer.close()
        answer = await wire.message()
        assert answer.body == b"until the end"
        assert answer.head.get(b"connection") == b"close"


# -- interim answers --


async def test_an_upstreams_interim_answers_are_relayed() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get("/", "Expect: 100-continue", "Content-Length: 4", method="POST"))
        peer = await site.accept()
        assert (await peer.head()).get(b"expect") == b"100-continue"
        peer.send(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x\r\n\r\n"
        )
        assert (await wire.head()).raw == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await wire.head()).raw == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        wire.send(b"body")
        assert await peer.octets(4) == b"body"
        peer.send(OK)
        assert (await wire.message()).body == b"ok"
        assert rig.pool.counts()["idle"] == 1


async def test_a_100_is_not_invented() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get("/", "Expect: 100-continue", "Content-Length: 4", method="POST"))
        peer = await site.accept()
        await peer.head()
        peer.send(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
        assert (await wire.head()).status == 417
        assert await wire.ended() == "closed"


async def test_an_http_1_0_caller_gets_no_interim_answer() -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        peer = await site.accept()
        await peer.head()
        peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK)
        assert (await wire.head()).status == 200


@pytest.mark.parametrize(
    "nonsense",
    [
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * 17 + OK,
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 099 No\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 600_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
        b"\r\n" + OK,
    ],
)
async def test_nonsense_of_an_upstream_is_a_502_and_its_connection_is_not_used_again(nonsense: bytes) -> None:
    async with origin() as site, gateway(site) as rig:
        wire = await rig.call(get())
        peer = await site.accept()
        await peer.head()
        peer.send(nonsense)
        while (head := await wire.head()).status == 103:
            pass
        assert head.status == 502
        answer = Answer(head, await wire.octets(int(head.get(b"content-length") or 0)))
        assert b"upstream_protocol" in answer.body
        assert b"OpenSSH" not in answer.body
        await peer.ended()
        assert rig.tally.problems == {"upstream_protocol": 1}


async def test_many_callers_at_once_each_get_their_own() -> None:
    async def play(wire: Wire) -> None:
        while True:
            body = (await wire.message()).body
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    async with origin(play) as site, gateway(site, max_connections=8) as rig:

        async def one(number: int) -> None:
            wire = await rig.caller()
            for turn in range(10):
                body = b"%d/%d" % (number, turn) * (number + 1)
                wire.send(post(body))
                assert (await wire.message()).body == body

        async with asyncio.TaskGroup() as group:
            for number in range(30):
                group.create_task(one(number))
        assert site.accepted <= 8
        assert rig.tally.requests == {("POST", 2): 300}
        assert sum(rig.tally.request_seconds.counts) == 300
        assert rig.tally.in_flight == 0
