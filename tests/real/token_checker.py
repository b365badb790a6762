"""A small API that checks Keycloak's tokens as a resource server does: signature, issuer, audience, expiry.

`python -m tests.real.token_checker PORT REALM_URL` answers `GET /v2/topology` with 200, or with 401 and the
reason in `detail`. It fetches keys when a token of an unknown key comes, and keeps them until it ends.
"""

import asyncio
import sys
from typing import Any

import jwt
from aiohttp import web

AUDIENCE = "zeebe-api"


def application(realm: str) -> web.Application:
    keys = jwt.PyJWKClient(f"{realm}/protocol/openid-connect/certs", cache_keys=True, lifespan=3600)

    def claims(token: str) -> Any:
        key = keys.get_signing_key_from_jwt(token)
        return jwt.decode(token, key.key, algorithms=["RS256"], audience=AUDIENCE, issuer=realm)

    async def topology(request: web.Request) -> web.Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer":
            return web.json_response({"status": 401, "detail": "no bearer token"}, status=401)
        try:
            await asyncio.to_thread(claims, token)
        except (jwt.InvalidTokenError, jwt.PyJWKClientError) as error:
            return web.json_response({"status": 401, "detail": str(error)}, status=401)
        return web.json_response({"brokers": []})

    app = web.Application()
    app.router.add_get("/v2/topology", topology)
    return app


if __name__ == "__main__":
    web.run_app(application(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), print=None)
