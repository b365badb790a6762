"""Simulates Keycloak's token endpoint, for Self-Managed. Answers were observed on a real Keycloak 26.7."""

import base64
import binascii
import hmac
import re
from collections.abc import Iterable
from urllib.parse import unquote_plus

from aiohttp import web

from proxy.demo.assertions import TYPE, SigningKey, claims_of, client_of, fault_of, new_signing_key
from proxy.demo.federated import Federation
from proxy.demo.gate import leftovers
from proxy.demo.tokens import SPOILED, Refused, TokenEndpoint, TokenRequest, parse_form, whole
from proxy.demo.world import Client, World

REALM = "/auth/realms/camunda-platform"
WRONG = "Invalid client or Invalid client credentials"
SCOPES = frozenset(("openid", "email", "profile"))
BAD_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")


class KeycloakTokens(TokenEndpoint):
    """Form bodies only; `audience` and `resource` are ignored; each token is new, for all audiences.

    Attributes:
        discoveries: number of requests for the discovery document.
        federations: identity providers whose tokens authenticate clients; none at first.
        assertions: all client assertions of these so far.
    """

    name = "keycloak"
    path = f"{REALM}/protocol/openid-connect/token"

    def __init__(self, world: World, clients: Iterable[Client]) -> None:
        super().__init__(world, clients)
        self.discoveries = 0
        self._signing_key: SigningKey | None = None
        self._used: set[str] = set()
        self.federations: list[Federation] = []
        self.assertions: list[str] = []

    @property
    def issuer(self) -> str:
        return f"http://{self.host}{REALM}"

    def signing_key(self) -> SigningKey:
        """Return the key of the client `signed`, the same each time. Needs cryptography."""
        if self._signing_key is None:
            self._signing_key = new_signing_key()
        return self._signing_key

    def use_signing_key(self, key: SigningKey) -> None:
        """Use this key from now on, because making a new one takes a tenth of a second."""
        self._signing_key = key

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path != f"{REALM}/.well-known/openid-configuration":
            return await super().answer(request)
        self.discoveries += 1
        self.world.news.tell()
        return await self._discovered(request)

    async def _discovered(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer with the members that a client needs (OpenID Connect Discovery 1.0 section 4)."""
        complaint = leftovers(request, self.host)
        if complaint is not None:
            self.world.complaints.append((self.name, complaint))
            return web.Response(status=400, text=complaint)
        if self.fault is not None and self.fault not in SPOILED:
            return await self.instead(request, self.fault)
        return web.json_response(
            {
                "issuer": self.issuer,
                "token_endpoint": self.url,
                "grant_types_supported": ["client_credentials"],
                "token_endpoint_auth_methods_supported": [
                    "private_key_jwt",
                    "client_secret_basic",
                    "client_secret_post",
                    "tls_client_auth",
                ],
            }
        )

    async def granted(self, request: web.BaseRequest, entry: TokenRequest) -> dict[str, object]:
        if request.path != self.path:
            raise Refused(404, "Realm does not exist")
        if request.method != "POST":
            raise Refused(405, "HTTP 405 Method Not Allowed")
        if request.content_type != "application/x-www-form-urlencoded":
            raise Refused(400, "invalid_request", "Missing form parameter: grant_type")
        asked = parse_form(await request.read())
        entry.audience = asked.get("audience", "")
        if "grant_type" not in asked:
            raise Refused(400, "invalid_request", "Missing form parameter: grant_type")
        client = self._client(request, asked, entry)
        if asked["grant_type"] != "client_credentials":
            raise Refused(400, "unsupported_grant_type", "Unsupported grant_type")
        scope = asked.get("scope", "")
        if not SCOPES.issuperset(scope.split()):
            raise Refused(400, "invalid_scope", f"Invalid scopes: {scope}")
        rules = self.world.rules
        life = rules.token_life if client.life is None else client.life
        entry.outcome = "issued"
        return {
            "access_token": self.world.mint.issue(
                client.name, client.audiences, life, whole_seconds=rules.whole_seconds
            ),
            "expires_in": whole(life),
            "refresh_expires_in": 0,
            "token_type": "Bearer",
            "not-before-policy": 0,
            "scope": "email profile",
        }

    def _client(self, request: web.BaseRequest, asked: dict[str, str], entry: TokenRequest) -> Client:
        """Find and check the client, which may authenticate in only one way (RFC 6749 section 2.3)."""
        authorization = request.headers.get("Authorization")
        if "client_assertion" in asked:
            if "client_secret" in asked or authorization is not None:
                raise Refused(400, "invalid_request", "More than one way to authenticate")
            return self._signed(asked, entry)
        if authorization is not None:
            if "client_secret" in asked:
                raise Refused(400, "invalid_request", "More than one way to authenticate")
            name, secret = _from_basic(authorization)
        else:
            name, secret = asked.get("client_id", ""), asked.get("client_secret", "")
        entry.client = name
        client = self.clients.get(name)
        if client is None or client.signed or name in self.rejected:
            raise Refused(401, "invalid_client", WRONG)
        if client.basic_only and authorization is None:
            raise Refused(
                401,
                "unauthorized_client",
                "Invalid method used to get client secret. Client requires method 'client_secret_basic'",
            )
        if not hmac.compare_digest(client.secret.encode(), secret.encode()):
            raise Refused(401, "unauthorized_client", WRONG)
        return client

    def _signed(self, asked: dict[str, str], entry: TokenRequest) -> Client:
        """Find and check a client that uses `private_key_jwt`."""
        assertion = asked["client_assertion"]
        for provider in self.federations:
            if provider.knows(claims_of(assertion), asked.get("client_assertion_type", "")):
                return self._federated(provider, assertion, asked, entry)
        entry.client = asked.get("client_id") or client_of(assertion)
        client = self.clients.get(entry.client)
        if client is None or not client.signed or entry.client in self.rejected:
            raise Refused(401, "invalid_client", WRONG)
        if asked.get("client_assertion_type") != TYPE:
            raise Refused(400, "invalid_client", "Parameter client_assertion_type has invalid value")
        key, audiences = self.signing_key(), {self.url, self.issuer}
        fault = fault_of(assertion, key, client.name, audiences, self._used)
        if fault is not None:
            raise Refused(400, "invalid_client", fault)
        return client

    def _federated(
        self, provider: Federation, assertion: str, asked: dict[str, str], entry: TokenRequest
    ) -> Client:
        """Find a client that another issuer authenticates."""
        self.assertions.append(assertion)
        entry.client = provider.clients.get(str(claims_of(assertion).get("sub")), "")
        fault = provider.fault_of(assertion, self.issuer)
        client = self.clients.get(entry.client)
        if fault == "" or client is None or entry.client in self.rejected:
            raise Refused(401, "invalid_client", WRONG)
        if fault is None and asked.get("client_id", client.name) != client.name:
            fault = "client_id parameter does not match authenticated client"
        if fault is not None:
            raise Refused(400, "invalid_client", fault)
        return client


def _from_basic(authorization: str) -> tuple[str, str]:
    """Return id and secret; each was form-encoded before they were joined (RFC 6749 section 2.3.1)."""
    scheme, _, encoded = authorization.partition(" ")
    try:
        name, _, secret = base64.b64decode(encoded, validate=True).decode("ascii").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise Refused(400, "unauthorized_client", "Unexpected error when authenticating client") from None
    if scheme.lower() != "basic" or BAD_PERCENT.search(name + secret):
        raise Refused(400, "unauthorized_client", "Unexpected error when authenticating client")
    return unquote_plus(name), unquote_plus(secret)
