"""A simulated Camunda on loopback: what the `demo` command shows and the tests run against.

It checks what real servers check, and is stricter than a good caller needs; each rule names its source: a
Camunda version, a page of its documentation, an RFC, or "observed" (seen on a real 8.6.0 or Keycloak 26.7).

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
    tasklist-8.5          TASKLIST-X-CSRF-TOKEN, which an authenticated GET brings, not the login
    tasklist-8.6          the single application with Tasklist: `/v1` and `/v2`
    cluster-8.8           8.8, 8.9: `POST /login`; takes Basic as well
    cluster-8.10          newest: the login itself wants a CSRF token; takes Basic as well

        sessions = camunda.sessions("operate-8.6")
        sessions.kill()       every session dies; CSRF pairs stay good
        sessions.restart()    CSRF pairs are no good any more, either
        sessions.spoil_csrf() CSRF pairs alone
        sessions.dies_after = 50
        sessions.fault = LoginFault.HTML
        sessions.logins, sessions.count("ok"), sessions.live, sessions.let_in, sessions.logouts

`camunda.complaints` holds what no proxy may send, such as cookies that are the caller's: empty is the proof.
`camunda.keycloak.issuer` has a discovery document; its client `signed` shows assertions
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
