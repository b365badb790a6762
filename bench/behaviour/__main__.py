"""bench/conformance: judges each proxy, and writes bench/peers.md and bench/peers.tsv."""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Final

from bench.behaviour.http_rows import http_verdicts
from bench.behaviour.machine import described
from bench.behaviour.page_rows import page_verdicts
from bench.behaviour.peers import OURS, PEERS, DidNotStart, Peer
from bench.behaviour.refusal_rows import refusal_verdicts
from bench.behaviour.table import failures, markdown
from bench.behaviour.token_rows import TOKENS, token_verdicts
from bench.behaviour.upload_rows import upload_verdicts
from bench.behaviour.verdict import Result, Verdict
from bench.peers import BENCH
from bench.process import open_files
from tests.certificates import certificate

Pki = tuple[Path, Path]
Judge = Callable[[Peer, Path, Pki, Sequence[str]], Awaitable[list[Verdict]]]

JUDGES: Final[dict[str, Judge]] = {
    "http": lambda peer, folder, pki, only: http_verdicts(peer, folder, pki[0], only),
    "pages": lambda peer, folder, pki, only: page_verdicts(peer, folder, pki[0], only),
    "uploads": upload_verdicts,
    "refusals": lambda peer, folder, pki, only: refusal_verdicts(peer, folder, pki[0], only),
    "tokens": lambda peer, folder, pki, only: token_verdicts(peer, folder, pki[0], only),
}

_WAITING: Final = {"refusals", "tokens"}
"""These wait most of the time: all peers at once, beside the others."""


def main() -> int:
    """0, or 1 where ours failed a row.

    Rows of the token endpoint do not count: our back-off is random, up to 30 s, and a row waits for 15 s.
    """
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    open_files()
    peers = [PEERS[name] for name in PEERS if name in options.peers]
    for absent in [peer for peer in peers if not peer.available]:
        print(f"{absent.title} is not installed: left out")
        peers.remove(absent)
    verdicts = asyncio.run(_judged(peers, options.rows, options.only))
    whole = not options.only and set(options.rows) == set(JUDGES) and set(options.peers) == set(PEERS)
    folder = options.write or (BENCH if whole else None)
    if folder is not None:
        path = BENCH / "results" / "reference.json"
        reference = json.loads(path.read_text()) if path.exists() else {}
        today = {"date": f"{datetime.now(UTC):%Y-%m-%d}"}
        (folder / "peers.md").write_text(markdown(verdicts, described() | today, reference))
        (folder / "peers.tsv").write_text(failures(verdicts))
        print(f"written: {folder / 'peers.md'} and peers.tsv")
    else:
        print(failures(verdicts), end="")
    wrong = [each for each in verdicts if each.peer == OURS and each.result is Result.FAILED]
    return int(any(each.group != TOKENS for each in wrong))


async def _judged(peers: Sequence[Peer], rows: Sequence[str], only: Sequence[str]) -> list[Verdict]:
    verdicts: list[Verdict] = []
    with tempfile.TemporaryDirectory(prefix="behaviour-") as folder:
        pki = certificate(Path(folder) / "pki", "127.0.0.1")

        async def one(name: str, peer: Peer) -> list[Verdict]:
            begun = time.perf_counter()
            found = await _verdicts(JUDGES[name], peer, Path(folder) / peer.name, pki, only)
            passed = sum(each.result is Result.PASSED for each in found)
            tried = sum(each.result is not Result.CANNOT for each in found)
            said = f"{passed} of {tried} passed, {len(found) - tried} cannot be tried"
            print(f"{name}, {peer.title}: {said} ({time.perf_counter() - begun:.0f} s)", flush=True)
            return found

        async def working() -> None:
            for name in rows:
                for peer in peers if name not in _WAITING else ():
                    verdicts.extend(await one(name, peer))

        async def waiting() -> None:
            for name in rows:
                if name in _WAITING:
                    found = await asyncio.gather(*(one(name, peer) for peer in peers))
                    verdicts.extend(chain.from_iterable(found))

        await asyncio.gather(working(), waiting())
    return verdicts


async def _verdicts(judge: Judge, peer: Peer, folder: Path, pki: Pki, only: Sequence[str]) -> list[Verdict]:
    """Try again where the peer did not start, as a port may have been taken meanwhile: that is no verdict.

    Raises:
        DidNotStart: or a group that holds it: it did not start the second time either.
    """
    try:
        return await judge(peer, folder, pki, only)
    except DidNotStart as error:
        why: BaseException = error
    except BaseExceptionGroup as group:
        if group.subgroup(DidNotStart) is None:
            raise
        why = group
    print(f"{peer.title} did not start, and is tried again: {why}", file=sys.stderr, flush=True)
    return await judge(peer, folder / "again", pki, only)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("bench/conformance", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROWS", help=f"of {', '.join(JUDGES)}; default: all")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"of {','.join(PEERS)}; default: all")
    parser.add_argument(
        "--only", action="append", default=[], metavar="ROW", help="only the row of this name"
    )
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="where peers.md and peers.tsv go")
    options = parser.parse_args()
    options.rows = options.rows or list(JUDGES)
    options.peers = options.peers.split(",")
    if unknown := set(options.rows) - set(JUDGES):
        parser.error(f"no such rows: {', '.join(sorted(unknown))}")
    if unknown := set(options.peers) - set(PEERS):
        parser.error(f"no such peer: {', '.join(sorted(unknown))}")
    return options


if __name__ == "__main__":
    sys.exit(main())
