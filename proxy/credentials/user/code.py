"""Logs a person in through the browser of this machine (RFC 8252: authorization code with PKCE on loopback).

Pure functions make the address that the browser opens and judge the redirect; `CodeLogin` waits for it.
"""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from proxy.clock import Clock, pause
from proxy.credentials.token_answer import ENDPOINT
from proxy.credentials.user.client import UserClient
from proxy.credentials.user.endpoints import AUTHORIZATION, Endpoints
from proxy.credentials.user.logged_in import LoggedIn, logged_in
from proxy.credentials.user.loopback import Loopback, Told
from proxy.credentials.user.pkce import new_proof
from proxy.credentials.user.refusals import BY_BROWSER, by_error, refusal, told_words
from proxy.errors import CredentialError, CredentialRejected
from proxy.outgoing.causes import Peer, shown

WAIT: Final = 600.0
"""Seconds for the person. An error of the provider may be a page that never comes back (Keycloak 26.7)."""


class Verdict(NamedTuple):
    """What a request to the redirect address is.

    Attributes:
        kind: `code`: the answer that we wait for. `error`: the provider's answer is an error, or cannot be
            trusted. `foreign`: no answer to our request, so it changes nothing.
        text: the code, or what is wrong, in words.
    """

    kind: Literal["code", "error", "foreign"]
    text: str = ""

    def __repr__(self) -> str:
        return f"Verdict({self.kind}, ***)"


@dataclass(frozen=True, slots=True)
class Expected:
    """What the redirect has to hold.

    Attributes:
        state: random; shows that the redirect answers our request (RFC 6749 section 10.12).
        issuer: as the issuer's document names it; None: not known.
        sends_issuer: whether the redirect must name it (RFC 9207 section 2.4).
        peer, scope: for messages; the peer is the authorization endpoint.
    """

    state: str = field(repr=False)
    issuer: str | None = None
    sends_issuer: bool = False
    peer: Peer = Peer(AUTHORIZATION)  # noqa: RUF009 -- a value
    scope: str | None = None


def judge(query: str, expected: Expected) -> Verdict:
    """Judge the query of a request to the redirect address (RFC 6749 section 4.1.2, RFC 9207)."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=50, errors="strict")
    except ValueError:
        return Verdict("foreign", "its query cannot be read")
    found = dict(pairs)
    state = found.get("state", "")
    if not hmac.compare_digest(state.encode("utf-8", "surrogatepass"), expected.state.encode()):
        return Verdict("foreign", "its state is not that of this login")
    if len(found) < len(pairs):
        return Verdict("error", "the redirect has a parameter twice")
    issuer = found.get("iss")
    if issuer is None and expected.sends_issuer:
        return Verdict("error", "the redirect does not name the issuer, although the issuer promises that")
    if issuer is not None and expected.issuer is not None and issuer != expected.issuer:
        other = f" ({shown(issuer)})" if shown(issuer) else ""
        return Verdict("error", f"the redirect came from another issuer{other} than this login began with")
    if "error" in found:
        told = told_words(found["error"], found.get("error_description", ""), (expected.state,))
        words = by_error(
            found["error"], f" ({told})" if told else "", expected.peer, BY_BROWSER, expected.scope
        )
        return Verdict("error", f"{expected.peer}: {words}")
    if not found.get("code"):
        return Verdict("error", "the redirect has no code")
    return Verdict("code", found["code"])


def address(endpoint: str, fields: Mapping[str, str]) -> str:
    """Return the authorization endpoint with these parameters after its own query (RFC 6749 section 3.1)."""
    url = urlsplit(endpoint)
    query = "&".join(each for each in (url.query, urlencode(fields)) if each)
    return urlunsplit(url._replace(query=query))


class CodeLogin:
    """A login of a person in the browser, to be used once.

    Args:
        endpoint: the authorization endpoint.
        endpoints: of the provider.
        listener: receives the redirect.
    """

    def __init__(
        self, client: UserClient, endpoint: str, endpoints: Endpoints, listener: Loopback, clock: Clock
    ) -> None:
        self._client = client
        self._endpoint = endpoint
        self._endpoints = endpoints
        self._listener = listener
        self._clock = clock
        self._proof = new_proof()
        self._state = secrets.token_urlsafe(32)
        peer, scope = client.peer(AUTHORIZATION, endpoint), client.settings.scope
        expected = Expected(self._state, endpoints.issuer, endpoints.sends_issuer, peer, scope)
        self._redirect = listener.expect(lambda query: judge(query, expected))

    @property
    def address(self) -> str:
        """What the person's browser opens."""
        fields = {
            "response_type": "code",
            "client_id": self._client.settings.client_id,
            "redirect_uri": self._listener.redirect_uri,
            "state": self._state,
        }
        asked = self._client.asked(scope=True)
        extra = dict(self._client.settings.parameters)
        return address(self._endpoint, extra | asked | fields | self._proof.challenge)

    async def result(self) -> LoggedIn:
        """Wait for the redirect, and exchange its code for tokens.

        Raises:
            CredentialRejected: the login was denied, was not finished in time, or the client is refused.
            CredentialUnavailable: the token endpoint gave no answer, or none that makes sense.
        """
        if not await pause(self._clock, WAIT, self._redirect):
            self._listener.tell(Told(False, "The login was not finished in time."))
            raise CredentialRejected(
                f"no answer of the identity provider came back to this machine within {WAIT / 60:.0f} min."
                " Start the login again; if the provider shows an error page, that page says what it does not"
                f" accept ({BY_BROWSER.setting})"
            )
        verdict = self._redirect.result()
        try:
            if verdict.kind == "error":
                raise CredentialRejected(verdict.text)
            return await self._exchange(verdict.text)
        except CredentialError as error:
            self._listener.tell(Told(False, f"The login failed: {error}."))
            raise

    async def _exchange(self, code: str) -> LoggedIn:
        client, url = self._client, self._endpoints.token
        peer = client.peer(ENDPOINT, url)
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._listener.redirect_uri,
            "code_verifier": self._proof.verifier,
        }
        answer = await client.post(url, ENDPOINT, client.asked() | fields)
        secrets = (*client.sent_secrets(), code, self._proof.verifier)
        if answer.status == 200:
            return logged_in(answer, client.wall(), peer, secrets)
        raise refusal(answer, peer, BY_BROWSER, client.settings.scope, secrets, client.wall())
