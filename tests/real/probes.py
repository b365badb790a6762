"""The same raw requests for a stand-in and the simulated Camunda, and what their answers must share."""

import re
from collections.abc import Mapping
from http.cookies import SimpleCookie
from typing import Any, NamedTuple

import aiohttp

CSRF_HEADER = "X-CSRF-TOKEN"


class Seen(NamedTuple):
    """Of one answer, what a proxy decides by.

    Attributes:
        kind: media type; empty where there is no body.
        challenge: scheme and error code of WWW-Authenticate; empty where there is none.
        cookies: names, sorted; one name's Set-Cookie fields in their order; `-name` is deleted.
        csrf: it has a CSRF header.
    """

    status: int
    kind: str
    challenge: str
    cookies: tuple[str, ...]
    csrf: bool


class Visitor:
    """Sends requests to one server without any proxy, with the cookies that are named and no others."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self.last: Mapping[str, str] = {}  # cookies of the last answer
        self.token = ""  # its CSRF header

    async def ask(self, method: str, path: str, **how: Any) -> Seen:
        async with self._session.request(method, self._url + path, allow_redirects=False, **how) as answer:
            body = await answer.read()
            fields = answer.headers.getall("Set-Cookie", [])
            self.token = answer.headers.get(CSRF_HEADER, "")
            self.last = dict(map(_pair, fields))
            return Seen(
                answer.status,
                answer.content_type if body else "",
                _challenge(answer.headers.get("WWW-Authenticate", "")),
                tuple(sorted(map(_change, fields), key=lambda change: change.strip("-"))),
                CSRF_HEADER in answer.headers,
            )


def _pair(field: str) -> tuple[str, str]:
    ((name, morsel),) = SimpleCookie(field).items()
    return name, morsel.value


def _change(field: str) -> str:
    name, value = _pair(field)
    return name if value else f"-{name}"


def _challenge(value: str) -> str:
    scheme, _, rest = value.partition(" ")
    error = re.search('error="([^"]*)"', rest)
    return f"{scheme} {error[1]}" if error else scheme


async def of_sessions(visitor: Visitor, login: str, user: Mapping[str, str]) -> dict[str, Seen]:
    """Whatever a login, its session and its CSRF pair can meet. `login` is the path."""
    logout = login.replace("login", "logout")
    seen: dict[str, Seen] = {}

    async def ask(what: str, method: str, path: str, pair: str = "", /, **how: Any) -> None:
        headers = how.pop("headers", {}) | ({CSRF_HEADER: pair} if pair else {})
        if "cookies" in how:
            named = "; ".join(f"{name}={value}" for name, value in how.pop("cookies").items())
            headers |= {"Cookie": named}
        seen[what] = await visitor.ask(method, path, headers=headers, **how)

    async def log_in(what: str) -> tuple[dict[str, str], str]:
        """All cookies of a login, and the token that goes with them."""
        await ask(f"{what}: page", "GET", "/login")
        before, token = visitor.last, visitor.token
        await ask(what, "POST", login, token, cookies=before, data=user)
        return {**before, **visitor.last}, visitor.token

    await ask("stranger reads", "GET", "/v2/topology")
    await ask("stranger searches", "POST", "/v2/process-instances/search", json={})
    await ask("stranger logs out", "POST", logout)
    await ask("the other login", "POST", "/login" if login == "/api/login" else "/api/login", data=user)
    await ask("the other login's page", "GET", "/api/login")

    await ask("login without a token", "POST", login, data=user)
    await ask("page before a wrong login", "GET", "/login")
    await ask(
        "wrong password", "POST", login, visitor.token, cookies=visitor.last, data={**user, "password": "x"}
    )
    jar, token = await log_in("login")
    (session,) = [name for name in jar if name != CSRF_HEADER]
    alone = {session: jar[session]}

    await ask("reads", "GET", "/v2/topology", cookies=jar)
    await ask("asks for the head", "HEAD", "/v2/topology", cookies=jar)
    await ask("reads what is not there", "GET", "/v2/nothing", cookies=jar)
    await ask("reads without the CSRF cookie", "GET", "/v2/topology", cookies=alone)
    await ask("searches", "POST", "/v2/process-instances/search", token, cookies=jar, json={})
    await ask("searches without the header", "POST", "/v2/process-instances/search", cookies=jar, json={})
    await ask("searches without a pair", "POST", "/v2/process-instances/search", cookies=alone, json={})
    bare = jar[CSRF_HEADER]
    await ask("shows the cookie's value", "POST", "/v2/process-instances/search", bare, cookies=jar, json={})
    swagger = {"Referer": "http://127.0.0.1/swagger-ui/index.html"}
    await ask("from Swagger", "POST", "/v2/process-instances/search", cookies=jar, headers=swagger, json={})

    await ask("logs out", "POST", logout, token, cookies=jar)
    pair = {CSRF_HEADER: bare}
    await ask("reads under a dead session", "GET", "/v2/topology", cookies=jar)
    await ask(
        "searches under a dead session", "POST", "/v2/process-instances/search", token, cookies=jar, json={}
    )
    await ask(
        "searches, dead, without the header", "POST", "/v2/process-instances/search", cookies=jar, json={}
    )
    await ask(
        "searches with a pair alone", "POST", "/v2/process-instances/search", token, cookies=pair, json={}
    )
    await log_in("logs in again")
    return seen


async def of_basic(visitor: Visitor, username: str, password: str) -> dict[str, Seen]:
    """HTTP Basic, on the API."""
    right = aiohttp.encode_basic_auth(username, password)
    shown = {
        "right": right,
        "wrong password": aiohttp.encode_basic_auth(username, "x"),
        "lower case": right.replace("Basic", "basic"),
        "bad Base64": "Basic %%%",
    }
    return await _each(visitor, shown, "/v2/topology", "/v2/process-instances/search")


async def of_tokens(visitor: Visitor, good: str, foreign: str, search: str) -> dict[str, Seen]:
    """Bearer tokens, on the API; `foreign` is for another audience, `search` a path that takes a POST."""
    head, claims, signature = good.split(".")
    turned = ("A" if signature[0] != "A" else "B") + signature[1:]
    shown = {
        "good": f"Bearer {good}",
        "lower case": f"bearer {good}",
        "other audience": f"Bearer {foreign}",
        "broken signature": f"Bearer {head}.{claims}.{turned}",
        "garbage": "Bearer garbage",
        "Basic": aiohttp.encode_basic_auth("demo", "demo"),
    }
    seen = await _each(visitor, shown, "/v2/nothing", search)
    for method, path in (("GET", "/v2/nothing"), ("POST", search), ("GET", "/v2/license")):
        seen[f"none: {method} {path}"] = await visitor.ask(method, path)
    return seen


async def _each(visitor: Visitor, shown: Mapping[str, str], reads: str, search: str) -> dict[str, Seen]:
    """A GET and a POST with each of these Authorizations."""
    seen: dict[str, Seen] = {}
    for what, authorization in shown.items():
        headers = {"Authorization": authorization}
        seen[f"{what}: GET"] = await visitor.ask("GET", reads, headers=headers)
        seen[f"{what}: POST"] = await visitor.ask("POST", search, headers=headers, json={})
    return seen
