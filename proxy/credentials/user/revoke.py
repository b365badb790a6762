"""Revokes a refresh token, and with it the login that it belongs to (RFC 7009)."""

from typing import Final

from proxy.credentials.user.client import UserClient
from proxy.credentials.user.endpoints import REVOCATION
from proxy.credentials.user.refusals import Step, error_of, refusal
from proxy.errors import CredentialUnavailable

_STEP: Final = Step("token revocation", "its right to revoke tokens", "end the login there", "revocation")


async def revoke(client: UserClient, url: str, refresh_token: str) -> bool:
    """Revoke a refresh token; return whether it was good until now, as far as the provider says.

    Args:
        url: the revocation endpoint.

    Raises:
        CredentialRejected: the provider refuses it to our client.
        CredentialUnavailable: there is no answer, or the provider has failed.
    """
    fields = {"token": refresh_token, "token_type_hint": "refresh_token"}
    answer = await client.post(url, REVOCATION, fields)
    if answer.status != 200:
        secrets = (*client.sent_secrets(), refresh_token)
        peer = client.peer(REVOCATION, url)
        raise refusal(answer, peer, _STEP, None, secrets, client.wall())
    # Section 2.2 demands 200 for an unknown token too; Keycloak adds an error to it.
    return error_of(answer)[0] == ""
