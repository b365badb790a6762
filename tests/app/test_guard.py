"""Who may use the port, end to end: names, pages, callers, Unix sockets."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from stat import S_IMODE
from typing import Any

from proxy.app.proxy import running
from proxy.clock import SystemClock
from proxy.commands import tables
from proxy.config.load import load
from tests.app.command import Running, command, proxy
from tests.gateway.wire import Answer, Head, Origin, Wire, origin

APP = "http://app.example:3000"
TOKEN = "canary-caller-token"
OTHER = "canary-another-token"
CREDENTIAL = "canary-credential"


class Camunda:
    """An upstream that opens itself to every page, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Head] = []

    async def play(self, wire: Wire) -> None:
        while True:
            request = await wire.message()
            self.asked.append(request.head)
            wire.send(
                b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\n"
                b"Access-Control-Allow-Credentials: true\r\nVary: Accept\r\nContent-Length: 2\r\n\r\nok"
            )


@asynccontextmanager
async def guarded(folder: Path, listen: str = "localhost:0", **guard: Any) -> AsyncIterator["House"]:
    """A proxy before Camunda: `zeebe` gets a credential of ours, `open` the caller's own."""
    camunda = Camunda()
    async with origin(camunda.play) as site:
        url = f"http://127.0.0.1:{site.port}"
        config = {
            "upstreams": {
                "zeebe": {"url": url, "listen": listen, "credential": "shared"},
                "open": {"api": "zeebe", "url": url, "listen": "localhost:0", "credential": "nothing"},
            },
            "credentials": {
                "shared": {"type": "bearer", "token": CREDENTIAL},
                "nothing": {"type": "none"},
            },
            "guard": guard,
            "admin": {"listen": "127.0.0.1:0"},
            "log": {"level": "debug", "requests": True},
        }
        async with proxy(folder, config) as sidecar:
            yield House(sidecar, camunda, site)
        assert TOKEN not in sidecar.said
        assert OTHER not in sidecar.said
        assert CREDENTIAL not in sidecar.said


class House:
    """What a test looks at."""

    def __init__(self, sidecar: Running, camunda: Camunda, site: Origin) -> None:
        self.sidecar = sidecar
        self.asked = camunda.asked
        self.site = site

    async def ask(self, upstream: str, *lines: str, line: str = "GET /v2/topology") -> Answer:
        """Ask an upstream's port, or `admin`, in bytes."""
        url = await (self.sidecar.admin() if upstream == "admin" else self.sidecar.url(upstream))
        return await told(
            *await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2])), lines, line
        )


async def told(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lines: tuple[str, ...], line: str
) -> Answer:
    wire = Wire(reader, writer)
    host = () if any(each.startswith("Host:") for each in lines) else ("Host: localhost",)
    wire.send("\r\n".join((f"{line} HTTP/1.1", *host, *lines, "", "")).encode())
    answer = await wire.message()
    wire.cut()
    return answer


def opened(head: Head) -> dict[bytes, bytes]:
    """The fields that are about pages."""
    return {
        name.lower(): value
        for name, value in head.fields
        if name.lower().startswith(b"access-control-") or name.lower() == b"vary"
    }


PREFLIGHT = (
    "Access-Control-Request-Method: PUT",
    "Access-Control-Request-Headers: content-type,x-proxy-token",
)


async def test_no_page_gets_in_by_default(tmp_path: Path) -> None:
    async with guarded(tmp_path) as house:
        for port in ("zeebe", "admin"):
            line = "GET /status.json" if port == "admin" else "GET /v2/topology"
            for fields, status in (
                (("Host: evil.example",), 421),
                (("Host: localhost.",), 421),
                (("Origin: http://localhost:3000",), 403),
                (("Sec-Fetch-Site: cross-site",), 403),
                (("Sec-Fetch-Site: same-site", f"Origin: {APP}"), 403),
                ((), 200),
            ):
                answer = await house.ask(port, *fields, line=line)
                assert answer.status == status, (port, fields)
                assert not {key for key in opened(answer.head) if key != b"vary"}
            answer = await house.ask(port, f"Origin: {APP}", *PREFLIGHT, line="OPTIONS /v2/topology")
            assert answer.status == 403
            assert not opened(answer.head)
        assert len(house.asked) == 1


