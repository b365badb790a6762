"""Reads credentials and TLS files from the variables of Camunda's own clients.

Names: the union over Camunda's Java, JavaScript, Python, C#, Go and Spring clients and c8ctl (8.2 to 8.10).
"""

from collections.abc import Sequence

from proxy.config.camunda.draft import Draft, SetVariable
from proxy.config.model import Api
from proxy.config.presets import PRESETS
from proxy.config.written.findings import nearest
from proxy.errors import Problem
from proxy.terms import DISCOVERY

CLIENT_ID = ("CAMUNDA_CLIENT_ID", "CAMUNDA_CLIENT_AUTH_CLIENTID", "ZEEBE_CLIENT_ID")
CLIENT_SECRET = ("CAMUNDA_CLIENT_SECRET", "CAMUNDA_CLIENT_AUTH_CLIENTSECRET", "ZEEBE_CLIENT_SECRET")
TOKEN_URL = (
    "CAMUNDA_OAUTH_URL",
    "CAMUNDA_AUTHORIZATION_SERVER_URL",
    "CAMUNDA_CLIENT_AUTH_TOKENURL",
    "ZEEBE_AUTHORIZATION_SERVER_URL",
)
WELL_KNOWN = "CAMUNDA_WELL_KNOWN_CONFIGURATION_URL"
ISSUER = ("CAMUNDA_ISSUER_URL", "CAMUNDA_CLIENT_AUTH_ISSUERURL", WELL_KNOWN)
SCOPE = ("CAMUNDA_TOKEN_SCOPE", "CAMUNDA_OAUTH_SCOPE", "CAMUNDA_CLIENT_AUTH_SCOPE")
RESOURCE = ("CAMUNDA_TOKEN_RESOURCE", "CAMUNDA_CLIENT_AUTH_RESOURCE")
CONSOLE_ID = ("CAMUNDA_CONSOLE_CLIENT_ID",)
CONSOLE_SECRET = ("CAMUNDA_CONSOLE_CLIENT_SECRET",)
USERNAME = ("CAMUNDA_BASIC_AUTH_USERNAME", "CAMUNDA_CLIENT_AUTH_USERNAME", "CAMUNDA_USERNAME")
PASSWORD = ("CAMUNDA_BASIC_AUTH_PASSWORD", "CAMUNDA_CLIENT_AUTH_PASSWORD", "CAMUNDA_PASSWORD")
COOKIE_URL = ("CAMUNDA_COOKIE_AUTH_URL",)
COOKIE_USERNAME = ("CAMUNDA_COOKIE_AUTH_USERNAME",)
COOKIE_PASSWORD = ("CAMUNDA_COOKIE_AUTH_PASSWORD",)
TOKEN = ("CAMUNDA_OAUTH_TOKEN",)
STRATEGY = ("CAMUNDA_AUTH_STRATEGY", "CAMUNDA_CLIENT_AUTH_METHOD")

ROOTS = "CAMUNDA_CUSTOM_ROOT_CERT_PATH"
CA_FILE = ("CAMUNDA_MTLS_CA_PATH", ROOTS)
API_CA_FILE = ("CAMUNDA_CA_CERTIFICATE_PATH",)
CERT_FILE = ("CAMUNDA_MTLS_CERT_PATH", "CAMUNDA_CUSTOM_CERT_CHAIN_PATH")
KEY_FILE = ("CAMUNDA_MTLS_KEY_PATH", "CAMUNDA_CUSTOM_PRIVATE_KEY_PATH")

ASSERTION = ("CAMUNDA_CLIENT_ASSERTION_KEYSTORE_PATH", "CAMUNDA_CLIENT_AUTH_CLIENTASSERTION_KEYSTOREPATH")

CONSOLE_APIS: tuple[Api, ...] = ("console", "modeler", "hub")
STRATEGIES = ("OAUTH", "OIDC", "BASIC", "BEARER", "COOKIE")

