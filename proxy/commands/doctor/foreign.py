"""Tokens of other issuers that are sent from a file (client assertions, subject tokens): what they say about
themselves, and why an identity provider refuses one.

Texts of Keycloak were observed on 26.7; those of Entra ID are from its list of error codes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from proxy.commands.doctor.claims import Claims, claims
from proxy.commands.doctor.finding import Step, Why, day, duration, listed
from proxy.config.model import OAuth2
from proxy.credentials.token_file import TokenFile
from proxy.errors import CredentialUnavailable


@dataclass(frozen=True, slots=True)
class Foreign:
    """A token of another issuer.

    Attributes:
        setting: that names its file, with the section.
        claims: None: it is no JWT, or could not be read.
        age: seconds since its `iat`; None: it has none.
        spiffe: whether it is sent as `jwt-spiffe`.
        expected: the audience that the identity provider probably wants: its issuer URL; empty: not known.
    """

    setting: str
    claims: Claims | None = None
    age: float | None = None
    spiffe: bool = False
    expected: str = ""


def foreign_tokens(config: OAuth2, wall: float) -> tuple[Foreign | None, Foreign | None]:
    """Return the client assertion and the subject token that are in the files now.

    Args:
        wall: seconds since 1970.
    """
    section = f"credentials.{config.name}"
    spiffe = config.client_assertion_type == "jwt-spiffe"
    found: list[Foreign | None] = []
    for path, key in (
        (config.client_assertion_file, "client_assertion_file"),
        (config.subject_file, config.subject_key),
    ):
        setting = f"{section}.{key}"
        if path is None:
            found.append(None)
            continue
        try:
            read = claims(TokenFile(path, setting, only_jwt=False).read())
        except CredentialUnavailable:
            read = None
        age = wall - read.issued if read is not None and read.issued is not None else None
        found.append(Foreign(setting, read, age, spiffe, config.issuer_url or ""))
    return found[0], found[1]


def foreign_steps(config: OAuth2, wall: float) -> Iterator[Step]:
    """Yield a step for each token in a file: what it says, never the token.

    Args:
        wall: seconds since 1970.
    """
    for each, name in zip(foreign_tokens(config, wall), ("assertion", "subject_token"), strict=True):
        if each is None:
            continue
        if each.claims is None:
            yield Step(name, "ok", f"{each.setting}: no JWT")
            continue
        it = each.claims
        said = f"iss {it.issuer or '-'}, sub {it.subject or '-'}, aud {' '.join(it.audiences) or '-'}"
        said += f", kid {it.key_id}" if it.key_id else ""
        said += f", {duration(each.age)} old" if each.age is not None else ""
        left = it.expires - wall if it.expires is not None else None
        said += f", good for {duration(left)}" if left is not None and left > 0 else ""
        facts = {**it.facts(), "kid": it.key_id, "age": each.age}
        if left is not None and left <= 0:
            why = Why(
                "token_assertion_time",
                f"The token in {each.setting} expired on {day(it.expires or 0.0)}, so it is not sent. Check"
                f" what writes that file (in Kubernetes the projected volume, else SPIFFE Helper), and the"
                f" clock of"
                " this machine.",
            )
            yield Step(name, "notice", said, why=why, facts=facts)
        else:
            yield Step(name, "ok", said, facts=facts)


def of_foreign(error: str, description: str, status: int, it: Foreign) -> tuple[str, str] | None:
    """Return why a token of another issuer was refused: name and words; None: for another reason."""
    for pattern, name, text in _TEXTS:
        if re.search(pattern, f"{error} {description}"):
            return name, _filled(text, it)
    if it.setting.endswith("client_assertion_file") and status == 401:
        return "token_assertion_refused", _filled(_SILENT, it)
    return None


def _filled(text: str, it: Foreign) -> str:
    found = it.claims if it.claims is not None else Claims()
    values = {
        "file": it.setting,
        "iss": f"`{found.issuer}`" if found.issuer else "(none)",
        "sub": f"`{found.subject}`" if found.subject else "(none)",
        "aud": listed(found.audiences) or "(none)",
        "exp": day(found.expires) if found.expires is not None else "(none)",
        "age": duration(it.age) if it.age is not None else "not known",
        "expected": f", here `{it.expected}`" if it.expected else "",
        "kind": "jwt-spiffe" if it.spiffe else "jwt-bearer",
    }
    return re.sub(r"\{(\w+)\}", lambda each: values.get(each[1], each[0]), text)


_SILENT: Final = (
    "The identity provider refuses the assertion in {file} and does not say why: its iss is {iss}, its sub"
    " {sub}. The likely causes: no client there is registered for this issuer and subject (in Keycloak the"
    " client's `jwt.credential.issuer` is the alias of the identity provider, `jwt.credential.sub` the"
    " subject); the client or that identity provider is disabled; {section}.client_id names another client;"
    " {section}.client_assertion_type is {kind}, but the provider is of another kind (jwt-spiffe for SPIFFE"
    " only); or the keys of that issuer cannot be fetched from there, so that no signature can be verified."
)
_TEXTS: Final[tuple[tuple[str, str, str], ...]] = (
    (
        r"Token reuse detected|jti claim is required",
        "token_assertion_reused",
        (
            "The identity provider takes each token only once, but a token in a file is sent until it is"
            " replaced. In Keycloak let an identity provider of type Kubernetes or SPIFFE trust this issuer,"
            " or allow reuse: supportsClientAssertionReuse of the provider (for the grant jwt-bearer"
            " jwtAuthorizationGrantAssertionReuseAllowed)."
        ),
    ),
    (
        r"Invalid token audience|Multiple audiences not allowed|AADSTS700212|assertion audience",
        "token_assertion_audience",
        (
            "The audience of the token in {file} is {aud}, and the identity provider expects another one. Let"
            " it be issued for one audience alone: in Keycloak the realm's issuer URL{expected}, in Entra ID"
            " api://AzureADTokenExchange. In Kubernetes that is `audience` of the projected volume, with"
            " SPIFFE Helper `jwt_audience`."
        ),
    ),
    (
        r"too far in the past",
        "token_assertion_old",
        (
            "The token in {file} is older ({age}) than the identity provider accepts. In Keycloak raise"
            " fedClientAssertionMaxExp of the identity provider (usual: 300 s, of type Kubernetes 3600 s), or"
            " let the token live shorter: in Kubernetes `expirationSeconds` of the projected volume, at most"
            " 4500."
        ),
    ),
    (
        r"Token is not active|issued in the future|AADSTS700024",
        "token_assertion_time",
        (
            "The token in {file} is not valid at this time: it expires at {exp}. Check what writes that file,"
            " and set the clocks of this machine, of the issuer and of the identity provider by NTP."
        ),
    ),
    (
        r"exp claim is required|expiration is too far|Missing claim: sub|not a valid JWT|AADSTS50027",
        "token_assertion_claims",
        "The token in {file} lacks a claim, or has one that is not accepted. Correct it at its issuer.",
    ),
    (
        r"No Identity Provider for provided issuer|AADSTS700211|assertion issuer",
        "token_assertion_issuer",
        (
            "The identity provider does not trust the issuer {iss} of the token in {file}. Register it there:"
            " in Keycloak as an identity provider whose issuer is exactly that (for the grant jwt-bearer of"
            " type OpenID Connect, with JWT authorization grant on), in Entra ID as a federated credential."
        ),
    ),
    (
        r"User not found|AADSTS70021\b|AADSTS700213|assertion subject|No matching federated identity",
        "token_assertion_subject",
        (
            "No client or user there has the subject {sub} of the token in {file}. Register that"
            " subject there: in Keycloak `jwt.credential.sub` of the client (for the grant jwt-bearer a user"
            " who is linked to the identity provider), in Entra ID the subject of the federated credential."
        ),
    ),
    (
        r"client_id parameter does not match",
        "token_assertion_client",
        (
            "The assertion in {file} belongs to another client than `{client}`: its sub is {sub}. Correct"
            " {section}.client_id, or leave it out."
        ),
    ),
    (
        (
            r"supports access tokens only|subject_issuer|exchange is not enabled|within the token audience"
            r"|not allowed to exchange|token type not supported|Audience not found"
            r"|Requested audience not available"
            r"|invalid_token|invalid_request Invalid token|JWT Authorization Grant is not supported"
            r"|Public client not allowed to use"
        ),
        "token_subject_refused",
        (
            "The identity provider does not exchange the token in {file} for this client. In Keycloak the"
            " client must be confidential, with Standard token exchange on, and be in the token's audience"
            " ({aud}), and the token must be an access token of the same realm (subject_token_type:"
            " access_token); for the grant jwt-bearer the client needs JWT authorization grant with that"
            " identity provider. A bare service account's token is taken by auth_method client_assertion."
        ),
    ),
)
"""Pattern in `error` and `error_description`, name of the cause, words."""
