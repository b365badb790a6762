"""Runs cases against the proxy as its users start it: side by side, each with an origin of its own."""

import asyncio
import json
import ssl
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from tests.app.command import Running, proxy
from tests.http.cases import Case, Part, client_parts, joined, parts, script_of
from tests.http.judge import GOOD, Connection, Seen, judge_request, judge_response, leaks
from tests.http.strict import Request
from tests.http.world import PACE, Peer, Respond, Site, ask, client, echo, pieces, site

Way = Literal["whole", "split", "behind"]
Suite = Sequence[tuple[str, Case]]
"""Section and case."""

SILENCE: Final = 2.0
"""Seconds after which nothing more is to come (meta.send)."""

AT_ONCE: Final = 48
"""Cases that run at the same time."""

LANES: Final = 340
"""So many cases have an origin of their own; of more, some share one, one after the other."""

CANARY: Final = "canary-5f0c1b7e9d3a"


_ISSUED: Final = tuple(f"Bearer {CANARY}-{number}".encode() for number in range(1, 9))


@dataclass(frozen=True, slots=True)
class Report:
    """Attributes:
    complaints: of each case that failed, by id, for people.
    said: everything the proxy has logged.
    """

    complaints: dict[str, str]
    said: str

    def leaked(self) -> bool:
        return leaks(self.said.encode(), CANARY.encode())


@dataclass(frozen=True, slots=True)
class Pair:
    """The proxy's port for a case, and its origin.

    Attributes:
        address: of the port.
        tokens: the token server of its credential, where it has one of its own.
        injects: whether it has a credential.
        trust: of clients; None: the port is plain.
    """

    site: Site
    address: tuple[str, int] | str
    authority: bytes
    tokens: Site | None
    injects: bool
    trust: ssl.SSLContext | None


@dataclass(frozen=True, slots=True)
class Layout:
    """How the proxy is reached, and reaches its origins.

    Attributes:
        certificate: for 127.0.0.1, with its key; None: plain TCP.
        unix: whether listeners are Unix sockets.
        listener: certificate of listeners, with its key; None: plain TCP.
    """

    certificate: tuple[Path, Path] | None = None
    unix: bool = False
    listener: tuple[Path, Path] | None = None

    def trust(self) -> ssl.SSLContext | None:
        """Of clients; None: listeners are plain."""
        return None if self.listener is None else ssl.create_default_context(cafile=str(self.listener[0]))


def hasty(case: Case) -> bool:
    """Whether it ends by a time-out of the proxy's; all others have all the time of a busy machine."""
    return case.get("origin_then") == "hang" or bool(case.get("partial_ok"))


def refuses(case: Case) -> bool:
    """Whether its origin refuses every token."""
    return case.get("origin_then") == "always 401"


def passes_cookies(case: Case) -> bool:
    """Whether the client must see the origin's Set-Cookie, which passes where nothing is injected alone."""
    return "set-cookie" in case.get("client_must_see", {}).get("list", {})


def _issue(peer: Peer, _request: Request) -> None:
    """A token server: each token is a new one."""
    token = f"{CANARY}-{peer.served}"
    body = json.dumps({"access_token": token, "token_type": "Bearer", "expires_in": 3600}).encode()
    peer.play(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )


