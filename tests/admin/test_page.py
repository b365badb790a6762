"""The page at the admin port, over sockets."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import proxy.admin
from proxy.admin.recent import PROBLEMS, REQUESTS, Recent
from proxy.gateway.records import RecentRequest
from tests.admin.port import CANARY, House

FILES = Path(proxy.admin.__file__).parent / "page_files"
TYPES = {
    "/": "text/html; charset=utf-8",
    "/page.css": "text/css; charset=utf-8",
    "/page.js": "text/javascript; charset=utf-8",
    "/icon.svg": "image/svg+xml",
}
PARTS = (*TYPES, "/events")


def request(path: bytes) -> RecentRequest:
    return ("zeebe", b"GET", path, 200, 1000.0, 0.01, None, False, "")


class Reader:
    """A page that is open."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def event(self) -> Any:
        """The next event."""
        async with asyncio.timeout(10):
            while not (line := await self._reader.readline()).startswith(b"data: "):
                assert line, "the stream has ended"
        return json.loads(line[6:])


@asynccontextmanager
async def page(house: House) -> AsyncIterator[Reader]:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port, limit=1 << 24)
    writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    try:
        yield Reader(reader)
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(("path", "content_type"), TYPES.items())
async def test_its_files_have_their_types_and_a_policy_that_allows_its_own_origin_only(
    house: House, path: str, content_type: str
) -> None:
    answer = await house.get(path)
    assert answer.status == 200
    assert answer.fields["Content-Type"] == content_type
    assert answer.fields["Cache-Control"] == "no-store"
    assert answer.fields["X-Content-Type-Options"] == "nosniff"
    assert answer.fields["X-Frame-Options"] == "DENY"
    assert answer.fields["Cross-Origin-Opener-Policy"] == "same-origin"
    policy = dict(
        each.strip().partition(" ")[::2] for each in answer.fields["Content-Security-Policy"].split(";")
    )
    assert policy == {
        "default-src": "'none'",
        **dict.fromkeys(("script-src", "style-src", "img-src", "connect-src"), "'self'"),
        **dict.fromkeys(("base-uri", "form-action", "frame-ancestors"), "'none'"),
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }


@pytest.mark.parametrize("path", PARTS)
async def test_head_is_the_same_without_a_body(house: House, path: str) -> None:
    answer = await house.ask("HEAD", path)
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("path", PARTS)
async def test_the_probe_port_has_no_page(house: House, path: str) -> None:
    answer = await house.get(path, probe=True)
    assert (answer.status, answer.json["detail"]) == (404, "There is no such path on this port.")


async def test_an_unknown_path_names_the_page(house: House) -> None:
    answer = await house.get("/ui")
    assert answer.status == 404
    assert answer.json["detail"] == (
        "There is no such path on this port. The page for people is /, the state as JSON is /status.json."
    )


@pytest.mark.parametrize("path", PARTS)
@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"Host": "attacker.example"}, 421),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://localhost:3000"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Purpose": "prefetch;prerender", "Sec-Fetch-Site": "none"}, 403),
    ],
)
async def test_it_is_guarded_as_every_route_of_the_admin_port(
    house: House, path: str, fields: dict[str, str], status: int
) -> None:
    answer = await house.get(path, fields)
    assert answer.status == status
    assert "text/event-stream" not in answer.fields["Content-Type"]


@pytest.mark.parametrize("path", PARTS)
async def test_no_method_but_get_and_head_is_allowed(house: House, path: str) -> None:
    assert (await house.ask("POST", path)).status == 405


async def test_a_request_is_in_exactly_one_event_of_each_page(house: House) -> None:
    recent = house.state.recent = Recent(house.clock)
    recent.requests.append(request(b"/one"))
    async with page(house) as first:
        events = [await first.event()]
        recent.requests.append(request(b"/two"))
        async with page(house) as later:
            others = [await later.event()]
            for path in (b"/three", b"/three"):
                await house.clock.advance(1.0)
                events.append(await first.event())
                others.append(await later.event())
                recent.requests.append(request(path))
            await house.clock.advance(1.0)
            events.append(await first.event())
            others.append(await later.event())
    for seen in (events, others):
        paths = [each["path"] for event in seen for each in event["requests"]]
        assert paths == ["/one", "/two", "/three", "/three"]
        assert [event["whole"] for event in seen] == [True, False, False, False]


async def test_a_flood_between_two_events_is_cut_to_the_last_hundred(house: House) -> None:
    recent = house.state.recent = Recent(house.clock)
    async with page(house) as reader:
        await reader.event()
        recent.requests.extend(request(b"/%d" % number) for number in range(1000))
        await house.clock.advance(1.0)
        paths = [each["path"] for each in (await reader.event())["requests"]]
    assert paths == [f"/{number}" for number in range(1000 - REQUESTS, 1000)]


