"""Pure: what the answer of a token endpoint or an issuer means, in words for who must change something.

`proxy.outgoing.causes` has the words that the running proxy uses as well. `token_texts.py` knows texts of
Keycloak (observed on 26.7), Entra ID and Auth0 (Camunda SaaS).
"""

import re
from dataclasses import dataclass
from typing import Final

from proxy.commands.doctor.finding import Why, split
from proxy.commands.doctor.foreign import Foreign, of_foreign
from proxy.commands.doctor.token_texts import TEXTS
from proxy.credentials.reply import Reply, strict_json
from proxy.outgoing.answer_causes import PAGES, Asked, TokenAnswer, of_answer
from proxy.outgoing.causes import Peer, cleaned, shown
from proxy.terms import GrantType

SAAS_HOST: Final = "login.cloud.camunda.io"
SLOW: Final = 10.0
"""Seconds of an answer after which Camunda SaaS's delay for wrong credentials is likely (30 s)."""


@dataclass(frozen=True, slots=True)
class TokenAsked:
    """What was configured for a token request.

    Attributes:
        section: `credentials.NAME`.
        url: where it was sent, as `shown` writes it.
        audience, scope, resource: None: not sent.
        assertion: what authenticates the client; None: no assertion of another issuer does.
        subject: the token that is exchanged, or the assertion of the grant jwt-bearer; None: there is none.
    """

    section: str
    url: str
    client_id: str
    auth_method: str
    request_format: str
    audience: str | None = None
    scope: str | None = None
    resource: str | None = None
    grant_type: GrantType = "client_credentials"
    assertion: Foreign | None = None
    subject: Foreign | None = None

    @property
    def saas(self) -> bool:
        return (split(self.url).hostname or "").removesuffix(".").endswith("camunda.io")

    @property
    def setting(self) -> str:
        return f"{self.section}.token_url"


def of_token_answer(reply: Reply, seconds: float, asked: TokenAsked) -> Why:
    """Return why an answer of the token endpoint has no usable token.

    Args:
        reply: the caller has found that it has none.
        seconds: that it took.
    """
    error, description = _members(reply)
    told = _told(reply.status, error, description)
    if (foreign := _foreign(error, description, reply.status, asked)) is not None:
        return _why(foreign[0], f"{foreign[1]} {told}", asked)
    for pattern, name, text in TEXTS:
        if re.search(pattern, f"{error} {description}"):
            return _why(name, f"{text} {told}", asked)
    if (found := _by_status(reply, error, seconds, asked)) is not None:
        name, text = found
        return _why(name, f"{text} {told}", asked)
    peer = Peer("the token endpoint", asked.url, asked.setting, asked.section)
    answer = TokenAnswer(
        reply.status,
        reply.media_type,
        reply.get("location") or "",
        error,
        description,
        reply.body[:512],
    )
    credential = "private_key_file" if asked.auth_method == "private_key_jwt" else "client_secret"
    credential = asked.assertion.setting if asked.assertion is not None else f"{asked.section}.{credential}"
    subject = asked.subject.setting if asked.subject is not None else ""
    what = Asked(
        asked.scope, asked.audience, credential, asked.grant_type, asked.assertion is not None, subject
    )
    name, text = of_answer(answer, peer, what)
    return Why(f"token_{name}", f"{peer}: {text}.")


def _foreign(error: str, description: str, status: int, asked: TokenAsked) -> tuple[str, str] | None:
    """Return why the token of another issuer was refused; None: it was not, or there is none.

    An `invalid_client` is about the client's assertion, other errors are about the subject token.
    """
    about_client = error in ("invalid_client", "unauthorized_client", "")
    it = asked.assertion if about_client or asked.subject is None else asked.subject
    return of_foreign(error, description, status, it) if it is not None else None


def _by_status(reply: Reply, error: str, seconds: float, asked: TokenAsked) -> tuple[str, str] | None:
    status = reply.status
    if status == 429 and asked.saas:
        return (
            "token_limited",
            (
                "Camunda SaaS accepts about one token request a second from one IP address, failed ones"
                " included. Other programs behind this address request tokens too; let them share one proxy."
                " The proxy waits and tries again."
            ),
        )
    if 300 <= status < 400 and split(reply.get("location") or "").path.rstrip("/").endswith("/login"):
        return (
            "token_client_to_login",
            (
                "The identity provider sends the request to its login page: it does not accept this client,"
                " or not its way to authenticate. Correct {section}.client_id and {section}.auth_method."
            ),
        )
    if status == 415:
        return (
            "token_request_format",
            "The token endpoint does not read this body. Correct {section}.request_format (form is usual).",
        )
    if status == 401 and error in ("invalid_client", "unauthorized_client", "access_denied", ""):
        return _client(seconds, asked)
    if status == 400 and error in ("invalid_client", "access_denied"):
        return _client(seconds, asked)
    if status == 403 and (asked.saas or error == "access_denied"):
        return (
            "token_audience",
            (
                "The client `{client}` may not get tokens for the audience {audience}. In Console (Cluster,"
                " API), check which APIs its scopes name and that it belongs to this cluster; or correct the"
                " upstream's `audience`. Console's and Web Modeler's APIs need a client of the organisation."
            ),
        )
    return None


