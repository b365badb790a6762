"""Pure: what an issuer's discovery document offers, and whether what is configured is among it."""

from collections.abc import Iterable

from proxy.commands.doctor.finding import Step
from proxy.commands.doctor.recording import Exchange
from proxy.config.model import OAuth2
from proxy.credentials.metadata import Offered, offered
from proxy.credentials.reply import json_object
from proxy.errors import CredentialUnavailable
from proxy.terms import DISCOVERY, GRANT_TYPES


def offer_of(exchanges: Iterable[Exchange]) -> Offered | None:
    """Return what the issuer offers; None: it was not asked, or its document cannot be read."""
    for each in exchanges:
        if each.method == "GET" and each.url.endswith(DISCOVERY) and each.reply is not None:
            try:
                return offered(json_object(each.reply, "the issuer")) if each.reply.status == 200 else None
            except CredentialUnavailable:
                return None
    return None


def offer_step(offer: Offered) -> Step:
    """Return the step that says what the provider would take."""
    grants = " ".join(_short(each) for each in offer.grant_types) or "not said"
    methods = " ".join(offer.auth_methods) or "not said"
    facts = {"grant_types": list(offer.grant_types), "auth_methods": list(offer.auth_methods)}
    return Step("issuer", "ok", f"offers grants: {grants}; client authentication: {methods}", facts=facts)


def not_offered(config: OAuth2, offer: Offered | None) -> str:
    """Say what is configured and not offered, for a credential that was refused; empty: nothing is."""
    if offer is None:
        return ""
    words = ""
    if offer.grant_types and GRANT_TYPES[config.grant_type] not in offer.grant_types:
        listed = " ".join(_short(each) for each in offer.grant_types)
        words += f" Its discovery document does not offer the grant {config.grant_type}, only: {listed}."
    method = _method(config)
    if method and offer.auth_methods and method not in offer.auth_methods:
        words += (
            f" Its discovery document does not offer client authentication by {method}"
            f" (credentials.{config.name}.auth_method), only: {' '.join(offer.auth_methods)}."
        )
    return words


def _method(config: OAuth2) -> str:
    """Return the registered name of our method; empty: there is none.

    An assertion of another issuer is a form of `private_key_jwt`: Keycloak lists no other name for it.
    """
    if config.auth_method != "client_assertion":
        return config.auth_method
    return "private_key_jwt" if config.client_assertion_type == "jwt-bearer" else ""


def _short(grant: str) -> str:
    return grant.removeprefix("urn:ietf:params:oauth:grant-type:")
