"""Pure: why an identity provider refused a step of a login, in words that name the setting to change."""

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

from proxy.credentials.reply import Reply
from proxy.credentials.token_answer import BEGINNING
from proxy.credentials.user.answer import error_of
from proxy.errors import CredentialError, CredentialRejected, CredentialUnavailable
from proxy.masking import masked
from proxy.outgoing.answer_causes import PAGES, speaks_tls
from proxy.outgoing.causes import Peer, cause, cleaned, shown


class Step(NamedTuple):
    """A step of a login that an identity provider may refuse.

    Attributes:
        grant: what the client must be allowed: `the device authorization grant`.
        setting: where Keycloak allows it.
        other: what to do instead.
        flow: `device` or `browser`, for hints that are about one of them.
    """

    grant: str
    setting: str
    other: str
    flow: str


BY_DEVICE: Final = Step(
    "the device authorization grant",
    "Keycloak: OAuth 2.0 Device Authorization Grant on",
    "log in with --browser",
    "device",
)
BY_BROWSER: Final = Step(
    "the authorization code grant with PKCE",
    "Keycloak: Standard flow on, valid redirect URI http://127.0.0.1/callback",
    "log in with --device",
    "browser",
)


def refusal(
    answer: Reply, peer: Peer, step: Step, scope: str | None, secrets: Iterable[str], wall: float
) -> CredentialError:
    """Make the error for an answer that is not what a step of a login needs.

    Args:
        secrets: sent in the request. They are masked in the answer's words.
        wall: seconds since 1970, for Retry-After.
    """
    secrets = tuple(secrets)
    words = _by_answer(answer, peer, step, secrets)
    if answer.status == 429 or answer.status >= 500:
        outcome: Literal["limited", "unavailable"] = "limited" if answer.status == 429 else "unavailable"
        return CredentialUnavailable(
            f"{peer}: {words}", outcome=outcome, retry_after=answer.retry_after(wall)
        )
    if not words:
        error, description = error_of(answer)
        told = told_words(error, description, secrets) or f"status {answer.status}"
        words = by_error(error, f" ({told})", peer, step, scope)
    return CredentialRejected(f"{peer}: {words}")


def told_words(error: str, description: str, secrets: Iterable[str] = ()) -> str:
    """Return what a provider says of an error, as messages may show it; empty: nothing."""
    return cleaned(masked(": ".join(each for each in (error, description) if each), secrets))


def _by_answer(answer: Reply, peer: Peer, step: Step, secrets: tuple[str, ...]) -> str:
    """Return the words for an answer without an error code of OAuth; empty: it may have one."""
    status = answer.status
    if status == 429:
        return cause("limited", peer).words
    if status >= 500:
        return cause("server_error", peer, status=status).words
    if speaks_tls(status, answer.body[:BEGINNING]):
        return cause("plain_to_tls", peer).words
    if 300 <= status < 400:
        to = shown(masked(answer.get("location") or "", secrets))
        return (
            f"it sent us to another page ({status}{f' to {to}' if to else ''}). Some providers (Spring"
            " Authorization Server) do that if they do not accept the client: check"
            f" {peer.section}.client_id, and whether a client without a secret may use {step.grant}"
            f" there; else give it {peer.section}.client_secret_file, or {step.other}"
        )
    if status in (404, 405) or answer.media_type in PAGES:
        return f"it answered {status}, and not as this endpoint does. Correct {peer.setting or 'its URL'}"
    return ""


def by_error(error: str, told: str, peer: Peer, step: Step, scope: str | None) -> str:
    """Return the words for an error code.

    Args:
        told: what the provider says, in parentheses after a space; or empty.
    """
    section = peer.section
    match error:
        case "invalid_client":
            return (
                f"it does not accept the client{told}. Check {section}.client_id and {section}.client_secret,"
                f" and {section}.auth_method: a public client has no secret"
            )
        case "unauthorized_client" | "unsupported_grant_type" | "unsupported_response_type":
            return (
                f"it does not allow the client {step.grant}{told}. Allow it for the client of"
                f" {section}.client_id ({step.setting}), or {step.other}"
            )
        case "invalid_scope":
            which = f"the scope `{cleaned(scope)}`" if scope else "its default scope"
            hint = _openid(step, scope)
            return (
                f"it refused {which}{told}. Correct {section}.scope, or allow the scope for the client{hint}"
            )
        case "invalid_target" | "invalid_resource":
            return f"it refused the resource{told}. Correct {section}.resource or {section}.audience"
        case "access_denied":
            return (
                f"the login was denied{told}. Start it again and allow it; else ask the provider's operator"
            )
        case "expired_token":
            return f"the code was not used in time{told}. Start the login again"
        case "invalid_grant":
            return f"it does not accept the code any more{told}. Start the login again"
        case "invalid_request" | "":
            return f"it refused the request{told}. Check {section}: client_id, auth_method, scope, parameters"
    return f"the login failed there{told}"


def _openid(step: Step, scope: str | None) -> str:
    if step.flow == "device" and scope is not None and "openid" in scope.split():
        return "; Spring Authorization Server takes no openid with a code: leave it out of the scope there"
    return ""
