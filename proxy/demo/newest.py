"""What is new in Camunda 8.10: physical tenants, the cluster-admin API, Hub, the OAuth metadata path.

V1 of Operate and Tasklist is gone: the routes of 8.10 have no `/v1`. Sources: Camunda's documentation and
release notes of 8.10.
"""

import jwt
from aiohttp import web

from proxy.demo import gate
from proxy.demo.apis import TENANTS, Api, Call, Route
from proxy.demo.dialects import Dialect, unknown
from proxy.demo.engine import Engine
from proxy.demo.mint import Mint
from proxy.demo.sessions import Sessions
from proxy.demo.world import World
from proxy.demo.zeebe import Zeebe, asked, bad_request

VERSION = "8.10.0"
TENANT = "payments"
TENANT_AUDIENCE = "payments-api"
ADMIN_AUDIENCE = "cluster-admin-api"
NO_PERMISSION = "no-permission"
"""Name of a client whose tokens are valid for Hub, but lack its permissions."""

ADMIN = "/cluster/v2"
PUBLIC = (f"{ADMIN}/status", f"{ADMIN}/status/upgrade", f"{gate.METADATA}/**", gate.METADATA)
NOT_IN_TENANTS = frozenset(("/v2/status",))


def routes(engine: Engine) -> tuple[Route, ...]:
    """Return the routes of an Orchestration Cluster, its public ones included."""

    async def fine(call: Call) -> web.Response:
        return web.Response(status=204)

    async def metadata(call: Call) -> web.Response:
        return web.json_response(
            {
                "resource": f"http://{call.request.host}",
                "authorization_servers": ["http://identity-provider.example"],
                "bearer_methods_supported": ["header"],
            }
        )

    return (
        *Zeebe(engine, VERSION).routes(),
        Route("GET", f"{ADMIN}/status", fine),
        Route("GET", f"{ADMIN}/status/upgrade", fine),
        Route("GET", gate.METADATA, metadata),
        Route("GET", f"{gate.METADATA}/mcp/{{key}}", metadata),
    )


def divide_by_tokens(api: Api, engine: Engine, mint: Mint) -> None:
    """Give the API a physical tenant and a cluster-admin API that each want tokens of their own audience."""
    tenant, admin = (
        gate.Jwt(mint, audience, gate.refuse_with_metadata) for audience in (TENANT_AUDIENCE, ADMIN_AUDIENCE)
    )
    _divide(api, engine, tenant, admin, None)


def divide_by_users(api: Api, engine: Engine, sessions: Sessions, administrator: str, password: str) -> None:
    """Give the API a physical tenant with these sessions, and a cluster-admin API with Basic."""
    api.routes, api.public = routes(engine), PUBLIC
    admin = gate.Basic(administrator, password, lambda request, _: unknown(request))
    _divide(api, engine, gate.Open(), admin, sessions)


def _divide(api: Api, engine: Engine, tenant: gate.Gate, admin: gate.Gate, sessions: Sessions | None) -> None:
    """Give the API its parts; `tenant` and `admin` check the Authorization fields of these."""
    place = f"{TENANTS}{TENANT}"
    inside = tuple(route for route in Zeebe(engine, VERSION).routes() if route.path not in NOT_IN_TENANTS)

    async def topology(call: Call) -> web.Response:
        return web.json_response({"brokers": [], "clusterSize": 1})

    api.tenants = True
    api.parts = {
        place: Api(f"tenant {TENANT}", False, tenant, inside, place, sessions=sessions),
        ADMIN: Api("cluster-admin", False, admin, (Route("GET", f"{ADMIN}/topology", topology),)),
    }


def tenant_sessions(name: str, world: World, dialect: Dialect, user: gate.Basic) -> Sessions:
    """Return the sessions of the physical tenant; its cookies are only for its own path."""
    return Sessions(name, world, dialect, user, f"{TENANTS}{TENANT}")


def hub() -> tuple[Route, ...]:
    """Camunda Hub's API v2: 403 without permission."""

    async def search(call: Call) -> web.Response:
        token = call.request.headers["Authorization"].partition(" ")[2]
        claims = jwt.decode(token, options={"verify_signature": False})  # the gate has verified it
        if claims["client_id"] == NO_PERMISSION:
            return gate.problem(call.request, 403, "Forbidden", "The client lacks a permission")
        if asked(call) is None:
            return bad_request(call)
        return web.json_response({"items": [], "page": {"totalItems": 0}})

    return tuple(Route("POST", f"/api/v2/{what}/search", search) for what in ("files", "projects"))