NO_CREDENTIALS = (
    "no credentials among the variables: set CAMUNDA_CLIENT_ID and CAMUNDA_CLIENT_SECRET, "
    "or CAMUNDA_BASIC_AUTH_USERNAME and CAMUNDA_BASIC_AUTH_PASSWORD, or CAMUNDA_OAUTH_TOKEN; "
    "`type: none` is possible only in a YAML file"
)
_PATH_INSTEAD = "write it into a file and set {}_PATH to the file's name"
UNREAD = {
    **dict.fromkeys(
        ASSERTION,
        "in a YAML file write auth_method: private_key_jwt with private_key_file, the key in PEM form",
    ),
    **dict.fromkeys(
        ("CAMUNDA_SSL_CLIENT_KEYSTORE_PATH", "CAMUNDA_CLIENT_AUTH_KEYSTOREPATH"),
        "in a YAML file write the credential's tls.cert_file and tls.key_file, both in PEM form",
    ),
    **dict.fromkeys(
        ("CAMUNDA_SSL_CLIENT_TRUSTSTORE_PATH", "CAMUNDA_CLIENT_AUTH_TRUSTSTOREPATH"),
        "in a YAML file write the credential's tls.ca_file, in PEM form",
    ),
    "CAMUNDA_MTLS_KEY_PASSPHRASE": "CAMUNDA_MTLS_KEY_PATH must name a key without a passphrase",
    "CAMUNDA_MTLS_CERT": _PATH_INSTEAD.format("CAMUNDA_MTLS_CERT"),
    "CAMUNDA_MTLS_KEY": _PATH_INSTEAD.format("CAMUNDA_MTLS_KEY"),
    "CAMUNDA_MTLS_CA": _PATH_INSTEAD.format("CAMUNDA_MTLS_CA"),
    "CAMUNDA_CUSTOM_ROOT_CERT_STRING": _PATH_INSTEAD.format("CAMUNDA_CUSTOM_ROOT_CERT"),
    "CAMUNDA_OVERRIDE_AUTHORITY": "in a YAML file write the upstream's tls.server_name",
}
"""Variables of Camunda's clients that the proxy does not read, each with what to use instead."""


def strategy(draft: Draft) -> str | None:
    """Return how to get the main credential: OAUTH, BASIC, BEARER or COOKIE; None: no variable says it."""
    written = draft.find(STRATEGY, str.upper)
    if written is None:
        kinds = (
            ("OAUTH", CLIENT_ID + CLIENT_SECRET),
            ("BASIC", USERNAME + PASSWORD),
            ("BEARER", TOKEN),
            ("COOKIE", COOKIE_USERNAME + COOKIE_PASSWORD),
        )
        return next((kind for kind, names in kinds if any(draft.find([name]) for name in names)), None)
    word = written.value.upper()
    if word == "NONE":
        draft.problems.append(Problem(written.name, f"is NONE, so there are {NO_CREDENTIALS}"))
    elif word not in STRATEGIES:
        known = f"must be one of {', '.join(STRATEGIES)}"
        draft.problems.append(
            Problem(written.name, known + nearest(word.lower(), map(str.lower, STRATEGIES)))
        )
    return "OAUTH" if word == "OIDC" else word


def credential(draft: Draft, api: Api, kind: str | None) -> None:
    """Write the credential of an upstream, by its `strategy`."""
    place = ("upstreams", api)
    console = draft.find(CONSOLE_ID)
    if api in CONSOLE_APIS and console is not None:
        draft.put((*place, "credential"), console, "console")
        _oauth2(draft, "console", CONSOLE_ID, CONSOLE_SECRET)
        draft.put((*place, "audience"), _audience(draft, api))
        return
    match kind:
        case "OAUTH":
            draft.put((*place, "credential"), draft.find(CLIENT_ID), "camunda")
            _oauth2(draft, "camunda", CLIENT_ID, CLIENT_SECRET)
            draft.put((*place, "audience"), _audience(draft, api))
        case "BASIC":
            draft.put((*place, "credential"), draft.find(USERNAME), "camunda")
            draft.require(("credentials", "camunda", "username"), USERNAME)
            draft.require(("credentials", "camunda", "password"), PASSWORD)
            draft.put(("credentials", "camunda", "type"), draft.find(USERNAME), "basic")
        case "BEARER":
            draft.put((*place, "credential"), draft.find(TOKEN), "camunda")
            draft.require(("credentials", "camunda", "token"), TOKEN)
            draft.put(("credentials", "camunda", "type"), draft.find(TOKEN), "bearer")
        case "COOKIE":
            _session(draft, api)
        case None:
            draft.problems.append(Problem("", NO_CREDENTIALS))


