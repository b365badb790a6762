"""Pure: what a 401 or 403 of a Camunda API means, for every version from 8.2 to 8.10."""

import re
from typing import Final

from proxy.commands.doctor.answer_texts import challenge_of, document, text_of
from proxy.commands.doctor.api_asked import ApiAsked
from proxy.commands.doctor.calls import Answer
from proxy.commands.doctor.finding import Why
from proxy.commands.doctor.refused_tokens import token_refused, wrong_claims
from proxy.outgoing.causes import cleaned

_OPERATION: Final = re.compile(r"Unauthorized to perform operation '(\w{1,40})' on resource '(\w{1,60})'")

_PERMISSION: Final = (
    "Grant it: in 8.8 and later in Admin (before 8.10: Identity) of the Orchestration Cluster,"
    " Authorizations, for the {owner}; up to 8.7 in Management Identity, Applications, API permissions; on"
    " SaaS by a client whose scopes name this API, and by authorizations"
)


def unauthorized(answer: Answer, asked: ApiAsked) -> Why:
    """Return why an API answered 401."""
    challenge, text = challenge_of(answer), text_of(answer)
    if b"csrf" in answer.body.lower():
        return _csrf(asked, answer.status)
    if asked.kind == "none":
        return _nothing_sent(asked, challenge)
    if challenge.startswith("basic") and asked.kind not in ("basic", "session"):
        return Why(
            "wants_basic",
            f"{asked} wants HTTP Basic, but {asked.credential} has type {asked.kind}. Use type: basic with a"
            " user of Camunda, or switch Camunda to OIDC (camunda.security.authentication.method: oidc).",
        )
    if asked.kind in ("basic", "session"):
        return _user_refused(answer, asked, challenge)
    return token_refused(answer, asked, text)


def _nothing_sent(asked: ApiAsked, challenge: str) -> Why:
    wants = "basic" if challenge.startswith("basic") else "oauth2" if challenge.startswith("bearer") else ""
    use = f"type {wants}" if wants else "type oauth2, session or basic"
    return Why(
        "credential_missing",
        f"{asked} wants a credential, and {asked.section} sends none ({asked.credential} has type none). Use"
        f" {use}, as Camunda's own clients do for this server.",
    )


def _user_refused(answer: Answer, asked: ApiAsked, challenge: str) -> Why:
    user = cleaned(asked.principal)
    if challenge.startswith("bearer") or answer.media_type == "text/html":
        return Why(
            "wants_oidc",
            f"{asked} wants a Bearer token, but {asked.credential} has type {asked.kind}. Camunda there uses"
            " an identity provider (OIDC), or it is Camunda SaaS. Use type: oauth2 with a client of that"
            " identity provider.",
        )
    if asked.kind == "session":
        return Why(
            "session_refused",
            f"{asked} does not accept the session of `{user}`, although the login succeeded. Login and API"
            f" must be one server with one session store: check {asked.credential}.login_url, and a load"
            " balancer that spreads requests over servers without persistent sessions.",
        )
    if document(answer).get("message") == "":
        return Why(
            "wants_session",
            f"{asked} ignores HTTP Basic: it is Operate or Tasklist up to 8.7, which accept sessions. Use"
            f" type: session in {asked.credential}, with the same user and password.",
        )
    return Why(
        "password",
        f"{asked} refuses the user `{user}` or the password (401). Correct {asked.credential}.username and"
        f" {asked.credential}.password; a user of the identity provider is none of Camunda's own (method"
        " basic).",
    )


# -- 403 --


def forbidden(answer: Answer, asked: ApiAsked) -> Why:
    """Return why an API answered 403."""
    challenge, text = challenge_of(answer), text_of(answer)
    body = answer.body.lower()
    if b"secondary storage" in body or b"secondary-storage" in body:
        return Why(
            "no_secondary_storage",
            f"{asked} has no secondary storage (camunda.data.secondary-storage.type: none), so it has no"
            " searches; that has nothing to do with credentials. Commands such as deployments and jobs"
            " work. Configure Elasticsearch, OpenSearch or RDBMS if searches are needed.",
        )
    if b"csrf" in body:
        return _csrf(asked, answer.status)
    if challenge.startswith("bearer") and "insufficient_scope" not in challenge:
        return wrong_claims(asked) if asked.kind in ("oauth2", "user") else token_refused(answer, asked, text)
    if (found := _OPERATION.search(text)) is not None:
        return _permission(asked, f"the permission {found[1]} on {found[2]}")
    if answer.media_type == "text/html":
        return Why(
            "gateway_forbids",
            f"{asked} answers 403 with a page, so a gateway before Camunda refuses the request: on SaaS the"
            " IP allowlist of the cluster (Console, Cluster, Settings), elsewhere a firewall or an ingress"
            " rule for this path.",
        )
    if asked.kind == "session" and asked.call.method != "GET":
        return _csrf(asked, answer.status, certain=False)
    return _permission(asked, "the permission for this call")


def _permission(asked: ApiAsked, what: str) -> Why:
    owner = (
        f"user `{cleaned(asked.principal)}`"
        if asked.kind in ("basic", "session")
        else f"client `{cleaned(asked.principal)}`"
    )
    text = _PERMISSION.replace("{owner}", owner)
    return Why(
        "permission",
        f"{asked} knows the {owner}, but it lacks {what} ({asked.call} answered 403). {text}. In 8.8 and"
        " later the claim that names the client (client-id-claim) must hold this id, too.",
    )


def _csrf(asked: ApiAsked, status: int, *, certain: bool = True) -> Why:
    if certain:
        text = f"{asked} refuses {asked.call} because of its CSRF token ({status})."
    else:
        text = (
            f"{asked} refuses {asked.call} without a reason ({status}). Up to 8.7 that is the CSRF token, or"
            f" the user `{cleaned(asked.principal)}` lacks a permission."
        )
    if asked.kind == "session":
        text += (
            " The session has a token, so a gateway in between removes the header X-CSRF-TOKEN (or"
            " OPERATE-X-CSRF-TOKEN) or the cookie of that name, or login and API are two servers."
        )
    else:
        text += (
            " It takes our request for one of a session, although no cookie was sent; a gateway in between"
            " may add one."
        )
    return Why(
        "csrf",
        f"{text} For a test, Camunda's check can be switched off: camunda.security.csrf.enabled=false (8.8"
        " and later), camunda.operate.csrfPreventionEnabled=false (up to 8.7).",
    )