async def test_without_the_list_of_requests_the_page_is_told_so(house: House) -> None:
    house.state.recent = Recent(house.clock)
    house.state.listed = False
    async with page(house) as reader:
        assert (await reader.event())["requests"] is None


async def test_points_are_kept_while_the_page_is_reloaded(house: House) -> None:
    async with page(house) as reader:
        await reader.event()
        house.tally.requests["GET", 2] = 5
        await house.clock.advance(1.0)
        assert (await reader.event())["points"] == {"zeebe": [[5.0, 0.0, None, None]]}
    await house.clock.advance(10.0)
    async with page(house) as reader:
        event = await reader.event()
        assert len(event["points"]["zeebe"]) == 11
        assert event["points"]["zeebe"][0] == [5.0, 0.0, None, None]


async def test_a_repeated_problem_is_listed_once_and_counted(house: House) -> None:
    recent = house.state.recent = Recent(house.clock)
    recent.note("zeebe", "zeebe: connection refused.", "id-1")
    recent.note("", "This port does not accept the host name of the request.")
    recent.note("zeebe", "zeebe: connection refused.", "id-2", times=4)
    async with page(house) as reader:
        found = [
            (each["upstream"], each["times"], each["request_id"])
            for each in (await reader.event())["problems"]
        ]
    assert found == [("zeebe", 5, "id-2"), ("", 1, "")]
    for number in range(100):
        recent.note("zeebe", f"problem {number}")
    assert len(recent.problems) == PROBLEMS


async def test_a_certificate_is_shown_with_its_end(house: House) -> None:
    (upstream,) = house.state.upstreams
    object.__setattr__(
        upstream,
        "certificate",
        lambda: {
            "subject": ((("commonName", "camunda"),),),
            "subjectAltName": (("DNS", "camunda.example"),),
            "notAfter": "Nov 14 22:13:20 2023 GMT",
        },
    )
    async with page(house) as reader:
        shown = (await reader.event())["certificates"]
    assert shown == [{"upstream": "zeebe", "name": "camunda.example", "ends": 1_700_000_000.0}]


async def test_no_event_holds_a_secret(house: House) -> None:
    await house.fetched()
    async with page(house) as reader:
        assert CANARY not in json.dumps(await reader.event())


async def test_the_seventeenth_page_is_refused(house: House) -> None:
    async with asyncio.TaskGroup() as tasks:
        opened, close = asyncio.Semaphore(0), asyncio.Event()

        async def keep() -> None:
            async with page(house) as reader:
                await reader.event()
                opened.release()
                await close.wait()

        for _ in range(16):
            tasks.create_task(keep())
        for _ in range(16):
            await opened.acquire()
        answer = await house.get("/events")
        close.set()
    assert (answer.status, answer.fields["Retry-After"]) == (503, "1")
    assert answer.json["detail"].startswith("16 pages are open already.")


def test_no_file_has_an_inline_script_a_style_or_a_foreign_address() -> None:
    html = (FILES / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|javascript:", html)
    for file in FILES.iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//[a-z]+\.[a-z]+/", text), file.name
    script = (FILES / "page.js").read_text(encoding="utf-8")
    sinks = r"(inner|outer)HTML|insertAdjacent|\.write\(|eval\(|new Function|srcdoc|parseFromString"
    assert not re.search(sinks, script)


def test_every_element_that_the_script_names_is_in_the_page() -> None:
    html = (FILES / "index.html").read_text(encoding="utf-8")
    script = (FILES / "page.js").read_text(encoding="utf-8")
    named = set(re.findall(r"element\('([a-z-]+)'\)", script))
    assert named
    assert {name for name in named if f'id="{name}"' not in html} == set()


def colours(css: str, start: str) -> dict[str, str]:
    """The variables of a `:root` block, by name."""
    block = css[css.index(start) :].split("}", 1)[0]
    found = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6});", block))
    return {
        name: value if len(value) == 7 else "#" + "".join(2 * c for c in value[1:])
        for name, value in found.items()
    }


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("start", [":root", "@media (prefers-color-scheme: dark)"])
def test_every_text_has_enough_contrast_in_both_schemes(start: str) -> None:
    """WCAG 2.2, success criterion 1.4.3: 4.5 to 1."""
    found = colours(
        (FILES / "page.css").read_text(encoding="utf-8").replace(start + " {\n  :root", start), start
    )
    backgrounds = {"text": ("back", "panel", "tint-bad", "tint-warn"), "muted": ("back", "panel")}
    for name in ("text", "muted", "accent", "good", "warn", "bad"):
        for behind in backgrounds.get(name, ("panel",)):
            light, dark = sorted((luminance(found[name]), luminance(found[behind])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (name, behind)
