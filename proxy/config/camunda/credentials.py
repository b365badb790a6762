"""Reads credentials and TLS files from the variables of Camunda's own clients, which `names.py` lists."""

from collections.abc import Sequence

from proxy.config.camunda.draft import Draft, SetVariable
from proxy.config.camunda.names import AUDIENCES, HTTP_PROXY, READ, WELL_KNOWN, Use
from proxy.config.camunda.unread import ASSERTION, UNREAD
from proxy.config.model import Api
from proxy.config.presets import PRESETS
from proxy.config.written.findings import nearest
from proxy.errors import Problem
from proxy.terms import DISCOVERY

CLIENT_ID, CLIENT_SECRET = READ[Use.CLIENT_ID], READ[Use.CLIENT_SECRET]
TOKEN_URL, ISSUER = READ[Use.TOKEN_URL], READ[Use.ISSUER]
SCOPE, RESOURCE = READ[Use.SCOPE], READ[Use.RESOURCE]
CONSOLE_ID, CONSOLE_SECRET = READ[Use.CONSOLE_ID], READ[Use.CONSOLE_SECRET]
USERNAME, PASSWORD = READ[Use.USERNAME], READ[Use.PASSWORD]
COOKIE_URL = READ[Use.COOKIE_URL]
COOKIE_USERNAME, COOKIE_PASSWORD = READ[Use.COOKIE_USERNAME], READ[Use.COOKIE_PASSWORD]
TOKEN, STRATEGY = READ[Use.TOKEN], READ[Use.STRATEGY]
CA_FILE, API_CA_FILE = READ[Use.CA_FILE], READ[Use.API_CA_FILE]
CERT_FILE, KEY_FILE = READ[Use.CERT_FILE], READ[Use.KEY_FILE]

ROOTS = "CAMUNDA_CUSTOM_ROOT_CERT_PATH"
NO_AUDIENCE = "_omit_"
"""Camunda's JavaScript client takes this audience for none."""

CONSOLE_APIS = tuple(api for api in PRESETS if api in {"console", "modeler", "hub"})
STRATEGIES = ("OAUTH", "OIDC", "BASIC", "BEARER", "COOKIE")

NO_CREDENTIALS = (
    "no credentials among the variables: set CAMUNDA_CLIENT_ID and CAMUNDA_CLIENT_SECRET, "
    "or CAMUNDA_BASIC_AUTH_USERNAME and CAMUNDA_BASIC_AUTH_PASSWORD, or CAMUNDA_OAUTH_TOKEN; "
    "`type: none` is possible only in a YAML file"
)


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
    console = draft.find(CONSOLE_ID) if api in CONSOLE_APIS else None
    if console is not None:
        draft.put((*place, "credential"), console, "console")
        _oauth2(draft, "console", CONSOLE_ID, CONSOLE_SECRET)
        _put_audience(draft, api)
        return
    match kind:
        case "OAUTH":
            draft.put((*place, "credential"), draft.find(CLIENT_ID), "camunda")
            _oauth2(draft, "camunda", CLIENT_ID, CLIENT_SECRET)
            _put_audience(draft, api)
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
    own, others = draft.find(API_CA_FILE), draft.find(CA_FILE)
    return own or others


def http_proxy(draft: Draft, place: tuple[str, str]) -> None:
    """Let HTTPS_PROXY and NO_PROXY count for an upstream or a token endpoint, as for other programs."""
    draft.put((*place, "http_proxy"), draft.find(HTTP_PROXY), "env")


def _put_audience(draft: Draft, api: Api) -> None:
    """Write the audience of an API: its own variable first, then Zeebe's old ones, which are no aliases."""
    own, *others = AUDIENCES[api]
    first, second = draft.find([own]), draft.find(others)
    found = first or second
    value = "" if found is not None and found.value == NO_AUDIENCE else None
    draft.put(("upstreams", api, "audience"), found, value)


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
        if issuer.name in WELL_KNOWN and not issuer.value.endswith(DISCOVERY):
            draft.problems.append(Problem(issuer.name, f"must end in {DISCOVERY}"))
        draft.put((*place, "issuer_url"), issuer, _issuer(issuer.value))
    draft.put((*place, "scope"), draft.find(SCOPE))
    draft.put((*place, "resource"), draft.find(RESOURCE))
    tls(draft, place, draft.find(CA_FILE))
    http_proxy(draft, place)


def _issuer(url: str) -> str:
    return url.removesuffix(DISCOVERY).rstrip("/")
