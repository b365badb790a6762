"""Describes how each version logs in and refuses requests, and what its pages look like; see `DIALECTS`.

"Observed" means: on the real single application 8.6.0, with Operate or with Tasklist. The rest comes from
Camunda's sources and documentation, which are named at each use.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from aiohttp import web

from proxy.demo.csrf import TOMCAT_10, TOMCAT_11
from proxy.demo.gate import forbidden, problem

Answer = Callable[[web.BaseRequest], web.Response]

PAGE = "<!doctype html><html><head><title>Camunda</title></head><body><div id='root'></div></body></html>"
NO_TOKEN = "Invalid CSRF Token 'null' was found on the request parameter '_csrf' or header 'X-CSRF-TOKEN'."  # noqa: S105


@dataclass(frozen=True, slots=True)
class Dialect:
    """Attributes:
    cookie: of the session.
    csrf: name of the CSRF cookie and of the header; None: no CSRF token is needed.
    login, logout: paths, only for POST.
    stranger: answer to an API call without a session, and to a wrong password.
    forged: answer to a request without a valid CSRF pair.
    page: answer to a request for any other path than an API's.
    csrf_first: whether requests without a session need a CSRF pair too, on every path, unless they have a
        Bearer (Operate). If not, only requests with a live session need it, with any Authorization (Tasklist;
        8.8 and later).
    login_wants_csrf: camunda-security-library, ADR-0027.
    login_brings_csrf: whether the login sets the token; if not, the first authenticated GET does.
    basic: whether HTTP Basic is accepted as well; it makes no session (8.8: SessionCreationPolicy.NEVER).
    greets: methods whose unauthenticated requests get the cookie of a session without a user.
    gone: attributes that delete a cookie.
    """

    cookie: str
    csrf: str | None
    login: str
    logout: str
    stranger: Answer
    forged: Answer
    page: Answer
    csrf_first: bool = False
    login_wants_csrf: bool = False
    login_brings_csrf: bool = True
    basic: bool = False
    greets: frozenset[str] = frozenset()
    gone: str = TOMCAT_10


# -- strangers --


def nameless(request: web.BaseRequest) -> web.Response:
    """8.6 (observed): no challenge, and an empty message."""
    return web.Response(
        status=401, body=b'{"message":""}', headers={"Content-Type": "application/json;charset=UTF-8"}
    )


def named(request: web.BaseRequest) -> web.Response:
    """Operate and Tasklist up to 8.5 (BaseWebConfigurer)."""
    return web.json_response(
        {"message": "Full authentication is required to access this resource"}, status=401
    )


def unknown(request: web.BaseRequest) -> web.Response:
    """8.8 and later with Basic: its entry point sends no WWW-Authenticate (WebSecurityConfig)."""
    return problem(request, 401, "Unauthorized", "An Authentication object was not found")


# -- forgeries --


def bare(request: web.BaseRequest) -> web.Response:
    """Operate 8.6 (observed): the answer does not mention CSRF."""
    return forbidden(request)


def spring(request: web.BaseRequest) -> web.Response:
    """Operate 8.5.1 and later (CsrfTokenIT)."""
    return forbidden(request, message="Forbidden")


def spelled_out(request: web.BaseRequest) -> web.Response:
    """Tasklist (observed on 8.6)."""
    return web.Response(
        status=403,
        body=b'{"error": "Access denied due to invalid CSRF token."}',
        headers={"Content-Type": "application/json;charset=UTF-8"},
    )


def unauthorized(request: web.BaseRequest) -> web.Response:
    """8.8: 401, though the documentation says 403 (javadoc of CsrfResponseHeaderFilter)."""
    return problem(request, 401, "Unauthorized", NO_TOKEN)


def denied(request: web.BaseRequest) -> web.Response:
    """Newest: 401 or 403 (ADR-0027); here the one that 8.8 does not use."""
    return problem(request, 403, "Forbidden", NO_TOKEN)


# -- pages --


def html() -> web.Response:
    return web.Response(text=PAGE, content_type="text/html")


def moved(request: web.BaseRequest, path: str) -> web.Response:
    return web.Response(status=302, headers={"Location": f"http://{request.host}{path}"})


def missing(request: web.BaseRequest) -> web.Response:
    return web.json_response({"status": 404, "error": "Not Found", "path": request.path}, status=404)


def operate_8_5(request: web.BaseRequest) -> web.Response:
    """Redirect requests that need a session to the login (BaseWebConfigurer); the login page is public."""
    return html() if request.path == "/api/login" else moved(request, "/api/login")


def operate_8_6(request: web.BaseRequest) -> web.Response:
    """Observed."""
    if request.path == "/login":
        return moved(request, "/operate/login")
    if request.path == "/":
        return moved(request, "/operate")
    return html() if request.path.startswith("/operate") else missing(request)


def tasklist(request: web.BaseRequest) -> web.Response:
    """Observed on 8.6: `POST /login` is 405."""
    if request.path == "/login" and request.method != "GET":
        members = {"status": 405, "error": "Method Not Allowed", "path": request.path}
        return web.json_response(members, status=405, headers={"Allow": "GET"})
    return html() if request.path in ("/", "/login", "/tasklist") else missing(request)


def cluster(request: web.BaseRequest) -> web.Response:
    """8.8: web pages are public, and the page in the browser goes to the login (WebSecurityConfig)."""
    return html() if request.path in ("/", "/login", "/operate", "/tasklist") else missing(request)


def newest(request: web.BaseRequest) -> web.Response:
    """Newest: `GET /login` is for programs, unless a browser navigates there (ADR-0027)."""
    if request.path == "/login" and request.method == "GET":
        if request.headers.get("Sec-Fetch-Mode") == "navigate":
            return moved(request, "/operate")
        return web.Response(status=204)
    return cluster(request)


OPERATE = Dialect(
    "OPERATE-SESSION", None, "/api/login", "/api/logout", stranger=named, forged=spring, page=operate_8_5
)
TASKLIST = Dialect(
    "TASKLIST-SESSION", None, "/api/login", "/api/logout", stranger=named, forged=spelled_out, page=tasklist
)
CLUSTER = Dialect(
    "camunda-session",
    "X-CSRF-TOKEN",
    "/login",
    "/logout",
    stranger=unknown,
    forged=unauthorized,
    page=cluster,
    basic=True,
    greets=frozenset(
        ("GET",)
    ),  # Spring Security 6.5 to 7.1 saves the request, to go on with it after a login
)
OPERATE_8_6 = replace(OPERATE, stranger=nameless, forged=bare, page=operate_8_6)

DIALECTS = {
    "operate-8.2": replace(OPERATE, greets=frozenset(("GET", "HEAD", "POST"))),
    "operate-8.5": replace(OPERATE, csrf="OPERATE-X-CSRF-TOKEN", csrf_first=True),
    "operate-8.6": replace(OPERATE_8_6, csrf="X-CSRF-TOKEN", csrf_first=True),
    "operate-8.6-csrf-off": OPERATE_8_6,
    "tasklist-8.5": replace(TASKLIST, csrf="TASKLIST-X-CSRF-TOKEN", login_brings_csrf=False),
    "tasklist-8.6": replace(TASKLIST, csrf="X-CSRF-TOKEN", stranger=nameless),
    "cluster-8.8": CLUSTER,
    "cluster-8.10": replace(CLUSTER, forged=denied, page=newest, login_wants_csrf=True, gone=TOMCAT_11),
}
