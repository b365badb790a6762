"""The HTTP cases of tests/data, judged as our own tests judge them, but for rules that are ours alone.

Where an RFC allows two outcomes, both pass. A missing Via and forwarded trailers are not counted against each
case; Via is a row of its own.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from bench.behaviour.lanes import Lane
from bench.behaviour.peers import DidNotStart, Peer, started
from bench.behaviour.verdict import Result, Verdict, judged
from bench.field import free_ports
from tests.http.cases import Case, suite
from tests.http.runner import AT_ONCE, Pair, hasty, observe, passes_cookies, verdict
from tests.http.world import Site, ask, site

REQUESTS: Final = "http-requests"
ANSWERS: Final = "http-answers"
CREDENTIALS: Final = "http-credentials"
GROUPS: Final = (REQUESTS, ANSWERS, CREDENTIALS)
_FILES: Final = ("http_cases.json", "more_http_cases.json")
_OUR_RULES: Final = {"resp-cors-upstream", "more-resp-cookies", "more-resp-sandbox", "more-resp-hsts"}
"""Answers that a port with a credential should change, and other proxies should not."""


def group_of(section: str, case: Case) -> str:
    """The group of the table that a case belongs to."""
    if section == "policy" or case.get("level") == "policy" or case["id"] in _OUR_RULES:
        return CREDENTIALS
    return ANSWERS if section == "responses" else REQUESTS


def fair(case: Case) -> Case:
    """The case with both outcomes right, where the RFC allows both."""
    return {**case, "recommend": "either"} if case.get("expect") == "either" else case


def chosen(only: Sequence[str] = ()) -> list[list[tuple[str, Case]]]:
    """The cases of each file, all or those with these ids."""
    files = [[(section, fair(case)) for section, case in suite(name)] for name in _FILES]
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
        try:
            await stack.enter_async_context(started(peer, lanes, folder, certificate))
        except DidNotStart as error:
            return [
                judged(group_of(*each), each[1]["id"], peer.name, [f"did not start: {error}"])
                for each in cases
            ]
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
    return verdict(section, case, seen)


async def _via(lane: Lane, here: Site) -> str:
    """RFC 9110 section 7.6.3: a gateway must send Via towards the origin."""
    here.begin()
    told = await ask(("127.0.0.1", lane.listen), "/after")
    if told is None and not all(request.all(b"via") for request, _ in here.arrived):
        return "no Via at the origin"
    return told or ""
