"""Puts the simulated Camunda together: its hosts, and the one server behind their ports."""

import contextlib
from collections.abc import AsyncIterator, Iterator

from aiohttp import web

from proxy.clock import Clock, SystemClock
from proxy.demo import gate, newest, webapps
from proxy.demo.apis import Api, Route
from proxy.demo.dialects import DIALECTS
from proxy.demo.engine import Engine
from proxy.demo.keycloak import KeycloakTokens
from proxy.demo.saas import SaasTokens
from proxy.demo.sessions import Sessions
from proxy.demo.tokens import TokenEndpoint
from proxy.demo.world import Client, Rules, World, new_secret
from proxy.demo.zeebe import Zeebe

CLUSTER_ID = "5c34c0a7-0000-0000-0000-000000000000"
USERNAME = "demo"
CONSOLE_AUDIENCE = "api.cloud.camunda.io"
SAAS_AUDIENCES = {  # Camunda docs, per API
    "zeebe": "zeebe.camunda.io",
    "operate": "operate.camunda.io",
    "tasklist": "tasklist.camunda.io",
    "optimize": "optimize.camunda.io",
    "console": CONSOLE_AUDIENCE,
    "modeler": CONSOLE_AUDIENCE,
    "hub": CONSOLE_AUDIENCE,
    "orchestration-8.10": "zeebe.camunda.io",
}
SELF_AUDIENCES = {  # the names in Management Identity
    "zeebe": "zeebe-api",
    "orchestration": "orchestration-api",
    "operate": "operate-api",
    "tasklist": "tasklist-api",
    "optimize": "optimize-api",
    "console": "console-api",
    "modeler": "web-modeler-public-api",
    "hub": "web-modeler-public-api",
    "orchestration-8.10": "orchestration-api",
    "optimize-8.10": "optimize-api",
}
SELF_REFUSALS: dict[str, gate.Refuse] = {
    "zeebe": gate.refuse_as_engine,
    "operate": gate.refuse_as_operate,
    "tasklist": gate.refuse_as_operate,
    "optimize": gate.refuse_as_optimize,
    "optimize-8.10": gate.refuse_as_optimize,
    "orchestration-8.10": gate.refuse_with_metadata,
}
OPEN = {
    "orchestration": frozenset(("/v2/license", "/v2/status")),  # 8.8 and later; 8.6 refuses (observed)
    "orchestration-8.10": frozenset(("/v2/license", "/v2/status")),
    "optimize": frozenset(("/api/readyz",)),
}
PUBLIC = {"orchestration-8.10": newest.PUBLIC, "optimize-8.10": ("/api/readyz",)}  # Authorization is ignored
PREFIXES = {"console": "", "modeler": "/api", "hub": ""}


