"""As a person: real identity providers, a real browser, and the refresh token's whole life."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from proxy.clock import pause
from tests.browser.chromium import Browser, chromium
from tests.real.conftest import only
from tests.real.losing import losing_front
from tests.real.people import LOCAL_ONLY, Flow, Person, command, log_in, person
from tests.real.realm_admin import realm_admin
from tests.real.servers import Issuer, Keycloak, StandIn
from tests.real.sidecar import Sidecar, sidecar
from tests.real.traffic import CLOCK, GOOD, eventually, kind_of, tally, traffic

pytestmark = pytest.mark.real

NEEDED = (503, "login_needed")
# Few browsers at once.
each_flow = pytest.mark.parametrize(
    "flow", [pytest.param(flow, marks=pytest.mark.xdist_group(flow)) for flow in ("device", "browser")]
)
at_keycloak = pytest.mark.xdist_group("person")


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    async with chromium(tmp_path / "profile", LOCAL_ONLY) as started:
        yield started


async def is_good(proxy: Sidecar) -> bool:
    return kind_of(await proxy.call()) == GOOD


async def is_needed(proxy: Sidecar) -> bool:
    return kind_of(await proxy.call()) == NEEDED


def config_of(folder: Path) -> Path:
    """The file of the proxy that was started there last."""
    return max(folder.glob("127.0.0.1*.yaml"), key=lambda path: path.stat().st_mtime_ns)


async def shown(proxy: Sidecar) -> str:
    """All that the proxy says of itself."""
    pages = [await proxy.look(path) for path in ("/status.json", "/metrics", "/")]
    return "\n".join([*proxy.said, await proxy.doctor(), *(page.body.decode() for page in pages)])


def nothing_secret(who: Person, *texts: str) -> None:
    assert not [secret for secret in who.secrets for text in texts if secret in text]
    assert not any("eyJ" in text for text in texts)


async def refreshed(who: Person, proxy: Sidecar, times: int) -> None:
    """Wait until the proxy has refreshed so often, each time with another refresh token."""
    seen = {who.refresh_token}

    async def often_enough() -> bool:
        seen.add(who.refresh_token)
        return len(seen) > times

    await eventually(often_enough, within=30.0 * times)


@each_flow
@only("8.10")
async def test_a_person_logs_in_requests_pass_for_many_refreshes_and_logout_revokes(
    issuer: Issuer, standin: StandIn, flow: Flow, browser: Browser, tmp_path: Path
) -> None:
    who = await person(issuer, flow, tmp_path)
    talkative = {"log": {"level": "debug"}}
    async with sidecar(tmp_path, standin.url("zeebe"), more=talkative, **who.credential) as proxy:
        await eventually(proxy.live)
        await eventually(lambda: is_needed(proxy))
        answer = await proxy.call()
        assert "camunda-auth-proxy login the-one" in answer.json["hint"]
        begun = await log_in(browser, who, config_of(tmp_path))
        assert "Logged in" in begun.out, begun.err
        await eventually(lambda: is_good(proxy), within=10)
        async with traffic(proxy.call, proxy.call) as answers:
            await refreshed(who, proxy, 2)
        assert set(tally(answers)) == {GOOD}
        token = who.refresh_token
        async with command("logout", config_of(tmp_path)) as ended:
            assert await ended.ended() == 0, ended.err
        await eventually(lambda: is_needed(proxy), within=5)
        assert "Its refresh token is revoked." in ended.out
        assert not who.logged_in
        assert await is_refused(issuer, who, token)
        nothing_secret(who, begun.out, begun.err, ended.out, ended.err, await shown(proxy))


async def is_refused(issuer: Issuer, who: Person, token: str) -> bool:
    """Whether the provider takes a refresh token no more."""
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": who.credential["client_id"]}
    if (secret := who.credential.get("client_secret_file")) is not None:
        form["client_secret"] = Path(secret).read_text()
    async with aiohttp.ClientSession() as session, session.post(issuer.token_url, data=form) as answer:
        return answer.status == 400 and (await answer.json())["error"] == "invalid_grant"


@each_flow
@only("8.10")
async def test_a_person_who_denies_is_not_logged_in(
    issuer: Issuer, standin: StandIn, flow: Flow, browser: Browser, tmp_path: Path
) -> None:
    if isinstance(issuer, Keycloak) and flow == "browser":
        pytest.skip("its login page has no way to say no")
    who = await person(issuer, flow, tmp_path, name="careful")
    async with sidecar(tmp_path, standin.url("zeebe"), **who.credential) as proxy:
        await eventually(proxy.live)
        begun = await log_in(browser, who, config_of(tmp_path), deny=True)
        assert "denied" in begun.err, (begun.out, begun.err)
        assert not who.logged_in


@at_keycloak
@only("8.10")
async def test_a_stolen_refresh_token_that_is_used_ends_the_login_in_the_right_words(
    keycloak: Keycloak, standin: StandIn, browser: Browser, tmp_path: Path
) -> None:
    who = await person(keycloak, "device", tmp_path)
    async with sidecar(tmp_path, standin.url("zeebe"), **who.credential) as proxy:
        await eventually(proxy.live)
        await log_in(browser, who, config_of(tmp_path))
        await eventually(lambda: is_good(proxy))
        assert not await is_refused(keycloak, who, who.refresh_token)  # the thief's refresh
        await eventually(lambda: is_needed(proxy), within=60)
        answer = await proxy.call()
        assert "The login of credentials.the-one has ended" in answer.json["detail"]
        assert any("Maximum allowed refresh token reuse exceeded" in line for line in proxy.said)
        assert any("camunda-auth-proxy login the-one" in line for line in proxy.said)
        before = keycloak.refreshes(who.name)
        for _ in range(5):
            assert kind_of(await proxy.call()) == NEEDED
        assert keycloak.refreshes(who.name) == before  # nothing is sent any more
        again = await log_in(browser, who, config_of(tmp_path))
        assert "Logged in" in again.out
        await eventually(lambda: is_good(proxy), within=10)


@pytest.mark.parametrize(
    ("offline", "says"), [(False, "Session not active"), (True, "Offline user session not found")]
)
@at_keycloak
@only("8.10")
async def test_a_session_that_the_admin_ends_is_told_with_the_command(
    keycloak: Keycloak, standin: StandIn, browser: Browser, tmp_path: Path, offline: bool, says: str
) -> None:
    who = await person(keycloak, "browser", tmp_path, offline=offline)
    async with sidecar(tmp_path, standin.url("zeebe"), **who.credential) as proxy:
        await eventually(proxy.live)
        await log_in(browser, who, config_of(tmp_path))
        await eventually(lambda: is_good(proxy))
        async with realm_admin(keycloak) as admin:
            await admin.end_sessions(who.name, offline=offline)
        await eventually(lambda: is_needed(proxy), within=60)
        assert any(says in line and "camunda-auth-proxy login the-one" in line for line in proxy.said)
        status = (await proxy.look("/status.json")).json
        (credential,) = status["credentials"]
        assert "camunda-auth-proxy login the-one" in credential["reason"]
        assert "camunda-auth-proxy login the-one" in await proxy.doctor()
        who.secrets.update(path.read_text() for path in who.folder.glob("*.token"))
        nothing_secret(who, await shown(proxy))


@pytest.mark.waits
@at_keycloak
@only("8.10")
async def test_two_proxies_of_one_person_never_use_one_refresh_token_twice(
    keycloak: Keycloak, standin: StandIn, browser: Browser, tmp_path: Path
) -> None:
    """Keycloak would end the session at the first such use."""
    who = await person(keycloak, "device", tmp_path)
    folders = [tmp_path / name for name in ("one", "two")]
    async with AsyncExitStack() as stack:
        proxies = []
        for folder in folders:
            folder.mkdir()
            made = sidecar(folder, standin.url("zeebe"), **who.credential)
            proxies.append(await stack.enter_async_context(made))
        for proxy in proxies:
            await eventually(proxy.live)
        await log_in(browser, who, config_of(folders[0]))
        for proxy in proxies:
            await eventually(lambda proxy=proxy: is_good(proxy), within=10)  # type: ignore[misc]
        async with traffic(*(proxy.call for proxy in proxies)) as answers:
            await pause(CLOCK, 45)
        assert set(tally(answers)) == {GOOD}
        assert all([await proxy.fetches() >= 4 for proxy in proxies])
        assert who.known["ended_at"] is None


@pytest.mark.waits
@at_keycloak
@only("8.10")
async def test_a_refresh_whose_answer_is_lost_ends_the_login_in_words_that_say_so(
    keycloak: Keycloak, standin: StandIn, browser: Browser, tmp_path: Path
) -> None:
    """The token endpoint is behind a front, which forwards one refresh and keeps its answer."""
    who = await person(keycloak, "device", tmp_path)
    async with losing_front(keycloak.token_url) as front:
        base = keycloak.url + "/protocol/openid-connect"
        credential = {name: value for name, value in who.credential.items() if name != "issuer_url"}
        credential |= {"token_url": front.url, "device_authorization_url": f"{base}/auth/device"}
        credential["revocation_url"] = f"{base}/revoke"
        async with sidecar(tmp_path, standin.url("zeebe"), **credential) as proxy:
            await eventually(proxy.live)
            await log_in(browser, who, config_of(tmp_path))
            await eventually(lambda: is_good(proxy))
            front.loses = True
            await eventually(lambda: is_needed(proxy), within=90)
            assert front.lost == 1
            (line, *_) = [line for line in proxy.said if "was lost" in line]
            assert "the answer to the refresh at" in line
            assert "Maximum allowed refresh token reuse exceeded" in line
            assert "camunda-auth-proxy login the-one" in line
