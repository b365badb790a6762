"""The HTTP cases of tests/data, judged as our own tests judge them, but for rules that are ours alone.

Where an RFC allows two outcomes, both pass. A missing Via and forwarded trailers are not counted against each
case; Via is a row of its own.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from bench.behaviour.lanes import Lane
from bench.behaviour.peers import Peer, started
from bench.behaviour.verdict import Result, Verdict, judged
from bench.ports import free_ports
from tests.http.cases import Case, suite
from tests.http.runner import AT_ONCE, Pair, hasty, observe, passes_cookies, verdict
from tests.http.world import Site, ask, site

_LENIENT: Final = {"more-resp-line-12"}
"""A later minor version may be read as 1.1 (RFC 9110 section 2.5)."""
REQUESTS: Final = "http-requests"
ANSWERS: Final = "http-answers"
CREDENTIALS: Final = "http-credentials"
GROUPS: Final = (REQUESTS, ANSWERS, CREDENTIALS)
_FILES: Final = ("http_cases.json", "more_http_cases.json")
_OUR_RULES: Final = {
    *("resp-cors-upstream", "more-resp-cookies", "more-resp-sandbox", "more-resp-hsts"),
    "more-trailer-x-a",
}
"""What a port with a credential should change, and other proxies should not."""
_LIMITS: Final = {
    *("more-hdr-100", "more-hdr-16k", "more-hdr-many-big", "more-hdr-name-long", "more-line-method-long"),
    *("more-chunk-line-long", "more-cl-two63", "more-host-10-none"),
}
"""How much a proxy takes, and whether HTTP/1.0 needs a Host, is a setting of each."""


def group_of(section: str, case: Case) -> str:
    """The group of the table that a case belongs to."""
    if section == "policy" or case.get("level") == "policy" or case["id"] in _OUR_RULES:
        return CREDENTIALS
    return ANSWERS if section == "responses" else REQUESTS


def fair(section: str, case: Case) -> Case:
    """The case without what is ours to decide.

    Both outcomes are right where the RFC allows both, and at limits. A refusal may have any status of
    an error. Of an answer that is cut the client need not get what there was of it.
    """
    if section == "responses":
        first, *others = [_fair_outcome(each) for each in (case["client_must_see"], *case.get("or", ()))]
        if case["id"] in _LENIENT:
            case, others = {**case, "upstream_reuse": None}, [*others, {"status": 200, "complete": True}]
        return {**case, "client_must_see": first, "or": others}
    changes: dict[str, Any] = {}
    if case["expect"] == "either" or case.get("category") == "limits" or case["id"] in _LIMITS:
        changes |= {"expect": "either", "recommend": "either"}
    changes["status"] = [*(each for each in case.get("status", ()) if each < 400), *range(400, 600)]
    return {**case, **changes}


def _fair_outcome(outcome: Case) -> Case:
    dropped = {"body", "body_prefix"} if outcome.get("complete") is False else set()
    fields = {name: value for name, value in outcome.items() if name not in dropped}
    return fields | {"status": [502, 503, 504]} if outcome.get("status") in (502, 504) else fields


def chosen(only: Sequence[str] = ()) -> list[list[tuple[str, Case]]]:
    """The cases of each file, all or those with these ids."""
    files = [[(section, fair(section, case)) for section, case in suite(name)] for name in _FILES]
    return [[pair for pair in file if not only or pair[1]["id"] in only] for file in files]


async def http_verdicts(
    peer: Peer, folder: Path, certificate: Path, only: Sequence[str] = ()
) -> list[Verdict]:
    """One verdict for each case, and one for Via."""
    if peer.speaks != "http":
        why = "it passes on no HTTP requests, only MCP messages of its own client"
        return [
            Verdict(group_of(section, case), case["id"], peer.name, Result.CANNOT, why)
            for cases in chosen(only)
            for section, case in cases
        ] + [Verdict(REQUESTS, "via", peer.name, Result.CANNOT, why)]
    verdicts: list[Verdict] = []
    for number, cases in enumerate(chosen(only)):
        if cases:
            verdicts += await _file(peer, cases, folder / f"http-{number}", certificate)
    return verdicts


async def _file(peer: Peer, cases: list[tuple[str, Case]], folder: Path, certificate: Path) -> list[Verdict]:
    """Each case has a lane and an origin of its own."""
    async with AsyncExitStack() as stack:
        sites = [await stack.enter_async_context(site()) for _ in cases]
        ports = free_ports(len(cases))
        lanes = [
            Lane(port, here.port, hasty=hasty(case), bare=passes_cookies(case))
            for port, here, (_, case) in zip(ports, sites, cases, strict=True)
        ]
        await stack.enter_async_context(started(peer, lanes, folder, certificate))
        room = asyncio.Semaphore(AT_ONCE)

        async def one(lane: Lane, here: Site, section: str, case: Case) -> Verdict:
            async with room:
                complaints = await _complaints(lane, here, section, case)
            return judged(group_of(section, case), case["id"], peer.name, complaints)

        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(one(lane, here, *case))
                for lane, here, case in zip(lanes, sites, cases, strict=True)
            ]
        verdicts = [task.result() for task in running]
        if folder.name == "http-0":
            verdicts.append(judged(REQUESTS, "via", peer.name, [await _via(lanes[0], sites[0])]))
        return verdicts


async def _complaints(lane: Lane, here: Site, section: str, case: Case) -> list[str]:
    address = ("127.0.0.1", lane.listen)
    pair = Pair(here, address, lane.authority.encode(), None, not lane.bare, None)
    try:
        seen = await observe(pair, section, case, "whole")
    except OSError as error:
        return [f"{type(error).__name__}: {error}"]
    seen.own_rules = False
    if b" HTTP/1.0\r\n" in seen.sent[:2000]:  # the strict reader knows only HTTP/1.1
        seen.heard = seen.heard.replace(b"HTTP/1.0 ", b"HTTP/1.1 ", 1)
    return verdict(section, case, seen)


async def _via(lane: Lane, here: Site) -> str:
    """RFC 9110 section 7.6.3: a gateway must send Via towards the origin."""
    here.begin()
    told = await ask(("127.0.0.1", lane.listen), "/after")
    if told is None and not all(request.all(b"via") for request, _ in here.arrived):
        return "no Via at the origin"
    return told or ""
