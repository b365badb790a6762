"""An issuer of ours: stands in for a Kubernetes API server, SPIRE, or another company's identity provider."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.federated import claims


class WorkloadIssuer:
    """Serves its key in every form in which Keycloak asks for it.

    Attributes:
        name: unlike that of any other one: the alias, and the trust domain.
        url: its `iss`.
    """

    def __init__(self, key: Path) -> None:
        self.name = f"workload-{uuid4().hex[:12]}"
        self.url = ""
        self._pem = key.read_text()

    @property
    def spiffe_id(self) -> str:
        return f"spiffe://{self.name}.example/camunda/proxy"

    def token(self, audience: str, life: int = 600, **changes: Any) -> str:
        """A signed token that is good from now on, for `life` seconds."""
        made = claims(iss=self.url, aud=audience, **changes)
        made["exp"] = made["iat"] + life
        return jwt.encode(made, self._pem, "RS256", {"kid": self.name})

    async def answer(self, request: web.BaseRequest) -> web.Response:
        if request.path == "/.well-known/openid-configuration":
            return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/keys"})
        public: Any = load_pem_private_key(self._pem.encode(), None).public_key()
        key = jwt.algorithms.RSAAlgorithm.to_jwk(public, as_dict=True) | {"kid": self.name}
        key.pop("key_ops", None)
        use = {"use": "jwt-svid"} if request.path == "/bundle" else {"use": "sig", "alg": "RS256"}
        return web.json_response({"keys": [key | use]})


@asynccontextmanager
async def workload_issuer(key: Path) -> AsyncIterator[WorkloadIssuer]:
    issuer = WorkloadIssuer(key)
    runner = web.ServerRunner(web.Server(issuer.answer, access_log=None))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield issuer
    finally:
        await runner.cleanup()
