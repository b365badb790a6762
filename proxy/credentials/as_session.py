"""Uses the user and password of Basic for a session, to save the server a password hash per request."""

import logging

from proxy.credentials.credential import Credential, CredentialSource
from proxy.credentials.login import NoLogin

log = logging.getLogger(__name__)


class BasicAsSession:
    """Logs in. If the server has no login, falls back to sending user and password with every request.

    Args:
        name: of the credential, for the log.
        login, basic: the source to try first, and the fallback.
    """

    def __init__(self, name: str, login: CredentialSource, basic: CredentialSource) -> None:
        self._name = name
        self._login = login
        self._basic = basic
        self._told = False

    async def fetch(self) -> Credential:
        """Do as `CredentialSource.fetch` says; log the first fallback."""
        try:
            return await self._login.fetch()
        except NoLogin as error:
            if not self._told:
                self._told = True
                log.warning(
                    "the server offers no session (%s), so user and password are sent with every request",
                    error.said,
                    extra={"credential": self._name},
                )
            return await self._basic.fetch()