async def run(suite: Suite, way: Way, folder: Path, layout: Layout = Layout()) -> Report:
    """Run every case one way."""
    complaints: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        tls = None
        if layout.certificate is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(*layout.certificate)
        lanes = [suite[at::LANES] for at in range(min(LANES, len(suite)))]
        sites = [await stack.enter_async_context(site(tls)) for _ in lanes]
        tokens = [await stack.enter_async_context(site()) if refuses(lane[0][1]) else None for lane in lanes]
        config = configuration([lane[0][1] for lane in lanes], sites, tokens, folder, layout)
        running = await stack.enter_async_context(proxy(folder, config))
        room = asyncio.Semaphore(AT_ONCE)
        trust = layout.trust()

        async def lane(number: int) -> None:
            name = f"u{number}"
            address = await _address(running, name)
            authority = b"127.0.0.1:%d" % sites[number].port
            injects = not passes_cookies(lanes[number][0][1])
            pair = Pair(sites[number], address, authority, tokens[number], injects, trust)
            for section, case in lanes[number]:
                async with room:
                    if told := await _try(pair, section, case, way):
                        complaints[case["id"]] = f"{case['id']} ({way}): {told}"

        async with asyncio.TaskGroup() as tasks:
            for number in range(len(lanes)):
                tasks.create_task(lane(number))
    return Report(complaints, running.said)


async def _address(running: Running, upstream: str) -> tuple[str, int] | str:
    """Where an upstream's port is, as the proxy says it."""
    told = await running.event(lambda event: event.get("upstream") == upstream and "listen" in event)
    listen: str = told["listen"][0]
    if listen.startswith("unix:"):
        return listen.removeprefix("unix:")
    return "127.0.0.1", int(listen.rpartition(":")[2])


def configuration(
    cases: Sequence[Case], sites: Sequence[Site], tokens: Sequence[Site | None], folder: Path, layout: Layout
) -> dict[str, Any]:
    """What the user has written: upstreams `u0`, `u1`, ... for cases, in order."""
    upstreams: dict[str, Any] = {}
    credentials: dict[str, Any] = {"canary": {"type": "bearer", "token": CANARY}}
    scheme = "http" if layout.certificate is None else "https"
    for number, (case, here, server) in enumerate(zip(cases, sites, tokens, strict=True)):
        name = f"u{number}"
        upstream: dict[str, Any] = {
            "api": "other",
            "url": f"{scheme}://127.0.0.1:{here.port}",
            "listen": f"unix:{folder / name}.sock" if layout.unix else "127.0.0.1:0",
            "credential": "canary",
        }
        upstreams[name] = upstream
        if layout.listener is not None:
            cert_file, key_file = map(str, layout.listener)
            upstream["listen_tls"] = {"cert_file": cert_file, "key_file": key_file}
        if layout.certificate is not None:
            upstream["tls"] = {"ca_file": str(layout.certificate[0])}
        if hasty(case):
            upstream |= {"idle_timeout": "1s", "response_timeout": "1s"}
        if passes_cookies(case):
            upstream["credential"] = "none"
            credentials["none"] = {"type": "none"}
        if server is not None:
            server.begin(_issue)
            upstream["credential"] = name
            credentials[name] = {
                "type": "oauth2",
                "token_url": f"http://127.0.0.1:{server.port}/token",
                "client_id": "runner",
                "client_secret": "runner",
            }
    return {
        "upstreams": upstreams,
        "credentials": credentials,
        "admin": {"listen": "127.0.0.1:0"},
        "log": {"level": "debug", "format": "json", "requests": True},
    }


async def _try(pair: Pair, section: str, case: Case, way: Way) -> str:
    """Run a case; complaints about it, for people."""
    seen = await observe(pair, section, case, way)
    found = verdict(section, case, seen)
    return "; ".join(found) + "\n" + seen.told() if found else ""


def verdict(section: str, case: Case, seen: Seen) -> list[str]:
    """Complaints about what was seen of a case."""
    return (judge_response if section == "responses" else judge_request)(case, seen)


