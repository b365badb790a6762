"""Finds the endpoints of an identity provider that a login of a person needs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from proxy.clock import wall_time
from proxy.credentials.discovery import Discovery, endpoint_of
from proxy.credentials.outbound import Outbound
from proxy.credentials.user.settings import UserSettings
from proxy.outgoing.causes import Peer

AUTHORIZATION = "the authorization endpoint"
DEVICE = "the device authorization endpoint"
REVOCATION = "the revocation endpoint"
"""Their names in messages."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a person logs in and out. Queries of these URLs may hold a secret.

    Attributes:
        token: RFC 6749 section 3.2.
        authorization: RFC 6749 section 3.1; None: there is none that we know.
        device: RFC 8628 section 3.1; None likewise.
        revocation: RFC 7009; None likewise.
        issuer: as its document names it, for `iss` in the redirect (RFC 9207); None: not known.
        sends_issuer: whether the issuer promises to send `iss` in each redirect.
    """

    token: str = field(repr=False)
    authorization: str | None = field(default=None, repr=False)
    device: str | None = field(default=None, repr=False)
    revocation: str | None = field(default=None, repr=False)
    issuer: str | None = None
    sends_issuer: bool = False


async def find_endpoints(
    settings: UserSettings, outbound: Outbound, wall: Callable[[], float] = wall_time
) -> Endpoints:
    """Return the configured endpoints, or those that the issuer's discovery document names.

    Args:
        wall: returns seconds since 1970.

    Raises:
        CredentialUnavailable: the issuer does not answer, or its answer cannot be used.
    """
    if settings.issuer_url is None:
        return Endpoints(
            settings.token_url or "",
            settings.authorization_url,
            settings.device_authorization_url,
            settings.revocation_url,
        )
    discovery = Discovery(settings.issuer_url, outbound, settings.timeout, wall)
    return endpoints_in(await discovery.document(), settings.issuer_url, discovery.peer)


def endpoints_in(document: Mapping[str, Any], issuer_url: str, peer: Peer) -> Endpoints:
    """Return the endpoints in a document that `discovery_document` has checked (RFC 8414 section 2).

    Raises:
        CredentialUnavailable: one is plain http, although the issuer is not.
    """

    def named(member: str) -> str | None:
        return endpoint_of(document, member, issuer_url, peer)

    return Endpoints(
        token=document["token_endpoint"],
        authorization=named("authorization_endpoint"),
        device=named("device_authorization_endpoint"),  # RFC 8628 section 4
        revocation=named("revocation_endpoint"),
        issuer=document["issuer"],
        sends_issuer=document.get("authorization_response_iss_parameter_supported") is True,
    )
