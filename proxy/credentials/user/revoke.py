"""Revokes a refresh token, and with it the login that it belongs to (RFC 7009)."""

from typing import Final

from proxy.credentials.reply import Reply, json_object
from proxy.credentials.user.client import UserClient
from proxy.credentials.user.endpoints import REVOCATION
from proxy.credentials.user.refusals import Step, refusal
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
    return not _has_error(answer)


def _has_error(answer: Reply) -> bool:
    """Tell whether an answer of 200 names an error, as Keycloak's does for a token that is not good any more.

    Section 2.2 demands 200 for it, and most providers answer as if it had been good.
    """
    try:
        return "error" in json_object(answer, REVOCATION)
    except CredentialUnavailable:
        return False
