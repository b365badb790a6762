"""Checks Authorization fields, and refuses requests as each real server does.

`leftovers` is stricter than any server: it names fields that a proxy must have removed or replaced.
"""

import base64
import binascii
import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from proxy.demo.mint import Mint, Reason

Refuse = Callable[[web.BaseRequest, Reason], web.Response]

HOP_BY_HOP = frozenset(
    # RFC 9110 sections 7.6.1 and 10.1.4; RFC 9113 section 8.2.2; a Proxy-Authorization is also a secret.
    (b"proxy-authorization", b"proxy-connection", b"keep-alive", b"te", b"upgrade", b"http2-settings")
)
CALLER_TOKEN = b"x-proxy-token"  # the caller's token for the proxy must not reach the upstream
METADATA = "/.well-known/oauth-protected-resource"
MOMENT = "2026-01-01T00:00:00.000+00:00"
FRAMING = frozenset((b"content-length", b"transfer-encoding"))


def leftovers(request: web.BaseRequest, host: str, *, cookies: bool = False) -> str | None:
    """Name a field that must not come here; None: there is none.

    Args:
        host: the only valid `Host`. SaaS finds the cluster's ingress by it (RFC 9110 section 7.2).
        cookies: whether the caller's own may come. They must not come with a credential, because on Camunda
            8.8 and later a live session makes the request need a CSRF token, and long cookies exceed Tomcat's
            8 KB.
    """
    authorizations = 0
    for name, value in request.raw_headers:
        name = name.lower()
        if name == b"host":
            if value.decode("latin-1") != host:
                return "Host is not this server's"
        elif name == b"authorization":
            authorizations += 1  # not a list field: RFC 9110 section 5.3
            if authorizations > 1:
                return "more than one Authorization"
        elif name == b"cookie":
            if not cookies:
                return "a Cookie that is the caller's"
        elif name == b"connection":
            # Any other member names a field that should have been removed: RFC 9110 section 7.6.1.
            if not {member.strip().lower() for member in value.split(b",")} <= {b"close", b"keep-alive"}:
                return "Connection names fields"
        elif name in HOP_BY_HOP or name == CALLER_TOKEN:
            return f"{name.decode()} was not removed"
        elif b"_" in name and (plain := name.replace(b"_", b"-")) in HOP_BY_HOP | FRAMING | {CALLER_TOKEN}:
            # CGI-like servers take both for one name: CVE-2025-64484.
            return f"a look-alike of {plain.decode()}"
    return None


def nginx(status: int, phrase: str) -> web.Response:
    """Make a page of the SaaS ingress (camunda/camunda #3768, #13832: 401 `text/html` from nginx)."""
    title = f"{status} {phrase}"
    page = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
    return web.Response(status=status, text=page, content_type="text/html")


def problem(request: web.BaseRequest, status: int, title: str, detail: str) -> web.Response:
    """Make problem+json as Camunda writes it (observed on 8.6.0)."""
    members = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": request.path,
    }
    return web.Response(
        status=status,
        body=json.dumps(members).encode(),
        headers={"Content-Type": "application/problem+json;charset=UTF-8"},
    )


def forbidden(request: web.BaseRequest, **more: str) -> web.Response:
    """Make Spring's own 403 (observed on Operate 8.6.0)."""
    members = {"timestamp": MOMENT, "status": 403, "error": "Forbidden", "path": request.path}
    return web.json_response(members | more, status=403)


ENGINE_DETAILS: dict[Reason, str] = {  # observed on 8.6.0
    "missing": "Access Denied",
    "scheme": "error decoding jwt",
    "garbage": "error decoding jwt",
    "signature": "the token signature is invalid",
    "revoked": "the token signature is invalid",  # as after a change of the issuer's keys
    "audience": "the provided claims are invalid",
    "expired": "the token has expired",
    "keys": "JWKS error",
}


def refuse_as_ingress(request: web.BaseRequest, reason: Reason) -> web.Response:
    """SaaS: the ingress refuses the request before Camunda gets it."""
    return nginx(401, "Authorization Required")


def refuse_as_engine(request: web.BaseRequest, reason: Reason) -> web.Response:
    """Engine 8.6 with Identity: no WWW-Authenticate (observed)."""
    return problem(request, 401, "Unauthorized", ENGINE_DETAILS[reason])


