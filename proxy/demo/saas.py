"""Simulates Camunda's token endpoint on SaaS: `https://login.cloud.camunda.io/oauth/token`."""

import hmac
import json
from collections.abc import Iterable

from aiohttp import web

from proxy.clock import pause
from proxy.demo.tokens import NO_STORE, Refused, TokenEndpoint, TokenRequest, parse_form, whole
from proxy.demo.world import Client, World

# A gap may look shorter here than at the caller, if the first request took longer to arrive than the second.
UNEVEN = 0.05


class SaasTokens(TokenEndpoint):
    """JSON and form bodies (Camunda docs show both), one audience per token, the same token returned again.

    Statuses come from Camunda's issues and the JavaScript SDK; the bodies of errors are not known.
    """

    name = "saas"
    path = "/oauth/token"

    def __init__(self, world: World, clients: Iterable[Client]) -> None:
        super().__init__(world, clients)
        self._last_by_address: dict[str | None, float] = {}
        self._tarpit_until: dict[tuple[str, str, str], float] = {}
        self._given: dict[tuple[str, str], tuple[str, float]] = {}

    def forget(self) -> None:
        """Forget the tokens that would be returned again, so that the next one is new."""
        self._given.clear()

    async def granted(self, request: web.BaseRequest, entry: TokenRequest) -> dict[str, object]:
        now, rules = entry.at, self.world.rules
        last = self._last_by_address.get(request.remote)
        self._last_by_address[request.remote] = now
        if last is not None and now - last < rules.token_gap - UNEVEN:
            raise Refused(429, "limited")
        asked = await self._asked(request)
        name, secret = asked.get("client_id", ""), asked.get("client_secret", "")
        entry.client, entry.audience = name, asked.get("audience", "")
        if asked.get("grant_type") != "client_credentials":
            raise Refused(400, "unsupported_grant_type")
        await self._check_secret(name, secret, entry.audience)
        client = self.clients[name]
        if entry.audience not in client.audiences:
            raise Refused(403, "access_denied")  # camunda/camunda #4356
        return self._token(client, entry)

    async def _asked(self, request: web.BaseRequest) -> dict[str, str]:
        if request.method != "POST":
            raise Refused(405, "method_not_allowed")
        if request.path.rstrip("/") != self.path:  # the Java client's default ends in a slash
            raise Refused(404, "not_found")
        if request.query_string:
            raise Refused(400, "invalid_request", "Parameters belong into the body")  # RFC 6749 section 2.3.1
        body = await request.read()
        if request.content_type == "application/x-www-form-urlencoded":
            return parse_form(body)
        if request.content_type != "application/json":
            raise Refused(415, "unsupported_media_type")
        try:
            asked = json.loads(body)
        except ValueError:
            asked = None
        if not isinstance(asked, dict) or not all(isinstance(value, str) for value in asked.values()):
            raise Refused(400, "invalid_request", "Malformed JSON body")
        return asked

    async def _check_secret(self, name: str, secret: str, audience: str) -> None:
        """Check the secret. A wrong one gets 401, and later requests are delayed (JavaScript SDK #605, #606,
        #614)."""
        clock, tarpit = self.world.clock, self.world.rules.tarpit
        key = (name, secret, audience)
        if clock.now() < self._tarpit_until.get(key, 0):
            await pause(clock, tarpit)
        client = self.clients.get(name)
        known = client is not None and hmac.compare_digest(client.secret.encode(), secret.encode())
        if not known or name in self.rejected:
            self._tarpit_until[key] = clock.now() + tarpit
            raise Refused(401, "access_denied", "Unauthorized")

    def _token(self, client: Client, entry: TokenRequest) -> dict[str, object]:
        rules, now = self.world.rules, self.world.clock.now()
        token, expiry = self._given.get((client.name, entry.audience), ("", 0.0))
        entry.outcome = "same"
        if expiry - now <= rules.reissue_before:
            life = rules.token_life if client.life is None else client.life
            token = self.world.mint.issue(
                client.name, [entry.audience], life, whole_seconds=rules.whole_seconds
            )
            expiry = now + life
            self._given[client.name, entry.audience] = (token, expiry)
            entry.outcome = "issued"
        return {
            "access_token": token,
            "expires_in": whole(expiry - now),  # what remains of it
            "scope": "5c34c0a7-0000-0000-0000-000000000000",
            "token_type": "Bearer",
        }

    def refusal(self, refused: Refused) -> web.Response:
        if refused.status != 429:
            return super().refusal(refused)
        response = web.Response(status=429, text="Too Many Requests", headers=NO_STORE)
        if self.world.rules.retry_after is not None:
            response.headers["Retry-After"] = self.world.rules.retry_after
        return response
