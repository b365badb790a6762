"""A simulated Camunda on loopback: what the `demo` command shows and the tests run against.

It checks what real servers check, and is stricter than a good caller needs; each rule names its source: a
Camunda version, a page of its documentation, an RFC, or "observed" (seen on a real 8.6.0 or Keycloak 26.7).

    async with simulated_camunda() as camunda:
        camunda.saas.url, camunda.keycloak.url       token endpoints
        camunda.url("zeebe"), camunda.url("zeebe", saas=True)
        camunda.saas.fault = Fault.DOWN              switches
        camunda.saas.requests, camunda.api("zeebe").refusals     what happened
"""

from proxy.demo.apis import Api
from proxy.demo.server import SimulatedCamunda, simulated_camunda
from proxy.demo.tokens import TokenEndpoint, TokenRequest
from proxy.demo.world import Client, Fault, Rules

__all__ = [
    "Api",
    "Client",
    "Fault",
    "Rules",
    "SimulatedCamunda",
    "TokenEndpoint",
    "TokenRequest",
    "simulated_camunda",
]
