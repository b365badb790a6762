"""Pure: why a Camunda API refuses a token, for every version from 8.2 to 8.10."""

import re
from typing import Final

from proxy.commands.doctor.answer_texts import document
from proxy.commands.doctor.api_asked import ApiAsked
from proxy.commands.doctor.calls import Answer
from proxy.commands.doctor.finding import Why, day, duration, listed, split
from proxy.net import is_loopback
from proxy.outgoing.causes import cleaned

CLOCKS: Final = 5.0
"""Seconds that two clocks may differ before it is worth a word; a Date field has whole seconds."""

_TOKEN_TEXTS: Final = (
    (r"expired", "token_expired"),
    (r"not yet|nbf|in the future|before the current time|used before", "token_not_yet"),
    (r"JWKS|JWK set|remote keys|retrieve.{0,20}key", "issuer_unreachable"),
    (r"\biss\b|issuer", "issuer"),
    (r"\baud\b|audience", "audience"),
    (r"claims are invalid", "claims"),
    (r"signature|no matching key|another algorithm|algorithm", "signature"),
    (r"decoding jwt|decode the jwt|malformed|not a jwt|invalid serialized", "not_jwt"),
)


def token_refused(answer: Answer, asked: ApiAsked, text: str) -> Why:
    """Return why an API refused a token.

    Args:
        text: what its answer says about the reason.
    """
    if asked.claims is None and asked.kind in ("oauth2", "user"):
        return _opaque(asked)
    for pattern, name in _TOKEN_TEXTS:
        if re.search(pattern, text, re.IGNORECASE):
            return TOKEN_CAUSES[name](asked)
    if asked.kind == "bearer":
        return _shared_token(asked)
    if (expired := _expired_claim(asked)) is not None:
        return expired
    if asked.saas and answer.media_type == "text/html":
        return _ingress(asked)
    if document(answer).get("message") == "":
        return Why(
            "wants_session",
            f"{asked} does not accept tokens: it is Operate or Tasklist up to 8.7 with its own users"
            f" (profile auth). Use type: session in {asked.credential}, or set an issuer there (profile"
            " identity-auth).",
        )
    return wrong_claims(asked)


def _expired_claim(asked: ApiAsked) -> Why | None:
    if asked.ahead is not None and abs(asked.ahead) > 60:
        return _expired(asked)
    return None


def _expired(asked: ApiAsked) -> Why:
    ends = asked.claims.expires if asked.claims is not None else None
    if asked.kind == "bearer":
        when = f" (exp is {day(ends)})" if ends is not None and day(ends) else ""
        return Why(
            "token_expired",
            f"{asked} says that the token has expired{when}. {asked.credential} holds a fixed token, which"
            " the proxy cannot renew: write a new one, or use type: oauth2, which renews it.",
        )
    return Why(
        "clock",
        f"{asked} says that the token is not valid at this time, although it was issued just now, so clocks"
        f" differ.{_clocks(asked)} Set the clocks of Camunda and of the identity provider by NTP.",
    )


def _clocks(asked: ApiAsked) -> str:
    if asked.ahead is None or abs(asked.ahead) < CLOCKS:
        return ""
    side = "ahead of" if asked.ahead > 0 else "behind"
    return f" Camunda's clock is {duration(abs(asked.ahead))} {side} the token endpoint's."


def _unreachable(asked: ApiAsked) -> Why:
    return Why(
        "issuer_unreachable",
        f"{asked} cannot fetch the keys of its own issuer, so it can verify no token; ours{_of(asked)} may"
        " be good. Check from inside Camunda's network that its issuer and its key URL (issuer-uri,"
        " jwk-set-uri, or camunda.identity.issuerBackendUrl up to 8.7) can be reached and that their"
        " certificate is trusted there.",
    )


def _issuer(asked: ApiAsked) -> Why:
    issuer = asked.claims.issuer if asked.claims is not None else ""
    text = (
        f"{asked} accepts tokens of another issuer: ours says iss `{issuer}`{_from(asked)}. Camunda is"
        " configured with another name (issuer-uri; up to 8.7 camunda.identity.issuer)."
    )
    if is_loopback(split(issuer).hostname or "") or _other_host(asked):
        text += (
            " The identity provider takes its name from the URL of the request, so a token that is fetched"
            " at another host name is another issuer's."
        )
    return Why(
        "issuer",
        f"{text} Fetch tokens by the name that Camunda knows (token_url in {asked.credential}), or give the"
        " identity provider one fixed host name (in Keycloak --hostname).",
    )