async def test_a_page_of_an_allowed_origin_works(tmp_path: Path) -> None:
    async with guarded(tmp_path, allowed_origins=[APP, "https://b.example"]) as house:
        page = (f"Origin: {APP}", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors")
        answer = await house.ask("zeebe", *page, *PREFLIGHT, line="OPTIONS /v2/topology")
        assert (answer.status, answer.body) == (204, b"")
        assert opened(answer.head) == {
            b"access-control-allow-origin": APP.encode(),
            b"access-control-expose-headers": b"*",
            b"access-control-allow-methods": b"PUT",
            b"access-control-allow-headers": b"content-type,x-proxy-token",
            b"access-control-max-age": b"600",
            b"vary": b"Origin",
        }
        assert not house.asked
        answer = await house.ask("zeebe", *page)
        assert (answer.status, answer.body) == (200, b"ok")
        assert answer.head.all(b"access-control-allow-origin") == [APP.encode()]
        assert answer.head.all(b"vary") == [b"Accept", b"Origin"]
        assert not answer.head.all(b"access-control-allow-credentials")
        assert house.asked[0].all(b"authorization") == [f"Bearer {CREDENTIAL}".encode()]
        assert answer.head.all(b"access-control-expose-headers") == [b"*"]
        other = (await house.ask("zeebe")).head
        assert other.all(b"vary") == [b"Accept", b"Origin"]  # or its cached copy would be shown to the page
        assert not other.all(b"access-control-allow-origin")
        assert (await house.ask("admin", *page, line="GET /status.json")).status == 403
        for refused, status in (
            (house.ask("zeebe", "Host: evil.example", *page), 421),
            (house.ask("zeebe", *page, line="TRACE /"), 405),
            (house.ask("zeebe", *page, line="GET /#a"), 400),
            (house.ask("zeebe", *page, "A: " + 70_000 * "a"), 431),
            (house.ask("zeebe", *page, "Connection: Upgrade", "Upgrade: websocket"), 501),
        ):
            answer = await refused
            assert answer.status == status
            assert answer.head.all(b"access-control-allow-origin") == [APP.encode()]


async def test_a_page_of_an_allowed_origin_can_read_our_own_answers(tmp_path: Path) -> None:
    async with guarded(tmp_path, allowed_origins=[APP], caller_token=TOKEN) as house:
        for fields in ((), ("Content-Length: 5",)):
            answer = await house.ask("zeebe", f"Origin: {APP}", *fields, line="POST /v2/topology")
            assert json.loads(answer.body)["type"] == "urn:camunda-auth-proxy:caller_unknown"
            assert opened(answer.head) == {
                b"access-control-allow-origin": APP.encode(),
                b"access-control-expose-headers": b"*",
                b"vary": b"Origin",
            }
            assert answer.head.all(b"www-authenticate") == [b'Bearer realm="camunda-auth-proxy"']
        answer = await house.ask("zeebe", f"Origin: {APP}", *PREFLIGHT, line="OPTIONS /v2/topology")
        assert answer.status == 204
        assert (await house.ask("zeebe", f"Origin: {APP}", line="OPTIONS *")).status == 401
        assert not house.asked


async def test_callers_show_their_token_and_it_goes_no_further(tmp_path: Path) -> None:
    async with guarded(tmp_path, caller_token=TOKEN) as house:
        for upstream in ("zeebe", "open"):
            answer = await house.ask(upstream)
            assert (answer.status, answer.head.all(b"www-authenticate")) == (
                401,
                [
                    b'Bearer realm="camunda-auth-proxy"',
                    b'Basic realm="camunda-auth-proxy", charset="UTF-8"',
                ],
            )
            assert (await house.ask(upstream, f"X-Proxy-Token: {TOKEN}x")).status == 401
        assert not house.asked
        assert (await house.ask("zeebe", f"X-Proxy-Token: {TOKEN}")).status == 200
        assert (await house.ask("open", f"Authorization: Bearer {TOKEN}")).status == 200
        assert (
            await house.ask(
                "open", "Authorization: Bearer own", f"x-proxy-token: {TOKEN}", "X_Proxy_Token: a"
            )
        ).status == 200
        assert house.asked[0].all(b"authorization") == [f"Bearer {CREDENTIAL}".encode()]
        assert house.asked[1].all(b"authorization") == []
        assert house.asked[2].all(b"authorization") == [b"Bearer own"]
        assert not any(b"proxy-token" in head.raw.lower().replace(b"_", b"-") for head in house.asked)
        assert (await house.ask("admin", line="GET /health/live")).status == 200
        assert await house.sidecar.metric("problems_total", problem="caller_unknown") == 4


async def test_a_token_in_a_file_counts_as_soon_as_it_is_changed(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    async with guarded(tmp_path, caller_token_file=str(file)) as house:

        async def statuses() -> list[int]:
            return [(await house.ask("zeebe", f"X-Proxy-Token: {token}")).status for token in (TOKEN, OTHER)]

        assert await statuses() == [200, 401]
        for unusable in ("", "short"):
            file.write_text(unusable)
            assert await statuses() == [200, 401]
        new = tmp_path / "new"
        new.write_text(OTHER)
        new.rename(file)
        assert await statuses() == [401, 200]
        file.unlink()
        assert await statuses() == [401, 200]


async def test_the_token_header_is_not_passed_on_where_nobody_asks_for_it(tmp_path: Path) -> None:
    async with guarded(tmp_path) as house:
        assert (await house.ask("open", f"X-Proxy-Token: {TOKEN}")).status == 200
        assert b"proxy-token" not in house.asked[0].raw.lower()


async def test_a_unix_socket_serves_its_owner_and_is_removed_at_the_end(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    path = tmp_path / "zeebe.sock"
    async with guarded(tmp_path, listen=f"unix:{path}", caller_token=TOKEN) as house:
        event = await house.sidecar.event(
            lambda event: event.get("upstream") == "zeebe" and "listen" in event
        )
        assert event["listen"] == [f"unix:{path}"]
        assert S_IMODE(path.stat().st_mode) == 0o600

        async def ask(*lines: str) -> Answer:
            return await told(*await asyncio.open_unix_connection(str(path)), lines, "GET /v2/topology")

        assert (await ask()).status == 401
        for fields in ((), ("Host: zeebe.local",), ("Origin: http://anything", "Sec-Fetch-Site: cross-site")):
            answer = await ask(f"X-Proxy-Token: {TOKEN}", *fields)
            assert (answer.status, answer.body) == (200, b"ok"), fields
            assert not {key for key in opened(answer.head) if key != b"vary"}
        assert (await ask("Host: a b", f"X-Proxy-Token: {TOKEN}")).status == 400
        status = json.loads((await house.sidecar.look("/status.json"))[1])
        assert status["upstreams"][0]["listen"] == [f"unix:{path}"]
    assert not path.exists()


async def test_a_proxy_that_was_killed_leaves_a_socket_that_the_next_one_takes_over(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    path = tmp_path / "zeebe.sock"
    async with guarded(tmp_path, listen=f"unix:{path}") as house:
        await house.sidecar.message("admin listening")
        house.sidecar.signal(signal.SIGKILL)
        await house.sidecar.ended()
    assert path.exists()
    async with guarded(tmp_path, listen=f"unix:{path}") as house:
        await house.sidecar.message("admin listening")
        code, _, err = await command("run", "--config", str(tmp_path / "camunda-auth-proxy.yaml"))
        assert (code, "is taken by another process" in err) == (2, True), err
        answer = await told(*await asyncio.open_unix_connection(str(path)), (), "GET /v2/topology")
        assert answer.status == 200


async def test_a_name_that_is_allowed_may_be_an_address(tmp_path: Path) -> None:
    async with guarded(tmp_path, allowed_hosts=["fd00::1", "Camunda-Proxy"]) as house:
        for host, status in (("[fd00::1]:80", 200), ("camunda-proxy", 200), ("[fd00::2]", 421)):
            assert (await house.ask("zeebe", f"Host: {host}")).status == status


async def test_the_table_shows_the_path_and_the_log_masks_the_caller_token(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "c.yaml").write_text(
        f"upstreams: {{zeebe: {{url: 'http://localhost:8080', listen: 'unix:{tmp_path}/s'}}, "
        "operate: {url: 'http://localhost:8080', listen: 0}}\nadmin: {listen: '127.0.0.1:0'}\n"
        "credentials: {c: {type: none}}\nguard: {caller_token_file: token}\n"
    )
    config = load(config=tmp_path / "c.yaml", env_file=None, environ={}, directory=tmp_path)
    async with running(config, SystemClock()) as app:
        assert list(app.known_secrets()) == [TOKEN]
        shown = tables.running_table(app)
        assert f"unix:{tmp_path}/s" in "".join(shown.split())
        assert f"\noperate  http://localhost:{app.served[1].bound.port}  " in shown


async def test_check_shows_the_path_and_never_the_token(tmp_path: Path) -> None:
    (tmp_path / "camunda-auth-proxy.yaml").write_text(
        "upstreams: {zeebe: {url: 'http://localhost:8080', listen: 'unix:/run/zeebe.sock'}}\n"
        f"credentials: {{c: {{type: none}}}}\nguard: {{caller_token: {TOKEN}}}\n"
    )
    code, out, err = await command("check", folder=tmp_path)
    assert code == 0, err
    assert "unix:/run/zeebe.sock" in out
    assert TOKEN not in out + err
