"""A simulated Camunda on loopback, for the `demo` command and for tests.

It makes the checks of real servers, and stricter ones. Each rule names its source: a Camunda version, a page
of its documentation, an RFC, or "observed" (seen on a real 8.6.0 or Keycloak 26.7).

    async with simulated_camunda() as camunda:
        camunda.saas.url, camunda.keycloak.url       token endpoints
        camunda.url("zeebe"), camunda.url("zeebe", saas=True)
        camunda.saas.fault = Fault.DOWN              switches
        camunda.saas.requests, camunda.api("zeebe").refusals     what happened

APIs with sessions, a port each; `username` and `password` are the same for all (`sessions.py` has the rules):

    operate-8.2           8.2 to 8.5.0: no CSRF
    operate-8.5           8.5.1 to 8.6-alpha2: OPERATE-X-CSRF-TOKEN
    operate-8.6           8.6, 8.7; the single application: `/v1` and `/v2`
    operate-8.6-csrf-off  the light Compose file, C8Run
    tasklist-8.5          TASKLIST-X-CSRF-TOKEN, set by an authenticated GET, not by the login
    tasklist-8.6          the single application with Tasklist: `/v1` and `/v2`
    cluster-8.8           8.8, 8.9: `POST /login`; accepts Basic as well
    cluster-8.10          newest: the login itself wants a CSRF token; accepts Basic as well; no `/v1`; a
                          physical tenant, `payments`, with sessions of its own; `/cluster/v2` with Basic
                          (`administrator`, `password`)

8.10 with tokens (`newest.py`): `orchestration-8.10` (no `/v1`; tenant and `/cluster/v2` want tokens of the
clients `payments` and `cluster-admin`; `/.well-known/oauth-protected-resource`), `optimize-8.10` (no shared
token), `hub`.

        sessions = camunda.sessions("operate-8.6")
        sessions.kill()       ends every session; CSRF pairs stay valid
        sessions.restart()    ends every session and every CSRF pair
        sessions.spoil_csrf() ends every CSRF pair
        sessions.dies_after = 50
        sessions.fault = LoginFault.HTML
        sessions.logins, sessions.count("ok"), sessions.live, sessions.let_in, sessions.logouts

`camunda.complaints` lists everything that no proxy may send, such as the caller's own cookies; it must be
empty. `camunda.keycloak.issuer` has a discovery document; its client `signed` uses assertions
(`camunda.keycloak.signing_key()`; needs cryptography).
"""

from proxy.demo.apis import Api
from proxy.demo.assertions import SigningKey
from proxy.demo.dialects import DIALECTS
from proxy.demo.server import SimulatedCamunda, simulated_camunda
from proxy.demo.sessions import Login, Sessions
from proxy.demo.tokens import TokenEndpoint, TokenRequest
from proxy.demo.world import Client, Fault, LoginFault, Rules

__all__ = [
    "DIALECTS",
    "Api",
    "Client",
    "Fault",
    "Login",
    "LoginFault",
    "Rules",
    "Sessions",
    "SigningKey",
    "SimulatedCamunda",
    "TokenEndpoint",
    "TokenRequest",
    "simulated_camunda",
]
