"""Pure: what the answers to the login of a session mean, in words for who must change something."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from proxy.commands.doctor.finding import Why, split
from proxy.commands.doctor.recording import Exchange
from proxy.outgoing.causes import cleaned, shown

_IDENTITY: Final = ("/realms/", "/oauth2/", "/authorize", "/oauth2/authorization")


@dataclass(frozen=True, slots=True)
class LoginAsked:
    """What was configured for a login.

    Attributes:
        section: `credentials.NAME`.
        base: where it logs in.
        setting: that holds `base`: `credentials.NAME.login_url` or `upstreams.NAME.url`.
        dialect: `auto`, `login`, `api-login`.
    """

    section: str
    base: str
    setting: str
    username: str
    dialect: str


def of_login(exchanges: Sequence[Exchange], rejected: bool, message: str, asked: LoginAsked) -> Why:
    """Return why there is no session.

    Args:
        exchanges: of the attempt, in their order.
        rejected: whether the server refused user or password.
        message: of the login, if there is nothing better to say.
    """
    at = shown(asked.base)
    if rejected:
        return Why(
            "login_password",
            f"The server at {at} refused the user `{cleaned(asked.username)}` or the password. Correct"
            f" {asked.section}.username and {asked.section}.password, and check by a login in the browser.",
        )
    posts = [each for each in exchanges if each.method == "POST" and each.reply is not None]
    for each in posts:
        if each.reply is not None and (why := _of_post(each, asked, at)) is not None:
            return why
    if posts and all(each.reply is not None and each.reply.status in (404, 405) for each in posts):
        return Why(
            "login_path",
            f"{at} has neither POST /login (8.8 and later) nor POST /api/login (8.2 to 8.7). Correct"
            f" {asked.setting}: it is the base URL of the Orchestration Cluster, Operate or Tasklist, with a"
            " context path if there is one, and without /v1, /v2, /operate or /tasklist.",
        )
    if posts:
        said = ", ".join(
            f"POST {split(each.url).path} answered {each.reply.status}" for each in posts if each.reply
        )
        return Why(
            "login_unknown",
            f"{at} has no login that the proxy knows ({said}). Check {asked.setting} and"
            f" {asked.section}.dialect ({asked.dialect}); a cluster with an identity provider (OIDC) has no"
            " such login and needs type: oauth2.",
        )
    return Why("login", f"{at} ({asked.setting}): {cleaned(message)}.")


def _of_post(each: Exchange, asked: LoginAsked, at: str) -> Why | None:
    reply = each.reply
    assert reply is not None  # noqa: S101
    challenge = (reply.get("www-authenticate") or "").lower()
    location = reply.get("location") or ""
    path = split(each.url).path
    if challenge.startswith("basic"):
        return Why(
            "login_wants_basic",
            f"{at} answers POST {path} with a challenge for HTTP Basic: it has no sessions for this. Use"
            f" type: basic in {asked.section}.",
        )
    elsewhere = split(location).netloc not in ("", split(each.url).netloc)
    if challenge.startswith("bearer") or elsewhere or any(part in location for part in _IDENTITY):
        to = f" (it redirects to {shown(location)})" if elsewhere else ""
        return Why(
            "login_wants_oidc",
            f"{at} uses an identity provider (OIDC) instead of passwords{to}. Use type: oauth2 in"
            f" {asked.section}, with a client of that identity provider.",
        )
    if reply.status == 429:
        return Why("login_limited", f"{at} limits how often its login may be used (429). The proxy waits.")
    if reply.status >= 500:
        return Why(
            "login_failed",
            f"{at} failed at POST {path} ({reply.status}). Look at its log: its user store (secondary"
            " storage, Elasticsearch, LDAP) may be down.",
        )
    if b"csrf" in reply.body.lower() and reply.status in (401, 403):
        return Why(
            "login_csrf",
            f"{at} refuses POST {path} because of its CSRF token ({reply.status}), although the proxy asked"
            " for one with GET /login. A gateway in between may remove the header X-CSRF-TOKEN or the"
            " cookie of that name.",
        )
    return None
