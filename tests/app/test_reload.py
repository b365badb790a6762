"""From one configuration to the next while requests run: wholly, or not at all."""

import asyncio
import gc
import json
import socket
from copy import deepcopy
from pathlib import Path

import aiohttp
import pytest

from proxy.commands.log import Redactor
from proxy.commands.serve import reload
from proxy.config.model import Config
from proxy.errors import StartError
from tests.app.in_process import Document, House, ask, house, send
from tests.gateway.wire import Wire
from tests.token_server import invalid_client

LOOPBACK = "127.0.0.1"
PEM = "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n"


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        return int(sock.getsockname()[1])


def can_bind(port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def accepts(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex((LOOPBACK, port)) == 0


def open_sessions() -> int:
    """Ways to token endpoints that nobody has closed."""
    gc.collect()
    return sum(type(each) is aiohttp.ClientSession and not each.closed for each in gc.get_objects())


async def in_flight(it: House) -> Wire:
    """A request that site a holds."""
    wire = await it.caller()
    send(wire, "/hold")
    await asyncio.wait_for(it.a.held.wait(), 5)
    return wire


# -- what is switched --


async def test_a_changed_url_is_used_by_the_next_request(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        port = it.port()
        assert await it.says() == "a"
        it.document["upstreams"]["zeebe"]["url"] = it.b.url
        change = await it.apply()
        assert (change.added, change.changed, change.removed) == ((), ("zeebe",), ())
        assert await it.says() == "b"
        assert it.port() == port
        assert json.loads((await it.look("/status.json")).body)["upstreams"][0]["url"] == it.b.url
        await it.later(lambda: it.a.open == 0)


async def test_a_request_in_flight_ends_under_the_configuration_it_began_with(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        held = await in_flight(it)
        it.document["upstreams"]["zeebe"]["url"] = it.b.url
        it.document["credentials"]["identity"]["client_id"] = "another"
        it.document["shutdown"] = {"grace": 1}
        await it.apply()
        await it.until(lambda: it.proxy.started)
        assert await it.says() == "b"
        await it.clock.advance(200)
        assert (it.a.open, it.upstream().forwarder.tally.in_flight) == (1, 1)
        it.a.release.set()
        assert (await held.message()).body == b"a"
        assert it.a.shown == [b"Bearer token-1"]
        await it.later(lambda: it.a.open == 0)


async def test_a_caller_s_connection_lives_through_reloads(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        wire = await it.caller()
        for site in (it.a, it.b, it.a):
            it.document["upstreams"]["zeebe"]["url"] = site.url
            await it.apply()
            assert (await ask(wire, "/v2/topology")).body.decode() == site.name


async def test_a_new_upstream_gets_its_port_and_a_removed_one_gives_it_up(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        it.document["upstreams"]["operate"] = {"url": it.b.url, "listen": f"{LOOPBACK}:{free_port()}"}
        it.document["upstreams"]["operate"]["credential"] = "identity"
        assert (await it.apply()).added == ("operate",)
        port, idle, wire = it.port("operate"), await it.caller("operate"), await it.caller("operate")
        assert await it.says("operate") == "b"
        assert (await ask(idle, "/")).status == 200
        send(wire, "/hold")
        await asyncio.wait_for(it.b.held.wait(), 5)

        del it.document["upstreams"]["operate"]
        assert (await it.apply()).removed == ("operate",)
        assert await idle.ended() == "closed"
        assert not accepts(port)
        assert list(json.loads((await it.look("/health/ready")).body)["upstreams"]) == ["zeebe"]
        await it.clock.advance(20)
        it.b.release.set()
        answer = await wire.message()
        assert (answer.body, answer.head.get(b"connection")) == (b"b", b"close")
        await it.later(lambda: it.b.open == 0)
        assert can_bind(port)


async def test_a_request_that_waits_for_a_token_is_the_last_at_a_removed_port(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        it.tokens.open.clear()
        it.document["credentials"]["other"] = {**it.document["credentials"]["identity"], "client_id": "b"}
        it.document["upstreams"]["operate"] = {"url": it.b.url, "listen": 0, "credential": "other"}
        await it.apply()
        operate, wire = it.upstream("operate").forwarder, await it.caller("operate")
        send(wire, "/")
        await it.until(lambda: operate.busy)
        del it.document["upstreams"]["operate"], it.document["credentials"]["other"]
        await it.apply()
        it.tokens.open.set()
        answer = await wire.message()
        assert (answer.body, answer.head.get(b"connection")) == (b"b", b"close")


async def test_what_still_runs_at_a_removed_port_is_cut_when_the_grace_is_over(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        it.document["upstreams"]["operate"] = {"url": it.b.url, "listen": "localhost:0"}
        it.document["upstreams"]["operate"]["credential"] = "identity"
        it.document["shutdown"] = {"grace": 7}
        await it.apply()
        wire = await it.caller("operate")
        send(wire, "/hold")
        await asyncio.wait_for(it.b.held.wait(), 5)
        del it.document["upstreams"]["operate"]
        await it.apply()
        await it.clock.advance(6.9)
        assert it.b.open == 1
        await it.clock.advance(0.2)
        assert await wire.ended() == "reset"
        await it.later(lambda: it.b.open == 1 and not it.proxy.busy)


async def test_two_upstreams_swap_their_ports(tmp_path: Path) -> None:
    ports = free_port(), free_port()

    def swapped(it: House, *order: int) -> None:
        it.document["upstreams"] = {
            name: {"url": site.url, "listen": ports[place], "credential": "identity", "api": "other"}
            for name, site, place in zip(("one", "two"), (it.a, it.b), order, strict=True)
        }

    async with house(tmp_path, lambda it: swapped(it, 0, 1)) as it:
        wire = await it.caller("one")
        assert (await ask(wire, "/")).body == b"a"
        swapped(it, 1, 0)
        await it.apply()
        assert (it.port("one"), it.port("two")) == ports[::-1]
        assert (await it.says("one"), await it.says("two")) == ("a", "b")
        assert (await ask(wire, "/")).body == b"b"


@pytest.mark.parametrize(("before", "after"), [("localhost", LOOPBACK), (LOOPBACK, "localhost")])
async def test_a_port_is_kept_where_its_addresses_become_fewer_or_more(
    tmp_path: Path, before: str, after: str
) -> None:
    port = free_port()

    def at(it: House, host: str) -> None:
        it.document["upstreams"]["zeebe"]["listen"] = f"{host}:{port}"

    async with house(tmp_path, lambda it: at(it, before)) as it:
        assert await it.says() == "a"
        at(it, after)
        await it.apply()
        await it.clock.advance(1)
        assert await it.says() == "a"
        with socket.socket(socket.AF_INET6) as sock:
            assert (sock.connect_ex(("::1", port)) == 0) == (after == "localhost")
    assert not accepts(port)


async def test_a_unix_socket_stays_through_reloads(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    path = tmp_path / "s"

    def at_path(it: House) -> None:
        it.document["upstreams"]["zeebe"]["listen"] = f"unix:{path}"

    async with house(tmp_path, at_path) as it:
        wire, inode = await it.caller(), path.stat().st_ino
        for site in (it.b, it.a):
            it.document["upstreams"]["zeebe"]["url"] = site.url
            await it.apply()
            assert (await ask(wire, "/")).body.decode() == await it.says() == site.name
        assert path.stat().st_ino == inode
        it.document["upstreams"]["zeebe"]["listen"] = "localhost:0"
        await it.apply()
        await it.later(lambda: not path.exists())
        assert await it.says() == "a"


async def test_the_guard_of_the_next_request_is_the_new_one(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        wire = await it.caller()
        it.document["guard"] = {"caller_token": "canary-caller-token", "allowed_hosts": ["camunda"]}
        await it.apply()
        assert (await ask(wire, "/")).status == 401
        shown = "X-Proxy-Token: canary-caller-token"
        assert (await ask(wire, "/", shown)).status == 200
        assert "canary-caller-token" in list(it.proxy.known_secrets())
        it.document["guard"]["caller_token"] = "canary-other-caller-token"
        await it.apply()
        assert (await ask(wire, "/", shown)).status == 401
        del it.document["guard"]
        await it.apply()
        assert (await ask(wire, "/")).status == 200


async def test_the_admin_port_moves_and_probes_get_theirs(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        before = int(it.proxy.admin_address.rpartition(":")[2])
        admin, probes = free_port(), free_port()
        it.document["admin"] = {"listen": f"{LOOPBACK}:{admin}", "probe_listen": f"{LOOPBACK}:{probes}"}
        change = await it.apply()
        assert (change.changed, change.anything) == ((), True)
        assert it.proxy.admin_address == f"{LOOPBACK}:{admin}"
        assert not accepts(before)
        assert (await it.look("/status.json")).status == 200
        assert (await ask(await it.caller(port=probes), "/health/ready")).status == 200
        assert (await ask(await it.caller(port=probes), "/status.json")).status == 404
        assert (await it.ask()).status == 200
        assert it.a.open == 1  # its connection was not touched


async def test_the_same_once_more_changes_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        assert await it.says() == "a"
        served = it.proxy.served
        change = await it.apply()
        assert not change.anything
        assert it.proxy.served == served
        assert await it.says() == "a"
        assert it.a.open == 1


# -- all or nothing --


async def test_a_fault_while_the_configuration_is_read_is_a_refused_reload(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Config:
        raise RuntimeError("a library that fails")

    async with house(tmp_path) as it:
        served = it.proxy.served
        await reload(it.proxy, broken, Redactor())
        assert it.proxy.state.reloads == {"refused": 1}
        assert it.proxy.served == served
        assert await it.says() == "a"
    assert "a library that fails" in caplog.text


async def test_what_cannot_be_had_leaves_everything_as_it_was(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    path, good, admin = tmp_path / "s", free_port(), free_port()
    async with house(tmp_path) as it:
        await it.says()  # so that the state of the upstream does not change any more
        wire, snapshot, served = await it.caller(), (await it.look("/health/ready")).body, it.proxy.served
        with socket.socket() as sock:
            sock.bind((LOOPBACK, 0))
            sock.listen()
            taken = sock.getsockname()[1]
            (tmp_path / "no.pem").write_text(PEM)
            shared = {"url": it.b.url, "api": "other", "credential": "other"}
            it.document["upstreams"] |= {
                "zeebe": {"url": it.b.url, "listen": good, "credential": "other"},
                "socket": {**shared, "listen": f"unix:{path}"},
                "taken": {**shared, "listen": taken},
                "tls": {
                    **shared,
                    "url": "https://localhost:1",
                    "listen": 0,
                    "tls": {"ca_file": str(tmp_path / "no.pem")},
                },
            }
            it.document["credentials"] = {
                "other": {**it.document["credentials"]["identity"], "client_id": "other"}
            }
            it.document["admin"] = {"listen": f"{LOOPBACK}:{admin}"}
            tasks, sessions = asyncio.all_tasks(), open_sessions()
            with pytest.raises(StartError) as caught:
                await it.apply()
        problems = str(caught.value).splitlines()
        assert [problem.partition(":")[0] for problem in problems] == [
            "upstreams.taken.listen",
            "upstreams.tls.tls.ca_file",
        ]
        assert open_sessions() == sessions
        assert can_bind(good)
        assert can_bind(admin)
        assert not path.exists()
        assert it.proxy.served == served
        assert (await ask(wire, "/")).body.decode() == await it.says() == "a"
        assert (await it.look("/health/ready")).body == snapshot
        assert len(it.tokens.asked) == 1
        assert not {task.get_name() for task in asyncio.all_tasks() - tasks if "refresh" in task.get_name()}
        del it.document["upstreams"]["taken"], it.document["upstreams"]["tls"]
        await it.apply()
        assert await it.says() == "b"


# -- credentials --


async def test_an_unchanged_credential_is_not_fetched_again(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        keeper = it.upstream().keeper
        due = keeper.snapshot().next_attempt
        it.document["upstreams"]["zeebe"]["url"] = it.b.url
        it.document["upstreams"]["operate"] = {"url": it.a.url, "listen": 0, "credential": "identity"}
        it.document["credentials"]["identity"]["wait"] = "3s"
        await it.apply()
        assert {served.keeper for served in it.proxy.served} == {keeper}
        assert keeper.snapshot().next_attempt == due
        assert await it.says() == "b"
        assert await it.says("operate") == "a"
        assert len(it.tokens.asked) == 1


@pytest.mark.parametrize("way", ["another name", "another timeout"])
async def test_a_token_is_handed_over_where_it_would_be_the_same(tmp_path: Path, way: str) -> None:
    async with house(tmp_path) as it:
        credentials = it.document["credentials"]
        if way == "another name":
            credentials["renamed"] = credentials.pop("identity")
            it.document["upstreams"]["zeebe"]["credential"] = "renamed"
        else:
            credentials["identity"]["timeout"] = "5s"
        before = it.upstream().keeper
        await it.apply()
        assert it.upstream().keeper is not before
        assert (await it.look("/health/ready")).status == 200
        assert await it.says() == "a"
        assert it.a.shown == [b"Bearer token-1"]
        assert len(it.tokens.asked) == 1


async def test_a_refused_client_stays_in_its_slow_lane(tmp_path: Path) -> None:
    def refusing(it: House) -> None:
        it.tokens.always = invalid_client

    async with house(tmp_path, refusing) as it:
        await it.until(lambda: len(it.tokens.asked) == 1)
        it.document["upstreams"]["zeebe"]["url"] = it.b.url
        await it.apply()
        await it.clock.advance(2.5)
        assert len(it.tokens.asked) == 1
        await it.clock.advance(1)
        await it.until(lambda: len(it.tokens.asked) == 2)


async def test_another_secret_is_used_at_once_and_the_old_one_hidden_meanwhile(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        held = await in_flight(it)
        it.document["credentials"]["identity"]["client_secret"] = "canary-another-secret"
        await it.apply()
        known = list(it.proxy.known_secrets())
        assert {"canary-another-secret", "token-1"} <= set(known)
        assert await it.says() == "a"
        assert it.a.shown == [b"Bearer token-1", b"Bearer token-2"]
        assert b"canary-another-secret" in it.tokens.asked[1].body
        it.a.release.set()
        assert (await held.message()).body == b"a"
        await it.later(lambda: "token-1" not in list(it.proxy.known_secrets()))
        assert len(it.tokens.asked) == 2


async def test_a_new_credential_is_not_waited_for_and_readiness_tells(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        it.tokens.always = invalid_client
        it.document["credentials"]["identity"]["client_id"] = "unknown"
        await it.apply()
        await it.until(lambda: it.proxy.started)
        assert (await it.look("/health/ready")).status == 503
        assert (await it.ask()).status == 502
        it.document["credentials"]["identity"]["client_id"] = "orchestration"
        await it.apply()
        assert (await it.look("/health/ready")).status == 200  # the token of before is still there
        assert await it.says() == "a"


async def test_requests_under_way_use_the_keeper_that_fetches_now(tmp_path: Path) -> None:
    """chaos.md C4: two keepers of one client would fetch from one token endpoint, each at its own pace."""
    async with house(tmp_path) as it:
        held = await in_flight(it)
        it.document["credentials"]["identity"]["timeout"] = "7s"
        await it.apply()
        for _ in range(9):
            await it.clock.advance(60)
        assert len(it.tokens.asked) == 3  # at the start, after 225 s and 450 s; two keepers made it 5
        it.a.release.set()
        assert (await held.message()).body == b"a"


# -- over many --


async def test_counters_do_not_go_back(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        asked = 0

        async def counted() -> tuple[float, ...]:
            return (
                await it.metric("requests_total", upstream="zeebe", code="2xx"),
                await it.metric("upstream_connect_seconds_count", upstream="zeebe"),
                await it.metric("credential_fetches_total", credential="identity"),
            )

        before = await counted()
        changes: list[tuple[Document, str, object]] = [
            (it.document["upstreams"]["zeebe"], "url", it.b.url),
            (it.document["credentials"]["identity"], "timeout", "5s"),
            (it.document["credentials"]["identity"], "client_id", "another"),
            (it.document, "guard", {"allowed_hosts": ["camunda"]}),
        ]
        for where, key, value in changes:
            where[key] = value
            await it.apply()
            await it.until(lambda: it.proxy.started)
            await it.says()
            asked += 1
            after = await counted()
            assert all(new >= old for new, old in zip(after, before, strict=True)), (before, after)
            before = after
        assert list(before) == [asked, 4.0, 2.0]
        await it.clock.advance(1)
        assert await it.metric("upstream_connections", upstream="zeebe") == 1


async def test_fifty_reloads_leave_nothing_behind(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        one = it.document
        two = deepcopy(one)
        two["upstreams"]["zeebe"]["url"] = it.b.url
        two["upstreams"]["operate"] = {"url": it.b.url, "listen": 0, "credential": "other"}
        two["credentials"]["other"] = {**one["credentials"]["identity"], "client_id": "other"}
        two["credentials"]["identity"]["client_secret"] = "canary-another-secret"
        two["admin"] = {"listen": "127.0.0.1:0", "probe_listen": "127.0.0.1:0"}
        wire = await it.caller()

        async def once(document: dict[str, object], says: bytes) -> None:
            it.document = document
            await it.apply()
            await it.until(lambda: it.proxy.started)
            assert (await ask(wire, "/")).body == says
            await it.clock.advance(0.2)
            await it.until(lambda: not it.b.open if says == b"a" else not it.a.open)

        async def left() -> tuple[int, int]:
            await it.until(lambda: len(asyncio.all_tasks()) == tasks)
            gc.collect()
            return len(tuple(Path("/proc/self/fd").iterdir())), len(asyncio.all_tasks())

        for document, says in ((two, b"b"), (one, b"a")):
            await once(document, says)
        tasks = len(asyncio.all_tasks())
        before = await left()
        tally = it.upstream().forwarder.tally
        for _ in range(25):
            await once(two, b"b")
            await once(one, b"a")
        assert await left() == before
        assert it.upstream().forwarder.tally is tally
        assert len(tally.pools) == 1
