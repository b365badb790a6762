"""Basic as a session: one login, where Basic costs the server a password hash for every request."""

import logging

from proxy.credentials.credential import Credential, CredentialSource
from proxy.credentials.login import NoLogin

log = logging.getLogger(__name__)


class BasicAsSession:
    """Logs in; where the server has no login, its user and password go with every request, and the log says
    so once.

    Args:
        name: of the credential, for the log.
        login, basic: the one to try, and the one to fall back to.
    """

    def __init__(self, name: str, login: CredentialSource, basic: CredentialSource) -> None:
        self._name = name
        self._login = login
        self._basic = basic
        self._told = False

    async def fetch(self) -> Credential:
        """As `CredentialSource.fetch`."""
        try:
            return await self._login.fetch()
        except NoLogin as error:
            if not self._told:
                self._told = True
                log.warning(
                    "no session can be had (%s), so Basic goes with every request",
                    error.said,
                    extra={"credential": self._name},
                )
            return await self._basic.fetch()