async def observe(pair: Pair, section: str, case: Case, way: Way) -> Seen:
    """Run a case, and a plain request after it; all that was seen."""
    respond, early = script(case, way) if section == "responses" else (echo, lambda _: False)
    pair.site.begin(respond, early)
    complaints: list[str] = []
    if section == "responses" and script_of(case)[0] == "stale":  # it needs a pooled connection
        complaints.append(await ask(pair.address, "/earlier", pair.trust) or "")
    sending = client_parts(case) if section == "responses" else parts(case, "raw_request")
    caller = await client(pair.address, pair.trust)
    if way == "behind":
        sending = [GOOD + sending[0], *sending[1:]] if isinstance(sending[0], bytes) else [GOOD, *sending]
    for piece in _paced(sending, way):
        if isinstance(piece, bytes):
            caller.send(piece)
        else:
            await caller.pause(piece)
    if case.get("half_close") and not caller.transport.is_closing():
        caller.transport.write_eof()
    await caller.silence(2 * SILENCE if hasty(case) else SILENCE)  # a time-out may be late on a busy machine
    while pair.site.playing and caller.end is None:
        await caller.silence(SILENCE)
    heard, end = caller.heard, caller.end  # before we end it ourselves
    if not caller.transport.is_closing():  # asyncio fails to abort what was closed and has drained since
        caller.transport.abort()
    complaints.append(await ask(pair.address, "/after", pair.trust) or "")
    if refuses(case) and pair.tokens is not None:
        complaints.append(await _bounded(pair))
    unused = section == "responses" and case.get("upstream_reuse") is False
    await pair.site.until(lambda: _settled(pair.site, unused=unused))
    seen = _seen(pair, joined(sending), heard, end, before=way == "behind")
    seen.complaints = [complaint for complaint in complaints if complaint]
    return seen


def _paced(sending: Sequence[Part], way: Way) -> Iterator[Part]:
    for part in sending:
        if not isinstance(part, bytes):
            yield part
            continue
        for piece in pieces(part, split=way == "split"):
            yield piece
            if way == "split":
                yield PACE


def _settled(here: Site, *, unused: bool) -> bool:
    """Whether no connection is in the middle of a request; `unused`: nor is that of the case open."""
    for peer in here.peers:
        if peer.ended is None and (
            peer.partial or (unused and any(r.target == b"/r" for r in peer.requests))
        ):
            return False
    return True


async def _bounded(pair: Pair) -> str:
    """Where every token is refused: the refusal passes each time, and the token server has peace."""
    for _ in range(5):
        if "HTTP/1.1 401" not in (told := await ask(pair.address, "/again", pair.trust) or ""):
            return told
    fetches = len(pair.tokens.arrived) if pair.tokens is not None else 0
    # At start, for the case, and once in the 2 s that have passed: the gap has doubled by then.
    return "" if 2 <= fetches <= 3 else f"{fetches} tokens were fetched"


def _seen(pair: Pair, sent: bytes, heard: bytes, end: str | None, *, before: bool) -> Seen:
    peers = pair.site.peers
    return Seen(
        sent,
        before,
        heard,
        end,
        [Connection(peer.octets, [*peer.requests], peer.fault, peer.partial, peer.ended) for peer in peers],
        [(request, peers.index(peer)) for request, peer in pair.site.arrived],
        pair.authority,
        _injected(pair),
    )


def _injected(pair: Pair) -> tuple[bytes, ...]:
    if not pair.injects:
        return ()
    return (b"Bearer " + CANARY.encode(),) if pair.tokens is None else _ISSUED


def script(case: Case, way: Way) -> tuple[Respond, Any]:
    """What the origin of a case in `responses` does."""
    word, seconds, later = script_of(case)
    answer = joined(parts(case, "raw_response"))

    def respond(peer: Peer, request: Request) -> None:
        if request.target not in (b"/r", b"/again"):
            echo(peer, request)
        elif word == "stale" and peer.served > 1:
            peer.close()
        elif word == "stale":
            peer.play(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        else:
            peer.play(answer, split=way == "split", then=lambda: then(peer))

    def then(peer: Peer) -> None:
        if word in ("close", "early"):
            peer.close()
        elif word == "reset":
            peer.reset()
        elif word == "later":
            asyncio.get_running_loop().call_later(seconds, peer.play, later)

    return respond, lambda request: word == "early" and request.target == b"/r"
