"""The API refuses the token: revoked, ended before its time, or for a reason that no new token mends."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from bench.behaviour.calls import HttpCaller
from bench.behaviour.camunda import Tokens, answer
from bench.behaviour.peers import Peer
from bench.behaviour.token_rows import BEGUN, Scenario, World, all_rows
from bench.behaviour.verdict import Result, Verdict

REFUSALS: Final = "refusals"
_CHALLENGE: Final = answer("403 Forbidden", b"", "WWW-Authenticate: Bearer")
_SCOPE: Final = answer("403 Forbidden", b"scope", 'WWW-Authenticate: Bearer error="insufficient_scope"')
_FORBIDDEN: Final = answer("403 Forbidden", b"no")
_NO_CHALLENGE: Final = answer("401 Unauthorized", b"refused")
_CLOSES: Final = answer("401 Unauthorized", b"refused", "Connection: close")
_BODY: Final = b"0123456789" * 100


async def _begun(here: World) -> None:
    """A first good answer, and a little time: a token must not be replaced within a second of its fetch."""
    await here.until_good(BEGUN)
    await asyncio.sleep(2.0)


def revoked(
    method: str = "GET", body: bytes | None = None, *, chunked: bool = False, refusal: bytes | None = None
) -> Scenario:
    async def scenario(here: World) -> list[str]:
        await _begun(here)
        if refusal is not None:
            here.camunda.api.refusal = refusal
        here.camunda.tokens.revoke()
        told = await here.ask("/x", method, body, chunked=chunked)
        complaints = [] if told.good else [f"the client got {told.status} {told.fault}"]
        accepted = [each for each in here.camunda.api.arrived if each.accepted][1:]
        if (
            isinstance(here.caller, HttpCaller)
            and told.good
            and body is not None
            and [each.body for each in accepted] != [body]
        ):
            complaints.append("the API did not accept the body once, whole")
        return complaints + _always(here)

    return scenario


async def many(here: World) -> list[str]:
    await _begun(here)
    asked = len(here.camunda.tokens.asked)
    here.camunda.tokens.revoke()
    async with asyncio.TaskGroup() as tasks:
        tried = [tasks.create_task(here.ask()) for _ in range(50)]
    good = sum(task.result().good for task in tried)
    fetched = len(here.camunda.tokens.asked) - asked
    complaints = [] if good == 50 else [f"{good} of 50 requests were answered well"]
    return complaints + ([] if fetched <= 2 else [f"{fetched} tokens were fetched"]) + _always(here)


async def again_and_again(here: World) -> list[str]:
    await _begun(here)
    for _ in range(3):
        here.camunda.tokens.revoke()
        if not (await here.ask()).good:
            return ["a request after a revocation was not answered well"]
        await asyncio.sleep(3.0)
    return _always(here)


async def ends_early(here: World) -> list[str]:
    """Tokens end after 4 s, and are said to live for an hour."""
    if not await here.until_good(BEGUN):
        return ["no request was answered well"]
    here.answers.clear()
    await here.keep_asking(14.0)
    bad = sum(not told.good for _, told in here.answers)
    return [f"{bad} of {len(here.answers)} requests failed"] if bad else []


async def large_upload(here: World) -> list[str]:
    """An upload that no proxy needs to keep is refused; the next request is answered well."""
    await _begun(here)
    here.camunda.tokens.revoke()
    told = await here.ask("/x", "POST", bytes(8 << 20))
    complaints = [f"the upload got no answer ({told.fault})"] if told.fault else []
    if not await here.until_good(3.0):
        complaints.append("3 s later requests are still refused")
    return complaints + _always(here)


async def while_down(here: World) -> list[str]:
    """Revoked while the token endpoint is down: an error, then good answers again."""
    await _begun(here)
    here.camunda.tokens.wrong = "limited"
    here.camunda.tokens.revoke()
    await here.keep_asking(5.0)
    complaints = [*here.unanswered()]
    here.camunda.tokens.wrong = None
    if not await here.until_good(15.0):
        complaints.append("15 s after the end of the fault no request was answered well")
    return complaints + _always(here)


async def running_answer(here: World) -> list[str]:
    """A revocation while an answer is under way leaves that answer alone."""
    await _begun(here)
    here.camunda.api.slow = 2.0
    async with asyncio.TaskGroup() as tasks:
        slow = tasks.create_task(here.ask("/slow"))
        await asyncio.sleep(0.5)
        here.camunda.tokens.revoke()
    return [] if slow.result().good else [f"it got {slow.result().status} {slow.result().fault}"]


def passes(refusal: bytes, status: int) -> Scenario:
    """A refusal that no new token mends reaches the client as it is, and costs no stream of tokens."""

    async def scenario(here: World) -> list[str]:
        await _begun(here)
        here.camunda.api.refuses["/bad"] = refusal
        asked = len(here.camunda.tokens.asked)
        before = len(here.answers)
        await here.keep_asking(10.0, "/bad")
        statuses = {told.status for _, told in here.answers[before:]}
        wanted = {status, 500}  # an MCP client is told of an error, not of its status
        complaints = [] if statuses <= wanted else [f"the client got {sorted(statuses)}, not {status}"]
        complaints += _few(here, asked)
        if not (await here.ask("/good")).good:
            complaints.append("another path is not answered any more")
        return complaints + _always(here)

    return scenario


async def beside(here: World) -> list[str]:
    """One path always refuses, another never does."""
    await _begun(here)
    here.camunda.api.refuses["/bad"] = _NO_CHALLENGE
    asked = len(here.camunda.tokens.asked)
    bad = 0
    for _ in range(10):
        await here.ask("/bad")
        bad += not (await here.ask("/good")).good
        await asyncio.sleep(0.7)
    complaints = [f"{bad} of 10 requests to the other path failed"] if bad else []
    return complaints + _few(here, asked) + _always(here)


async def same_token(here: World) -> list[str]:
    """The token endpoint gives the refused token again, as those with a cache do."""
    await _begun(here)
    here.camunda.tokens.repeats = True
    here.camunda.tokens.revoke()
    asked = len(here.camunda.tokens.asked)
    await here.keep_asking(8.0)
    complaints = [*here.unanswered(), *_few(here, asked)]
    here.camunda.tokens.repeats = False
    if not await here.until_good(30.0):
        complaints.append("30 s after a new token could be had no request was answered well")
    return complaints + _always(here)


def _few(here: World, asked: int) -> list[str]:
    """No more than one token for each second and a half, where none of them helps."""
    fetched = len(here.camunda.tokens.asked) - asked
    return [f"{fetched} tokens were fetched in about 10 s, and none helped"] if fetched > 6 else []


def _always(here: World) -> list[str]:
    return [*here.camunda.api.forwarded(), *here.camunda.faults(), *here.leaks()]


_MENDED: Final[dict[str, tuple[Tokens, Scenario]]] = {
    "revoked, GET": (Tokens(), revoked()),
    "revoked, HEAD": (Tokens(), revoked("HEAD")),
    "revoked, DELETE": (Tokens(), revoked("DELETE")),
    "revoked, POST": (Tokens(), revoked("POST", _BODY)),
    "revoked, POST in chunks": (Tokens(), revoked("POST", _BODY, chunked=True)),
    "revoked, 401 without challenge": (Tokens(), revoked("POST", _BODY, refusal=_NO_CHALLENGE)),
    "revoked, 401 that closes": (Tokens(), revoked("POST", _BODY, refusal=_CLOSES)),
    "revoked, 403 with a challenge": (Tokens(), revoked(refusal=_CHALLENGE)),
    "revoked, 50 requests at once": (Tokens(), many),
    "revoked three times": (Tokens(), again_and_again),
    "tokens end before their time": (Tokens(life=4.0), ends_early),
    "revoked, upload of 8 MiB": (Tokens(), large_upload),
    "revoked while the token endpoint is down": (Tokens(), while_down),
    "the refused token comes again": (Tokens(), same_token),
}
"""These need a new token."""
_PASSED: Final[dict[str, tuple[Tokens, Scenario]]] = {
    "revoked during an answer": (Tokens(), running_answer),
    "401 for ever": (Tokens(), passes(_NO_CHALLENGE, 401)),
    "403 for ever, no challenge": (Tokens(), passes(_FORBIDDEN, 403)),
    "403 for ever, insufficient_scope": (Tokens(), passes(_SCOPE, 403)),
    "one path refuses for ever": (Tokens(), beside),
}
ROWS: Final = {**_MENDED, **_PASSED}
_HTTP_ONLY: Final = {
    *("revoked, HEAD", "revoked, DELETE", "revoked, POST", "revoked, POST in chunks"),
    "revoked, upload of 8 MiB",
}


def _cannot(peer: Peer, row: str) -> str:
    """Why the peer has no such feature; empty: it is tried."""
    if not peer.fetches and row in _MENDED:
        return "it fetches no token: a refused one stays in its configuration"
    if peer.speaks == "mcp" and row in _HTTP_ONLY:
        return "it passes on no HTTP requests, only MCP messages of its own client"
    return ""


async def refusal_verdicts(
    peer: Peer, folder: Path, certificate: Path, only: Iterable[str] = ()
) -> list[Verdict]:
    wanted = list(only) or list(ROWS)
    cannot = {row: why for row in wanted if (why := _cannot(peer, row))}
    tried = {row: ROWS[row] for row in wanted if row not in cannot}
    return [
        *(Verdict(REFUSALS, row, peer.name, Result.CANNOT, why) for row, why in cannot.items()),
        *await all_rows(peer, REFUSALS, tried, folder, certificate),
    ]
