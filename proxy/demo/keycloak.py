"""Keycloak's token endpoint, for Self-Managed; its answers were observed on a real Keycloak 26.7."""

import base64
import binascii
import hmac
import re
from urllib.parse import unquote_plus

from aiohttp import web

from proxy.demo.tokens import Refused, TokenEndpoint, TokenRequest, parse_form, whole
from proxy.demo.world import Client

WRONG = "Invalid client or Invalid client credentials"
SCOPES = frozenset(("openid", "email", "profile"))
BAD_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")


class KeycloakTokens(TokenEndpoint):
    """Form bodies only; `audience` and `resource` are ignored; each token is new, for all audiences."""

    name = "keycloak"
    path = "/auth/realms/camunda-platform/protocol/openid-connect/token"

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
        """Who asks, by `client_secret_basic` or `client_secret_post`; one way only (RFC 6749 section 2.3)."""
        authorization = request.headers.get("Authorization")
        if authorization is not None:
            if "client_secret" in asked:
                raise Refused(400, "invalid_request", "More than one way to authenticate")
            name, secret = _from_basic(authorization)
        else:
            name, secret = asked.get("client_id", ""), asked.get("client_secret", "")
        entry.client = name
        client = self.clients.get(name)
        if client is None or name in self.rejected:
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


def _from_basic(authorization: str) -> tuple[str, str]:
    """Id and secret, each form-encoded before they are joined (RFC 6749 section 2.3.1)."""
    scheme, _, encoded = authorization.partition(" ")
    try:
        name, _, secret = base64.b64decode(encoded, validate=True).decode("ascii").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise Refused(400, "unauthorized_client", "Unexpected error when authenticating client") from None
    if scheme.lower() != "basic" or BAD_PERCENT.search(name + secret):
        raise Refused(400, "unauthorized_client", "Unexpected error when authenticating client")
    return unquote_plus(name), unquote_plus(secret)
