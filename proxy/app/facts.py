"""Says what the configuration holds on each upstream, for the page: the account, and an example call."""

import shlex
from collections.abc import Iterable, Mapping
from typing import Final

from proxy.admin.state import Facts
from proxy.app.upstreams import RunningUpstream
from proxy.app.user import who
from proxy.config.model import (
    Api,
    Basic,
    Bearer,
    Config,
    CredentialConfig,
    NoCredential,
    OAuth2,
    Session,
    User,
)
from proxy.net import bracketed

EXAMPLES: Final[Mapping[Api, tuple[str, str]]] = {
    "zeebe": ("/v2/topology", ""),
    "operate": ("/v1/process-definitions/search", '{"size":1}'),
    "tasklist": ("/v1/tasks/search", '{"pageSize":1}'),
    "optimize": ("/api/readyz", ""),
    "console": ("/clusters", ""),
    "modeler": ("/v1/info", ""),
    "hub": ("/api/v2/info", ""),
}
"""Path and JSON body (empty: it is a GET) of a call that each API answers and that changes nothing."""

KINDS: Final[Mapping[type, str]] = {
    OAuth2: "oauth2",
    User: "user",
    Session: "session",
    Bearer: "bearer",
    Basic: "basic",
    NoCredential: "none",
}


def facts(config: Config, served: Iterable[RunningUpstream]) -> dict[str, Facts]:
    """Return the facts by the name of the upstream."""
    needs_token = config.guard.caller_token is not None
    found = {}
    for each in served:
        credential = config.credentials[each.upstream.credential]
        found[each.upstream.name] = Facts(
            address=address(each),
            account=account(credential),
            kind=KINDS[type(credential)],
            example=example(each, needs_token=needs_token),
        )
    return found


def address(served: RunningUpstream) -> str:
    """Return the address for callers: a URL, or `unix:` and the path of a Unix socket."""
    bound, listen = served.bound, served.upstream.listen
    if bound.path:
        return bound.addresses[0]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)  # noqa: S104
    return f"http://{bracketed(host)}:{bound.port}"


def account(credential: CredentialConfig) -> str:
    """Return as whom the proxy calls the upstream."""
    match credential:
        case OAuth2():
            return f"as client {credential.client_id or 'named by its assertion'}"
        case User():
            return f"as {who(credential) or 'the person who logs in'}"
        case Session() | Basic():
            return f"as user {credential.username}"
        case Bearer():
            return "with a shared token"
    return "without a credential"


def example(served: RunningUpstream, *, needs_token: bool) -> str:
    """Return a command for a POSIX shell that makes one call through the proxy."""
    path, body = EXAMPLES.get(served.upstream.api, ("/", ""))
    where = address(served)
    words = ["curl", f"{'http://localhost' if served.bound.path else where}{path}"]
    if served.bound.path:
        words += ["--unix-socket", str(served.bound.path)]
    if needs_token:
        words += ["-H", "X-Proxy-Token: TOKEN"]
    if body:
        words += ["-H", "Content-Type: application/json", "-d", body]
    return shlex.join(words)
