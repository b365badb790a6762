"""Client assertions of other issuers, as a real Keycloak 26.7 took them (federated client authentication).

Keycloak has three types of such issuers; each has limits of its own. Needs cryptography, as `assertions.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import jwt

from proxy.clock import wall_time
from proxy.demo.assertions import TYPE

SPIFFE_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe"
Kind = Literal["oidc", "kubernetes", "spiffe"]
OLDEST: Mapping[Kind, float] = {"oidc": 300, "kubernetes": 3600, "spiffe": 300}
"""Greatest age of an assertion in seconds; `fedClientAssertionMaxExp` changes it."""


@dataclass(slots=True)
class Federation:
    """An identity provider of the realm whose tokens authenticate clients.

    Attributes:
        issuer: its `iss`; for SPIFFE the trust domain, `spiffe://NAME`.
        public_key: PEM.
        clients: client by subject.
        reuse: `supportsClientAssertionReuse`; matters for `oidc` only.
        oldest: seconds; None: what Keycloak has for this kind.
    """

    kind: Kind
    issuer: str
    public_key: str
    clients: dict[str, str]
    reuse: bool = False
    oldest: float | None = None
    used: set[str] = field(default_factory=set)

    def knows(self, claims: Mapping[str, Any], kind: str) -> bool:
        """Tell whether an assertion of this `client_assertion_type` is meant for this provider."""
        if self.kind == "spiffe":
            return kind == SPIFFE_TYPE and str(claims.get("sub", "")).startswith(f"{self.issuer}/")
        return kind == TYPE and claims.get("iss") == self.issuer

    def fault_of(self, assertion: str, audience: str) -> str | None:
        """Return Keycloak's message about an assertion; None: taken; empty: refused without a reason.

        Args:
            audience: the realm's issuer, which the assertion must name alone.
        """
        options: Any = {"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False}
        try:
            claims = jwt.decode(assertion, self.public_key, algorithms=["RS256", "ES256"], options=options)
        except jwt.InvalidTokenError:
            return ""
        if claims.get("sub") not in self.clients:
            return ""
        return self._claims_fault(claims, audience)

    def _claims_fault(self, claims: Mapping[str, Any], audience: str) -> str | None:
        now, found = wall_time(), claims.get("aud")
        audiences = found if isinstance(found, list) else [found]
        if len(audiences) > 1:
            return "Multiple audiences not allowed"
        if audiences != [audience]:
            return "Invalid token audience"
        if "exp" not in claims:
            return "Token exp claim is required"
        if claims["exp"] <= now or claims.get("nbf", 0) > now:
            return "Token is not active"
        issued = claims.get("iat")
        if issued is not None and issued > now + 1:
            return "Token was issued in the future"
        oldest = OLDEST[self.kind] if self.oldest is None else self.oldest
        if issued is not None and now - issued > oldest:
            return "Token was issued too far in the past to be used now"
        if self.kind == "oidc" and not self.reuse:
            if "jti" not in claims:
                return "Token jti claim is required"
            if claims["jti"] in self.used:
                return "Token reuse detected"
            self.used.add(claims["jti"])
        return None