def tls(draft: Draft, place: tuple[str, str], ca_file: SetVariable | None) -> None:
    """Write the files of an upstream, or of a token endpoint."""
    cert, key = draft.find(CERT_FILE), draft.find(KEY_FILE)
    for one, other, names in ((cert, key, KEY_FILE), (key, cert, CERT_FILE)):
        if one is not None and other is None:
            draft.problems.append(Problem(one.name, f"is set without {names[0]}; set both or none"))
    if ca_file is not None and ca_file.name == ROOTS:
        draft.notice(f"{ROOTS}: its certificates are trusted instead of the system's CAs, not in addition")
    draft.put((*place, "tls", "ca_file"), ca_file)
    draft.put((*place, "tls", "cert_file"), cert)
    draft.put((*place, "tls", "key_file"), key)


def api_ca_file(draft: Draft) -> SetVariable | None:
    """Return the CA file of the API. Camunda's Java client has a variable for this alone; it comes first, and
    is no alias of the others."""
    return draft.find(API_CA_FILE) or draft.find(CA_FILE)


def notice_unread(draft: Draft) -> None:
    """Add a notice for each variable of `UNREAD` that is set."""
    for name, remedy in UNREAD.items():
        if draft.find([name]) is not None:
            draft.notices.append(f"{name} is not read: {remedy}")


def _audience(draft: Draft, api: Api) -> SetVariable | None:
    """Return the audience of an API: its own variable first, then Zeebe's old ones, which are no aliases."""
    own, *others = PRESETS[api].audiences
    return draft.find([own]) or draft.find(others)


def _session(draft: Draft, api: Api) -> None:
    """Write a session. If the strategy is set but no user, use demo/demo, as Camunda's JavaScript client."""
    place = ("credentials", "camunda")
    said = draft.find(STRATEGY)
    named = draft.find(COOKIE_USERNAME) or said
    draft.put(("upstreams", api, "credential"), named, "camunda")
    for key, names in (("username", COOKIE_USERNAME), ("password", COOKIE_PASSWORD)):
        if said is None or draft.find(names) is not None:
            draft.require((*place, key), names)
        else:
            draft.put((*place, key), said, "demo")
            draft.notice(f"{names[0]} is not set, so `demo` is used, as in Camunda's JavaScript client")
    draft.put((*place, "type"), named, "session")
    if (url := draft.find(COOKIE_URL)) is not None:
        base = url.value.rstrip("/").removesuffix("/login").removesuffix("/api")
        draft.put((*place, "login_url"), url, base)


def _oauth2(draft: Draft, name: str, client_id: Sequence[str], client_secret: Sequence[str]) -> None:
    place = ("credentials", name)
    draft.require((*place, "client_id"), client_id)
    assertion = draft.find(ASSERTION)
    if assertion is not None and draft.find(client_secret) is None:
        draft.problems.append(Problem(assertion.name, f"is not read: {UNREAD[assertion.name]}"))
    else:
        draft.require((*place, "client_secret"), client_secret)
    draft.put((*place, "type"), draft.find(client_id), "oauth2")
    draft.origins[*place, "token_url"] = TOKEN_URL[0]
    token_url, issuer = draft.find(TOKEN_URL), draft.find(ISSUER, _issuer)
    if token_url is not None:
        draft.put((*place, "token_url"), token_url)
        if issuer is not None:
            draft.notice(f"{token_url.name} and {issuer.name} are both set; {token_url.name} is used")
    elif issuer is not None:
        if issuer.name == WELL_KNOWN and not issuer.value.endswith(DISCOVERY):
            draft.problems.append(Problem(WELL_KNOWN, f"must end in {DISCOVERY}"))
        draft.put((*place, "issuer_url"), issuer, _issuer(issuer.value))
    draft.put((*place, "scope"), draft.find(SCOPE))
    draft.put((*place, "resource"), draft.find(RESOURCE))
    tls(draft, place, draft.find(CA_FILE))


def _issuer(url: str) -> str:
    return url.removesuffix(DISCOVERY).rstrip("/")