def _other_host(asked: ApiAsked) -> bool:
    issuer = asked.claims.issuer if asked.claims is not None else ""
    return bool(asked.token_endpoint) and split(issuer).netloc != split(asked.token_endpoint).netloc


def _audience(asked: ApiAsked) -> Why:
    has = listed(asked.claims.audiences) if asked.claims is not None and asked.claims.audiences else "none"
    usual = f", usually {' or '.join(f'`{each}`' for each in asked.known)}" if asked.known else ""
    requested = f"`{asked.audience}` was requested" if asked.audience else "none was requested"
    return Why(
        "audience",
        f"{asked} does not accept the audience of the token: its aud is {has}, and {requested}. This API"
        f" wants the audience that Camunda is configured with{usual}. Correct {asked.section}.audience;"
        " Keycloak ignores it, so there add an audience mapper to the client (or in Identity: give the"
        " application access to the API).",
    )


def wrong_claims(asked: ApiAsked) -> Why:
    """Return which claim is wrong, where the answer does not say it: the token may show that."""
    has = asked.claims.audiences if asked.claims is not None else ()
    if asked.known and has and set(has) & set(asked.known):
        return _issuer(asked)
    return _audience(asked)


def _signature(asked: ApiAsked) -> Why:
    issuer = asked.claims.issuer if asked.claims is not None else ""
    return Why(
        "signature",
        f"{asked} cannot verify the signature of the token{_of(asked)}. Its keys are those of another realm,"
        f" tenant or identity provider than{_from(asked) or ' ours'}, or were changed there just now. Let"
        f" {asked.credential}"
        " and Camunda use the same issuer" + (f" (the token's is {issuer})." if issuer else "."),
    )


def _not_jwt(asked: ApiAsked) -> Why:
    return _shared_token(asked) if asked.kind == "bearer" else _opaque(asked)


def _opaque(asked: ApiAsked) -> Why:
    return Why(
        "opaque_token",
        f"{asked} wants a JWT, but the token endpoint issues opaque tokens{_from(asked)}. Request the"
        f" audience of Camunda's API ({asked.section}.audience, or scope or resource of {asked.credential}),"
        " for which identity providers issue JWTs, or switch the client to JWT access tokens.",
    )


def _shared_token(asked: ApiAsked) -> Why:
    if asked.api == "optimize":
        return Why(
            "shared_token",
            f"{asked} refuses the shared token of {asked.credential}. It must equal api.accessToken"
            " (OPTIMIZE_API_ACCESS_TOKEN) of Optimize, which is ignored if a JWK set URI is set there, does"
            " not exist on SaaS, and has no effect from 8.10 on: use type: oauth2 then.",
        )
    ends = asked.claims.expires if asked.claims is not None else None
    if ends is not None and ends < asked.wall:
        return _expired(asked)
    return Why(
        "bearer_refused",
        f"{asked} refuses the fixed token of {asked.credential} (401). Write a token that this server issued"
        " or trusts, without the word Bearer before it, or use type: oauth2.",
    )


def _ingress(asked: ApiAsked) -> Why:
    scopes = asked.claims.scopes if asked.claims is not None else ()
    cluster = asked.path.strip("/").partition("/")[0]
    if scopes and cluster and cluster not in scopes and all(len(each) == len(cluster) for each in scopes):
        return Why(
            "other_cluster",
            f"{asked} refuses the token, because the client `{cleaned(asked.principal)}` belongs to the"
            f" cluster {listed(scopes)}. Use a client of the cluster in {asked.section}.url (Console,"
            " Cluster, API), or correct the cluster id there.",
        )
    has = listed(asked.claims.audiences) if asked.claims is not None and asked.claims.audiences else "none"
    return Why(
        "ingress",
        f"Camunda SaaS at {asked} refuses the token before Camunda sees it. The token has audience {has};"
        f" this API wants {' or '.join(f'`{each}`' for each in asked.known) or 'its own'}, and the client"
        " has to belong to this cluster and to have the scope of this API (Console, Cluster, API). Correct"
        f" {asked.section}.audience or {asked.section}.url.",
    )


TOKEN_CAUSES: Final = {
    "token_expired": _expired,
    "token_not_yet": _expired,
    "issuer_unreachable": _unreachable,
    "issuer": _issuer,
    "audience": _audience,
    "claims": wrong_claims,
    "signature": _signature,
    "not_jwt": _not_jwt,
}


def _of(asked: ApiAsked) -> str:
    issuer = asked.claims.issuer if asked.claims is not None else ""
    return f" of issuer {issuer}" if issuer else ""


def _from(asked: ApiAsked) -> str:
    return f" (from {asked.token_endpoint})" if asked.token_endpoint else ""