class SimulatedCamunda(World):
    """Camunda on SaaS and Self-Managed.

    Each endpoint has its own port on 127.0.0.1, as each has its own host in reality.

    Attributes:
        saas, keycloak: the token endpoints, with their switches and records.
        apis: all APIs, by (name, saas).
        username, password: for `zeebe-basic`, and for every API with sessions.
        administrator: user of the cluster-admin API of `cluster-8.10`, with `password`.
        shared_token: for `optimize-shared`.
    """

    def __init__(self, clock: Clock, rules: Rules) -> None:
        super().__init__(clock, rules)
        everything = tuple(SELF_AUDIENCES.values())
        self.saas = SaasTokens(
            self,
            (
                Client("saas-client", tuple(a for a in SAAS_AUDIENCES.values() if a != CONSOLE_AUDIENCE)),
                Client("console-client", (CONSOLE_AUDIENCE,)),
            ),
        )
        self.keycloak = KeycloakTokens(
            self,
            (
                Client("orchestration", everything),
                Client("other-audience", ("other-api",)),
                Client("basic-only", everything, basic_only=True),
                Client("signed", everything, signed=True),
                Client("payments", (newest.TENANT_AUDIENCE,)),
                Client("cluster-admin", (newest.ADMIN_AUDIENCE,)),
                Client(newest.NO_PERMISSION, everything),
                Client("odd:client +%", everything, secret="p:a s+s%20&=\u00e9" + new_secret()),
            ),
        )
        self.username = USERNAME
        self.administrator = "cluster-admin"
        self.password = new_secret()
        self.shared_token = new_secret()
        self.engine = Engine()
        self.apis = {(api.name, api.saas): api for api in self._apis()}

    def _apis(self) -> Iterator[Api]:
        zeebe = Zeebe(self.engine).routes()
        operate, tasklist, optimize = webapps.operate(self.engine), webapps.tasklist(), webapps.optimize()
        routes: dict[str, tuple[Route, ...]] = {
            "zeebe": zeebe,
            "orchestration": zeebe + operate + tasklist,  # one application since 8.8
            "operate": operate,
            "tasklist": tasklist,
            "optimize": optimize,
            "console": webapps.console(),
            "modeler": webapps.modeler(),
            "hub": newest.hub(),
            "orchestration-8.10": newest.routes(self.engine),
            "optimize-8.10": optimize,
        }
        for name, audience in SAAS_AUDIENCES.items():
            jwt = gate.Jwt(self.mint, audience, gate.refuse_as_ingress)
            prefix = PREFIXES.get(name, f"/{CLUSTER_ID}")
            yield Api(
                name, True, jwt, routes[name], prefix, OPEN.get(name, frozenset()), PUBLIC.get(name, ())
            )
        for name, audience in SELF_AUDIENCES.items():
            refuse = SELF_REFUSALS.get(name, gate.refuse_as_resource_server)
            jwt = gate.Jwt(self.mint, audience, refuse, exact=name == "zeebe")
            prefix, opened = PREFIXES.get(name, ""), OPEN.get(name, frozenset[str]())
            api = Api(name, False, jwt, routes[name], prefix, opened, PUBLIC.get(name, ()))
            if name == "orchestration-8.10":
                newest.divide_by_tokens(api, self.engine, self.mint)
            yield api
        basic = gate.Basic(self.username, self.password, gate.refuse_as_basic)
        yield Api("zeebe-basic", False, basic, zeebe)
        yield Api("zeebe-open", False, gate.Open(), zeebe)
        shared = gate.Shared(self.shared_token, gate.refuse_as_optimize)
        yield Api("optimize-shared", False, shared, optimize, open=OPEN["optimize"])
        for name, dialect in DIALECTS.items():
            sessions = Sessions(name, self, dialect, basic)
            single = routes["orchestration"] if not name.endswith(("8.2", "8.5")) else routes[name[:-4]]
            opened = OPEN["orchestration"] if dialect.basic else frozenset[str]()
            api = Api(name, False, gate.Open(), single, open=opened, sessions=sessions)
            if name == "cluster-8.10":
                inner = newest.tenant_sessions(f"{name}, tenant", self, dialect, basic)
                newest.divide_by_users(api, self.engine, inner, self.administrator, self.password)
            yield api

    def api(self, name: str, *, saas: bool = False) -> Api:
        return self.apis[name, saas]

    def url(self, name: str, *, saas: bool = False) -> str:
        """Return the base URL of an API, without a slash at its end."""
        return self.apis[name, saas].url

    def sessions(self, name: str) -> Sessions:
        """Return the sessions of an API that has them, such as `operate-8.6`."""
        sessions = self.apis[name, False].sessions
        assert sessions is not None  # noqa: S101
        return sessions

    def revoke(self, client: str | None = None, *, forget: bool = True) -> None:
        """Revoke all tokens so far, or those of one client.

        Args:
            forget: whether SaaS issues new tokens from now on; if not, it returns the revoked ones again.
        """
        self.mint.revoke(client)
        if forget:
            self.saas.forget()

    @property
    def secrets(self) -> frozenset[str]:
        """Texts that must never be in a log or on a page; tokens are not among them."""
        clients = (*self.saas.clients.values(), *self.keycloak.clients.values())
        return frozenset((self.password, self.shared_token, *(client.secret for client in clients)))


@contextlib.asynccontextmanager
async def simulated_camunda(
    *, clock: Clock | None = None, rules: Rules | None = None, first_port: int = 0
) -> AsyncIterator[SimulatedCamunda]:
    """Run it until the block ends. Then it stops at once, even if requests still wait for an answer.

    Args:
        first_port: the endpoints take this port and those after it; 0: any free ones.

    Raises:
        OSError: a port is taken.
    """
    camunda = SimulatedCamunda(clock or SystemClock(), rules or Rules())
    endpoints: list[TokenEndpoint | Api] = [camunda.saas, camunda.keycloak, *camunda.apis.values()]
    by_port: dict[int, TokenEndpoint | Api] = {}

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.transport is None:  # gone already
            return web.Response()
        endpoint = by_port[request.transport.get_extra_info("sockname")[1]]
        if isinstance(endpoint, Api):
            return await endpoint.answer(camunda, request)
        return await endpoint.answer(request)

    server = web.Server(
        answer,
        handler_cancellation=True,
        access_log=None,
        auto_decompress=False,
        lingering_time=2.0,
        # Larger than our own limits, so that these apply.
        max_line_size=65536,
        max_field_size=65536,
    )
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    try:
        for number, endpoint in enumerate(endpoints):
            # Room for hundreds at once, because a client that finds no room tries again only after a second.
            fixed = first_port + number if first_port else 0
            await web.TCPSite(runner, "127.0.0.1", fixed, backlog=1024).start()
            port = runner.addresses[-1][1]
            by_port[port] = endpoint
            endpoint.host = f"127.0.0.1:{port}"
            path = endpoint.prefix if isinstance(endpoint, Api) else endpoint.path
            endpoint.url = f"http://{endpoint.host}{path}"
        yield camunda
    finally:
        await runner.cleanup()
