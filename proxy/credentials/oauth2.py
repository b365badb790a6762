"""Gets tokens in one POST, by client credentials (RFC 6749 section 4.4), or in exchange for a token of
another issuer (RFC 7523 section 2.1, RFC 8693).

A pure function builds the request, `token_answer` reads the answer, `OAuth2Source` sends and receives.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from urllib.parse import quote_plus, urlencode

from proxy.clock import Clock, wall_time
from proxy.credentials.assertion import Signer
from proxy.credentials.credential import Credential
from proxy.credentials.discovery import Discovery
from proxy.credentials.outbound import Outbound
from proxy.credentials.secret import Secret
from proxy.credentials.standing import FileEnd
from proxy.credentials.token_answer import ENDPOINT, parse_token_answer
from proxy.credentials.token_file import TokenFile
from proxy.errors import CredentialRejected, CredentialUnavailable
from proxy.outgoing.answer_causes import Asked
from proxy.terms import (
    GRANT_TYPES,
    AuthMethod,
    ClientAssertionType,
    GrantType,
    RequestFormat,
    SubjectTokenType,
)

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:"
"""Prefix of `client_assertion_type` (RFC 7523 section 2.2, draft-ietf-oauth-spiffe-client-auth)."""

TOKEN_TYPE = "urn:ietf:params:oauth:token-type:"  # noqa: S105 -- no password
"""Prefix of `subject_token_type` (RFC 8693 section 3)."""


@dataclass(frozen=True, slots=True)
class OAuth2Settings:
    """The contents of a token request.

    Attributes:
        token_url: None: found through the issuer.
        client_id: None: not sent, because the assertion names the client, or there is none.
        secret: the client's; with `private_key_jwt` the key in PEM form; None with other methods than these.
        issuer_url: without a trailing slash; set if there is no token URL.
        key_id, certificate: for the header of an assertion; None: left out.
        client_assertion: with `client_assertion`: what another issuer has signed.
        subject: with another grant than `client_credentials`: the assertion, or the subject token.
        audience, scope, resource: None: not sent.
        parameters: further ones to send; those named above win.
        timeout: seconds for the whole exchange. SaaS delays its answer by 30 s after a wrong secret.
    """

    token_url: str | None = field(repr=False)  # its query may hold a secret
    client_id: str | None
    secret: Secret | None
    auth_method: AuthMethod = "client_secret_post"
    issuer_url: str | None = None
    key_id: str | None = None
    certificate: Secret | None = None
    client_assertion: TokenFile | None = None
    client_assertion_type: ClientAssertionType = "jwt-bearer"
    grant_type: GrantType = "client_credentials"
    subject: TokenFile | None = None
    subject_token_type: SubjectTokenType = "jwt"  # noqa: S105 -- no password
    request_format: RequestFormat = "form"
    audience: str | None = None
    scope: str | None = None
    resource: str | None = None
    parameters: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    timeout: float = 45.0


def key_of(settings: OAuth2Settings) -> Hashable:
    """Return the key of a keeper. Settings with equal keys get the same token, so they share a keeper."""
    return replace(settings, timeout=0.0)


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A POST to the token endpoint."""

    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def token_request(settings: OAuth2Settings, proof: str, subject: str = "") -> TokenRequest:
    """Build the request for these settings.

    Args:
        proof: authenticates the client: the secret, or an assertion. With `tls_client_auth` it is not used,
            because the connection authenticates the client (RFC 8705 section 2), nor with `none`.
        subject: the assertion of the grant jwt-bearer, or the subject token.

    Raises:
        CredentialUnavailable: a value cannot be written as UTF-8.
    """
    named = {"audience": settings.audience, "scope": settings.scope, "resource": settings.resource}
    fields = dict(settings.parameters)
    fields |= {"grant_type": GRANT_TYPES[settings.grant_type]} | _subject(settings, subject)
    fields |= {name: value for name, value in named.items() if value is not None}
    headers = {"Accept": "application/json"}
    try:
        if settings.auth_method == "client_secret_basic":
            # RFC 6749 section 2.3.1: both are form-encoded first.
            pair = f"{quote_plus(settings.client_id or '')}:{quote_plus(proof)}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        else:
            fields |= {} if settings.client_id is None else {"client_id": settings.client_id}
            fields |= _shown(settings, proof)
        if settings.request_format == "json":
            headers["Content-Type"] = "application/json"
            return TokenRequest(headers, json.dumps(fields, ensure_ascii=False).encode())
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return TokenRequest(headers, urlencode(fields).encode())
    except UnicodeError:  # not chained, because its message holds the text
        raise CredentialUnavailable(
            "the client's id, secret or parameters are not text", outcome="invalid"
        ) from None


