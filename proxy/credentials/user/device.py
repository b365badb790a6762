"""Logs a person in with a code that the person enters on any device (RFC 8628, device authorization grant).

A pure function reads the answer that names the code; `DeviceLogin` asks for it and polls for the tokens.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final
from urllib.parse import urlsplit

from proxy.clock import Clock, pause
from proxy.credentials.reply import Reply, invalid, json_object
from proxy.credentials.token_answer import ENDPOINT
from proxy.credentials.user.answer import error_of
from proxy.credentials.user.client import UserClient
from proxy.credentials.user.endpoints import DEVICE
from proxy.credentials.user.logged_in import LoggedIn, logged_in
from proxy.credentials.user.pkce import new_proof
from proxy.credentials.user.refusals import BY_DEVICE, refusal
from proxy.errors import CredentialRejected, CredentialUnavailable
from proxy.outgoing.causes import Peer

GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"

USUAL_INTERVAL: Final = 5.0
"""Seconds between two polls, if the answer does not say (section 3.2); oidc-provider and Spring do not."""

SLOWER: Final = 5.0
"""Seconds to add for each `slow_down` (section 3.5)."""

LONGEST_INTERVAL: Final = 60.0
"""Seconds; failed polls are not farther apart."""

LONGEST_WAIT: Final = 1800.0
"""Seconds after which we stop, whatever the provider says of its code."""

LONGEST_CODE: Final = 64
LONGEST_URL: Final = 2048


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """A login that has begun.

    Attributes:
        device_code: what the proxy polls with; a secret.
        user_code: what the person enters; printable.
        address: where the person enters it, and with the code in it; empty: the provider has no such address.
        expires_in: seconds from now.
        interval: seconds between two polls.
    """

    device_code: str = field(repr=False)
    user_code: str = field(repr=False)
    address: str
    complete_address: str = field(repr=False)
    expires_in: float
    interval: float


def device_code(answer: Reply, peer: Peer) -> DeviceCode:
    """Read a device authorization response (section 3.2).

    Raises:
        CredentialUnavailable: it is none.
    """
    document = json_object(answer, str(peer))
    code, user_code = document.get("device_code"), document.get("user_code")
    if not (isinstance(code, str) and code and _is_shown(user_code, LONGEST_CODE)):
        raise invalid(f"{peer}: its answer has no device_code and user_code that can be shown")
    address = document.get("verification_uri", document.get("verification_url"))  # the latter is Google's
    if not _is_page(address):
        raise invalid(f"{peer}: its answer has no verification_uri that is an http(s) URL")
    complete = document.get("verification_uri_complete")
    return DeviceCode(
        code,
        str(user_code),
        str(address),
        str(complete) if _is_page(complete) else "",
        min(_seconds(document, "expires_in", LONGEST_WAIT), LONGEST_WAIT),
        min(_seconds(document, "interval", USUAL_INTERVAL), LONGEST_INTERVAL),
    )


def _seconds(document: Mapping[str, Any], name: str, usual: float) -> float:
    value = document.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < inf:
        return float(min(value, 1e6))
    return usual


def _is_shown(value: object, longest: int) -> bool:
    """Tell whether a terminal can show it as it is."""
    return (
        isinstance(value, str) and 0 < len(value) <= longest and value.isprintable() and value.strip() != ""
    )


def _is_page(value: object) -> bool:
    try:
        url = urlsplit(value) if isinstance(value, str) else None
        return (
            url is not None
            and url.scheme in ("http", "https")
            and bool(url.hostname)
            and _is_shown(value, LONGEST_URL)
            and " " not in str(value)
        )
    except ValueError:
        return False


class DeviceLogin:
    """A login of a person with a code.

    Args:
        url, token_url: the device authorization endpoint and the token endpoint.
    """

    def __init__(self, client: UserClient, url: str, token_url: str, clock: Clock) -> None:
        self._client = client
        self._url = url
        self._token_url = token_url
        self._clock = clock
        self._proof = new_proof()  # Keycloak may demand PKCE here too, and other providers ignore it

    async def begin(self) -> DeviceCode:
        """Ask for a code.

        Raises:
            CredentialRejected: the provider refuses it to our client.
            CredentialUnavailable: there is no answer, or none that makes sense.
        """
        settings, peer = self._client.settings, self._client.peer(DEVICE, self._url)
        fields = self._client.asked(scope=True) | self._proof.challenge
        answer = await self._client.post(self._url, DEVICE, fields)
        if answer.status != 200:
            secrets = self._client.sent_secrets()
            raise refusal(answer, peer, BY_DEVICE, settings.scope, secrets, self._client.wall())
        return device_code(answer, peer)

    async def result(self, code: DeviceCode) -> LoggedIn:
        """Poll until the person has logged in (section 3.5).

        Raises:
            CredentialRejected: the login was denied, the code has expired, or the client is refused.
            CredentialUnavailable: the provider's last answers made no sense, until the code had expired.
        """
        interval, ends_at = code.interval, self._clock.now() + code.expires_in
        failed: CredentialUnavailable | None = None
        # One more poll after the end, because the provider's own answer is better than our guess.
        while self._clock.now() < ends_at + interval:
            await pause(self._clock, interval)
            try:
                found = await self._poll(code)
            except CredentialUnavailable as error:  # section 3.5: poll less often after a time-out
                failed = error
                interval = min(max(interval * 2, error.retry_after or 0.0), LONGEST_INTERVAL)
                continue
            failed = None
            if isinstance(found, LoggedIn):
                return found
            interval += found
        raise failed or CredentialRejected(
            f"no person has logged in with the code within {code.expires_in:.0f} s. Start the login again"
        )

    async def _poll(self, code: DeviceCode) -> LoggedIn | float:
        """Ask for the tokens once; return by how many seconds to ask less often, if there are none yet."""
        client, peer = self._client, self._client.peer(ENDPOINT, self._token_url)
        fields = {"grant_type": GRANT, "device_code": code.device_code, "code_verifier": self._proof.verifier}
        answer = await client.post(self._token_url, ENDPOINT, client.asked() | fields)
        secrets = (*client.sent_secrets(), code.device_code, self._proof.verifier)
        if answer.status == 200:
            return logged_in(answer, client.wall(), peer, secrets)
        match error_of(answer)[0]:
            case "authorization_pending":
                return 0.0
            case "slow_down":
                return SLOWER
        raise refusal(answer, peer, BY_DEVICE, client.settings.scope, secrets, client.wall())
