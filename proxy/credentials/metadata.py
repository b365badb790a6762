"""Pure: what an identity provider says that it takes (OpenID Connect Discovery 1.0 section 3, RFC 8414)."""

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.outgoing.causes import cleaned

MOST = 32
"""Most values of a list that are read."""


@dataclass(frozen=True, slots=True)
class Offered:
    """What a discovery document offers, as cleaned texts.

    Attributes:
        grant_types: of `grant_types_supported`; empty: the document does not say.
        auth_methods: of `token_endpoint_auth_methods_supported`; empty: it does not say.
    """

    grant_types: tuple[str, ...] = ()
    auth_methods: tuple[str, ...] = ()


def offered(document: Mapping[str, object]) -> Offered:
    """Return what a discovery document offers; values that are no text are left out."""
    return Offered(
        _texts(document.get("grant_types_supported")),
        _texts(document.get("token_endpoint_auth_methods_supported")),
    )


def _texts(value: object) -> tuple[str, ...]:
    values = value[:MOST] if isinstance(value, list) else []
    return tuple(cleaned(each) for each in values if isinstance(each, str) and each)