def _shown(settings: OAuth2Settings, proof: str) -> dict[str, str]:
    """Return the parameters in the body that authenticate the client, besides its id."""
    match settings.auth_method:
        case "private_key_jwt":
            return {"client_assertion_type": f"{ASSERTION_TYPE}jwt-bearer", "client_assertion": proof}
        case "client_assertion":
            kind = f"{ASSERTION_TYPE}{settings.client_assertion_type}"
            return {"client_assertion_type": kind, "client_assertion": proof}
        case "tls_client_auth" | "none":
            return {}
    return {"client_secret": proof}


def _subject(settings: OAuth2Settings, subject: str) -> dict[str, str]:
    """Return the parameters for which the token is granted (RFC 7523 section 2.1, RFC 8693 section 2.1)."""
    match settings.grant_type:
        case "jwt-bearer":
            return {"assertion": subject}
        case "token-exchange":
            kind = f"{TOKEN_TYPE}{settings.subject_token_type}"
            return {"subject_token": subject, "subject_token_type": kind}
    return {}


class OAuth2Source:
    """Gets tokens by client credentials, or for a token of another issuer.

    Args:
        outbound: the HTTP client for token endpoint and issuer; not closed here.
        credential: the setting that proves who the client is, for messages.
        wall: returns seconds since 1970.
    """

    def __init__(
        self,
        settings: OAuth2Settings,
        outbound: Outbound,
        clock: Clock,
        *,
        credential: str = "client_secret",
        wall: Callable[[], float] = wall_time,
    ) -> None:
        self._settings = settings
        self._outbound = outbound
        self._clock = clock
        self._wall = wall
        self._files = [each for each in (settings.client_assertion, settings.subject) if each is not None]
        self._asked = Asked(
            settings.scope,
            settings.audience,
            credential,
            settings.grant_type,
            settings.client_assertion is not None,
            settings.subject.setting if settings.subject is not None else "",
        )
        self._issuer: Discovery | None = None
        if settings.issuer_url is not None:
            self._issuer = Discovery(settings.issuer_url, outbound, settings.timeout, wall)
        self._signer: Signer | None = None
        if settings.auth_method == "private_key_jwt" and settings.secret is not None:
            self._signer = Signer(
                settings.client_id or "", settings.secret, settings.key_id, settings.certificate
            )

    async def fetch(self) -> Credential:
        """Get a token, as `CredentialSource.fetch` says."""
        if self._issuer is None:
            return await self._fetch(self._settings.token_url or "")
        url = await self._issuer.token_url()
        try:
            return await self._fetch(url)
        except CredentialUnavailable as error:
            if error.outcome != "limited":  # the endpoint may have moved
                self._issuer.forget()
            raise

    def file_end(self, now: float) -> FileEnd | None:
        """Return which token in a file expires first; None: no file is sent, or none says when.

        Args:
            now: seconds on the Clock.
        """
        ends = [end for each in self._files if (end := each.end(now)) is not None]
        return min(ends, key=lambda end: end.ends_at, default=None)

    async def _fetch(self, token_url: str) -> Credential:
        proof = self._proof(token_url)
        subject = self._settings.subject.take() if self._settings.subject is not None else ""
        try:
            return await self._granted(token_url, proof, subject)
        except CredentialUnavailable as error:
            if error.outcome == "invalid":  # else nothing is said about the tokens
                self._note_failed(proof, subject)
            raise
        except CredentialRejected:
            self._note_failed(proof, subject)
            raise

    def _note_failed(self, proof: str, subject: str) -> None:
        """Let another token in a file be tried at once."""
        if self._settings.client_assertion is not None:
            self._settings.client_assertion.failed(proof)
        if self._settings.subject is not None:
            self._settings.subject.failed(subject)

    async def _granted(self, token_url: str, proof: str, subject: str) -> Credential:
        request = token_request(self._settings, proof, subject)
        fetched_at = self._clock.now()
        answer = await self._outbound.send(
            "POST",
            token_url,
            to=ENDPOINT,
            headers=request.headers,
            body=request.body,
            timeout=self._settings.timeout,
        )
        return parse_token_answer(
            answer,
            fetched_at,
            self._wall(),
            self._outbound.peer(ENDPOINT, token_url),
            self._asked,
            (proof, subject, *(value for _, value in self._settings.parameters)),
        )

    def _proof(self, token_url: str) -> str:
        if self._signer is not None:
            return self._signer.assertion(token_url, self._wall())
        if self._settings.client_assertion is not None:
            return self._settings.client_assertion.take()
        return self._settings.secret.read() if self._settings.secret is not None else ""
