"""Pure: texts with which identity providers refuse a token request, and what each means."""

from typing import Final

TEXTS: Final[tuple[tuple[str, str, str], ...]] = (
    # Keycloak
    (
        r"client_secret_basic|Invalid method used to get client secret",
        "token_auth_method",
        "The client must send its secret in another way. Set {section}.auth_method to client_secret_basic.",
    ),
    (
        r"not enabled to retrieve service account|Public client not allowed",
        "token_service_account_off",
        (
            "The client `{client}` may not get tokens for itself. In Keycloak or Identity, open the client"
            " and switch on client authentication and service accounts roles (in Identity: type M2M)."
        ),
    ),
    (
        r"Token reuse detected",
        "token_assertion_reused",
        (
            "The identity provider saw this assertion before. Two proxies may share one clock and key, or a"
            " server in between sent the request twice; in Keycloak the provider's"
            " supportsClientAssertionReuse allows it."
        ),
    ),
    (
        r"Invalid token audience|Multiple audiences not allowed",
        "token_assertion_audience",
        (
            "The identity provider does not accept the audience of our assertion, which is the token URL."
            " Write the URL by which the identity provider knows itself (its issuer's host) in"
            " {section}.token_url or issuer_url."
        ),
    ),
    (
        r"Token is not active|issued in the future|too far in the (?:past|future)|AADSTS700024|AADSTS50012",
        "token_assertion_time",
        (
            "The identity provider does not accept the times of our assertion, so the clocks of this machine"
            " and of the identity provider differ. Set both by NTP."
        ),
    ),
    (
        r"Unable to load public key|matching key|AADSTS700027|kid",
        "token_assertion_key",
        (
            "The identity provider does not know the key that signed our assertion. Upload the certificate"
            " or public key of {section}.private_key_file there, and set {section}.key_id to the key's id"
            " there."
        ),
    ),
    (
        r"signature",
        "token_assertion_signature",
        (
            "The signature of our assertion is not accepted. {section}.private_key_file is not the key that"
            " is registered for the client `{client}`."
        ),
    ),
    (
        r"HTTPS required",
        "token_https_required",
        (
            "The realm accepts only https. Write https:// in {setting}, or set the realm's `Require SSL` to"
            " none for a test."
        ),
    ),
    (
        r"Missing form parameter|Malformed form body",
        "token_request_format",
        (
            "The token endpoint reads form bodies only. Set {section}.request_format to form, or remove that"
            " line."
        ),
    ),
    (
        r"Realm does not exist",
        "token_realm",
        "There is no such realm. Correct the realm's name in {setting}; Camunda's own is camunda-platform.",
    ),
    (
        r"disabled",
        "token_client_disabled",
        "The client `{client}` is disabled at the identity provider. Enable it there, or use another client.",
    ),
    # Entra ID
    (
        r"AADSTS7000215",
        "token_wrong_secret",
        (
            "The client secret is wrong: {section}.client_secret must hold the secret's value, not its id,"
            " of the client `{client}`."
        ),
    ),
    (
        r"AADSTS7000222",
        "token_secret_expired",
        (
            "The client secret has expired. Create a new one in Entra ID, and write it where"
            " {section}.client_secret points to."
        ),
    ),
    (
        r"AADSTS700016|AADSTS700038",
        "token_unknown_client",
        "The tenant knows no client `{client}`. Correct {section}.client_id, or the tenant in {setting}.",
    ),
    (
        r"AADSTS90002|AADSTS900023|AADSTS50059",
        "token_tenant",
        "Entra ID knows no such tenant. Correct the tenant in {setting}.",
    ),
    (
        r"AADSTS(?:500011|1002012|70011|1002016|500013)|AADSTS90014",
        "token_scope",
        (
            "Entra ID does not accept the scope {scope}. Set {section}.scope to APPLICATION-ID/.default,"
            " with the id of the application that stands for Camunda."
        ),
    ),
    (
        r"AADSTS501051|AADSTS65001",
        "token_not_assigned",
        (
            "The client `{client}` is not assigned to the application that stands for Camunda. Assign it in"
            " Entra ID."
        ),
    ),
    # Auth0, and with it Camunda SaaS
    (
        r"not authorized to access|Service not (?:enabled|found)",
        "token_audience",
        (
            "The client `{client}` may not get tokens for the audience {audience}. In Console, create a"
            " client with the scope of that API (Cluster, API); or correct the upstream's `audience`."
        ),
    ),
)
"""Pattern in `error_description` or `error`, name of the cause, words."""
