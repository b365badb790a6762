"""Sends the requests of a login or logout to an identity provider, as the configured client."""

from collections.abc import Callable, Mapping

from proxy.clock import wall_time
from proxy.credentials.outbound import Outbound
from proxy.credentials.reply import Reply
from proxy.credentials.user.endpoints import Endpoints, find_endpoints
from proxy.credentials.user.settings import UserSettings, form_request
from proxy.outgoing.causes import Peer


class UserClient:
    """The client that a person logs in with; a public one has no secret.

    Args:
        outbound: not closed here.
        wall: returns seconds since 1970.
    """

    def __init__(
        self, settings: UserSettings, outbound: Outbound, wall: Callable[[], float] = wall_time
    ) -> None:
        self.settings = settings
        self.wall = wall
        self._outbound = outbound

    async def post(self, url: str, to: str, fields: Mapping[str, str]) -> Reply:
        """Send a form; the answer may have any status.

        Args:
            to: name of the endpoint in messages.

        Raises:
            CredentialUnavailable: there is no answer, or the client's secret cannot be read.
        """
        request = form_request(self.settings, fields)
        timeout = self.settings.timeout
        return await self._outbound.send(
            "POST", url, to=to, headers=request.headers, body=request.body, timeout=timeout
        )

    async def endpoints(self) -> Endpoints:
        """Find the endpoints; errors as those of `find_endpoints`."""
        return await find_endpoints(self.settings, self._outbound, self.wall)

    def peer(self, to: str, url: str) -> Peer:
        """Return an endpoint as messages name it."""
        return self._outbound.peer(to, url)

    def asked(self, *, scope: bool = False) -> dict[str, str]:
        """Return the parameters that say what the tokens are for, as far as they are configured.

        Providers want them at different endpoints: Auth0 the audience at the login, RFC 8707 the resource at
        all of them.

        Args:
            scope: whether it is a request that begins a login.
        """
        settings = self.settings
        named = {"audience": settings.audience, "resource": settings.resource}
        if scope:
            named["scope"] = settings.scope
        return {name: value for name, value in named.items() if value is not None}

    def sent_secrets(self) -> tuple[str, ...]:
        """Return what no message may show, because an answer may repeat it."""
        secret = self.settings.secret.read() if self.settings.secret is not None else ""
        return (secret, *(value for _, value in self.settings.parameters))