def _client(seconds: float, asked: TokenAsked) -> tuple[str, str]:
    if asked.auth_method == "private_key_jwt":
        return (
            "token_client_refused",
            (
                "The identity provider does not know the client `{client}`, or not its key. Correct"
                " {section}.client_id, and register the certificate of {section}.private_key_file there."
            ),
        )
    if asked.auth_method == "tls_client_auth":
        return (
            "token_client_refused",
            (
                "The identity provider does not accept the client `{client}` with our certificate. Correct"
                " {section}.client_id, or register the certificate of {section}.tls.cert_file there."
            ),
        )
    text = (
        "The client `{client}` is unknown there, or its secret is wrong. Correct {section}.client_id and"
        " {section}.client_secret; a secret that was shown once cannot be read again, so create a new one"
    )
    text += " in Console (Cluster, API)." if asked.saas else " in Keycloak or Identity (client, credentials)."
    if seconds > SLOW and asked.saas:
        text += (
            f" The answer took {seconds:.0f} s, because Camunda SaaS delays requests after a wrong secret by"
            " 30 s."
        )
    return "token_wrong_secret", text


def of_unusable_token(reply: Reply, message: str, asked: TokenAsked) -> Why:
    """Return why a 200 is no usable token.

    Args:
        message: of the parser that refused it.
    """
    if _members(reply)[0]:
        return of_token_answer(reply, 0.0, asked)
    if reply.media_type in PAGES:
        return _why(
            "token_html",
            "The URL answers with a page for people, so it is no token endpoint, or a gateway or login page"
            " answers in its place. Correct {setting}.",
            asked,
        )
    return _why(
        "token_answer_unusable",
        f"{cleaned(message)[:1].upper()}{cleaned(message)[1:]}. Check that {{setting}} is a token endpoint,"
        " and ask the operators of that identity provider.",
        asked,
    )


def of_discovery(reply: Reply, issuer_url: str, message: str, section: str) -> Why:
    """Return why an issuer's discovery document cannot be used.

    Args:
        message: of the reader that refused it.
    """
    setting = f"{section}.issuer_url"
    named = _document(reply).get("issuer")
    if reply.status == 200 and isinstance(named, str) and named.removesuffix("/") != issuer_url:
        return Why(
            "issuer_name",
            f"The issuer calls itself {cleaned(named)}, but {setting} is {cleaned(issuer_url)}. Tokens"
            " carry the name that the issuer gives itself, and Camunda accepts only the one that it is"
            " configured with (issuer-uri). An identity provider without a fixed host name takes it"
            " from the URL of the request, so it has another one on a laptop than inside the network:"
            f" set its host name (in Keycloak --hostname), and write the same in {setting}, or write"
            " token_url.",
        )
    if reply.status in (404, 405, 410) or reply.media_type in PAGES:
        return Why(
            "issuer_path",
            f"There is no /.well-known/openid-configuration below {shown(issuer_url)} ({reply.status})."
            f" Correct {setting}: Keycloak's is https://HOST/realms/REALM (older ones /auth/realms/REALM),"
            " Entra ID's https://login.microsoftonline.com/TENANT/v2.0.",
        )
    return Why("issuer", f"{shown(issuer_url)} ({setting}): {cleaned(message)}.")


def _why(name: str, text: str, asked: TokenAsked) -> Why:
    values = {
        "section": asked.section,
        "setting": asked.setting,
        "client": cleaned(asked.client_id),
        "audience": f"`{cleaned(asked.audience)}`" if asked.audience else "(none is requested)",
        "scope": f"`{cleaned(asked.scope)}`" if asked.scope else "(none is requested)",
    }
    text = re.sub(r"\{(section|setting|client|audience|scope)\}", lambda found: values[found[1]], text)
    return Why(name, f"{text} Asked at {asked.url}.")


def _told(status: int, error: str, description: str) -> str:
    said = ": ".join(filter(None, (cleaned(error), cleaned(description))))
    return f"It answered {status} ({said})." if said else f"It answered {status}."


def _members(reply: Reply) -> tuple[str, str]:
    """Return `error` and `error_description` (RFC 6749 section 5.2); empty: absent."""
    found = _document(reply)
    error, description = found.get("error"), found.get("error_description")
    return error if isinstance(error, str) else "", description if isinstance(description, str) else ""


def _document(reply: Reply) -> dict[str, object]:
    try:
        found = strict_json(reply.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