def refuse_as_operate(request: web.BaseRequest, reason: Reason) -> web.Response:
    """Operate 8.6 with Identity: an invalid token gets a 403 with a challenge (observed)."""
    if reason not in ("missing", "scheme"):
        return web.Response(status=403, headers={"WWW-Authenticate": "Bearer"})
    if request.method in ("GET", "HEAD"):
        return web.json_response({"message": ""}, status=401)
    response = forbidden(request)
    response.headers["Set-Cookie"] = f"X-CSRF-TOKEN={secrets.token_hex(16)}; Path=/; HttpOnly; SameSite=Lax"
    return response


def refuse_as_optimize(request: web.BaseRequest, reason: Reason) -> web.Response:
    """Optimize: 401 with an empty body (its security configuration)."""
    return web.Response(status=401)


def refuse_as_resource_server(request: web.BaseRequest, reason: Reason) -> web.Response:
    """Spring's OAuth resource server, as in Camunda 8.8 and later with OIDC.

    If it cannot fetch the issuer's keys, it answers 500 (Spring Security 6.5 to 7.1).
    """
    if reason == "keys":
        members = {"timestamp": MOMENT, "status": 500, "error": "Internal Server Error", "path": request.path}
        return web.json_response(members, status=500)
    response = problem(request, 401, "Unauthorized", "An Authentication object was not found")
    bare = reason in ("missing", "scheme")
    response.headers["WWW-Authenticate"] = "Bearer" if bare else 'Bearer error="invalid_token"'
    return response


def refuse_with_metadata(request: web.BaseRequest, reason: Reason) -> web.Response:
    """Camunda 8.10: the challenge names the OAuth metadata (Spring Security 7, RFC 9728 section 5.1)."""
    response = refuse_as_resource_server(request, reason)
    if response.status == 401:
        challenge, named = response.headers["WWW-Authenticate"], f"http://{request.host}{METADATA}"
        comma = "," if " " in challenge else ""
        response.headers["WWW-Authenticate"] = f'{challenge}{comma} resource_metadata="{named}"'
    return response


def refuse_as_basic(request: web.BaseRequest, reason: Reason) -> web.Response:
    """Camunda 8.6 with the profile `auth-basic` (observed): a request without Basic gets a session cookie."""
    members = {"timestamp": MOMENT, "status": 401, "error": "Unauthorized", "path": request.path}
    response = web.json_response(members, status=401)
    response.headers["WWW-Authenticate"] = 'Basic realm="Realm"'
    if reason in ("missing", "scheme"):
        response.headers["Set-Cookie"] = f"JSESSIONID={secrets.token_hex(16).upper()}; Path=/; HttpOnly"
    return response


@dataclass(frozen=True, slots=True)
class Jwt:
    """A signed token for one audience.

    Attributes:
        exact: whether the scheme must be spelled `Bearer` (observed: the 8.6 engine refuses `bearer`, Operate
            accepts it).
    """

    mint: Mint
    audience: str
    refuse: Refuse
    exact: bool = False

    def judge(self, authorization: str | None) -> Reason | None:
        """Return why the request is refused; None: it is accepted."""
        if authorization is None:
            return "missing"
        scheme, _, token = authorization.partition(" ")
        if scheme != "Bearer" and (self.exact or scheme.lower() != "bearer"):
            return "scheme"
        return self.mint.judge(token, self.audience)


@dataclass(frozen=True, slots=True)
class Shared:
    """One token for all callers: Optimize's `api.accessToken` (off by default in 8.10)."""

    token: str = field(repr=False)
    refuse: Refuse

    def judge(self, authorization: str | None) -> Reason | None:
        if authorization is None:
            return "missing"
        scheme, _, token = authorization.partition(" ")
        if scheme != "Bearer":
            return "scheme"
        return None if hmac.compare_digest(token.encode(), self.token.encode()) else "garbage"


@dataclass(frozen=True, slots=True)
class Basic:
    """RFC 7617, in UTF-8."""

    username: str
    password: str = field(repr=False)
    refuse: Refuse

    def judge(self, authorization: str | None) -> Reason | None:
        if authorization is None:
            return "missing"
        scheme, _, encoded = authorization.partition(" ")
        if scheme.lower() != "basic":
            return "scheme"
        try:
            shown = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            return "garbage"
        return None if hmac.compare_digest(shown, f"{self.username}:{self.password}".encode()) else "garbage"


@dataclass(frozen=True, slots=True)
class Open:
    """Accepts every request: `ZEEBE_BROKER_GATEWAY_SECURITY_AUTHENTICATION_MODE=none`."""

    refuse: Refuse = refuse_as_engine

    def judge(self, authorization: str | None) -> Reason | None:
        return None


Gate = Jwt | Shared | Basic | Open
