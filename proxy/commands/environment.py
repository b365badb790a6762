"""The `env` command: prints variables that point Camunda's own clients at the running proxy.

The names are those that presets read addresses from: Camunda's Java, JavaScript, Python, C#, Go and Spring
clients and c8ctl (8.2 to 8.10). Each client adds the API's own path (`/v2`, `/v1`, `/api`) to the address.
"""

import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING

import click

from proxy.config.presets import PRESETS
from proxy.errors import StartError
from proxy.net import bracketed
from proxy.terms import WITHOUT_CREDENTIALS

if TYPE_CHECKING:
    from proxy.config.model import Api, Config, Listen, Upstream

ALWAYS = {
    **WITHOUT_CREDENTIALS,
    "CAMUNDA_OAUTH_DISABLED": "true",  # for the JavaScript client before it had strategies
}
FORMATS: dict[str, Callable[[Mapping[str, str]], str]] = {
    "shell": lambda found: "\n".join(f"export {name}={shlex.quote(value)}" for name, value in found.items()),
    "powershell": lambda found: "\n".join(f"$env:{name} = {_quoted(value)}" for name, value in found.items()),
    "dotenv": lambda found: "\n".join(f"{name}={value}" for name, value in found.items()),
    "json": lambda found: json.dumps(dict(found), indent=2),
}
_PATIENCE = 2.0
_LARGEST = 1 << 20
_PORT = re.compile(r":([0-9]{1,5})\Z")


def show(config: "Config", form: str) -> int:
    """Print the variables in one of FORMATS, and on stderr the upstreams left out. Return the exit code.

    Raises:
        StartError: a port is not known, or there is nothing to print.
    """
    chosen, left_out = choose(config.upstreams)
    for sentence in left_out:
        click.echo(sentence, err=True)
    if not chosen:
        raise StartError("There is nothing to print: Camunda's clients have no variable for these upstreams.")
    taken = {}
    if any(upstream.listen.port == 0 for upstream in chosen.values()):
        taken = ports(config.admin.listen)
    found = variables(chosen, taken)
    if needs_token(config, chosen.values()):
        del found["CAMUNDA_OAUTH_DISABLED"]  # with it JavaScript's client sends no credential, even for BASIC
        what = "callers are set, so each client must send its token"
        if not config.callers:
            what = "guard.caller_token is set, so clients must send it"
        click.echo(
            f"{what}: set CAMUNDA_AUTH_STRATEGY=BASIC, any "
            "CAMUNDA_BASIC_AUTH_USERNAME, and the token as CAMUNDA_BASIC_AUTH_PASSWORD. Other clients send "
            "it in X-Proxy-Token, or as Bearer token.",
            err=True,
        )
    if any(upstream.listen.tls is not None for upstream in chosen.values()):
        click.echo(
            "Ports with listen_tls: clients must trust the CA of the certificate. Camunda's clients read "
            "its file from CAMUNDA_CA_CERTIFICATE_PATH (Java) or CAMUNDA_MTLS_CA_PATH (JavaScript, Python). "
            "Use a name in the address that is in the certificate.",
            err=True,
        )
    click.echo(FORMATS[form](found))
    return 0


def needs_token(config: "Config", upstreams: "Iterable[Upstream]") -> bool:
    """Tell whether a client must send a caller's token to one of the upstreams."""
    if not config.callers:
        return config.guard.caller_token is not None
    return any(upstream.anonymous is None for upstream in upstreams)


def _quoted(value: str) -> str:
    """Return a literal of PowerShell, where a quote inside is doubled (about_Quoting_Rules)."""
    return "'" + value.replace("'", "''") + "'"


def choose(upstreams: "Sequence[Upstream]") -> "tuple[dict[Api, Upstream], list[str]]":
    """Return the upstream that stands for each API, and a sentence about each upstream that is left out."""
    chosen: dict[Api, Upstream] = {}
    left_out = []
    for upstream in upstreams:
        reason = ""
        if upstream.api not in PRESETS:
            reason = "Camunda's clients have no variable for it"
        elif upstream.listen.path:
            reason = "Camunda's clients cannot use a Unix socket"
        elif upstream.api in chosen:
            reason = f"`{chosen[upstream.api].name}` is the first of its API"
        else:
            chosen[upstream.api] = upstream
        if reason:
            left_out.append(f"upstream `{upstream.name}` is left out: {reason}.")
    return chosen, left_out


def variables(chosen: "Mapping[Api, Upstream]", taken: Mapping[str, int]) -> dict[str, str]:
    """Return the variables, by name.

    Args:
        taken: ports in use, by the name of the upstream; for upstreams configured with port 0.

    Raises:
        StartError: a port is not among them.
    """
    found = dict(ALWAYS)
    for api, upstream in chosen.items():
        address = address_of(upstream, taken)
        if api == "modeler" and not upstream.url.path.endswith("/api"):
            address += "/api"  # part of its base URL, as https://modeler.camunda.io/api
        found |= dict.fromkeys(PRESETS[api].addresses, address)
    return found


def address_of(upstream: "Upstream", taken: Mapping[str, int]) -> str:
    """Return the address of an upstream's port for clients; arguments and errors as of `variables`."""
    port = upstream.listen.port or taken.get(upstream.name)
    if port is None:
        raise StartError(
            f"upstreams.{upstream.name}.listen has port 0, and the running proxy does not serve this "
            "upstream: it runs with another configuration. Reload it, or name its configuration."
        )
    scheme = "http" if upstream.listen.tls is None else "https"
    return f"{scheme}://{_reachable(upstream.listen)}:{port}"


def ports(admin: "Listen") -> dict[str, int]:
    """Ask the running proxy for the ports of its upstreams; return them by name.

    Raises:
        StartError: no proxy answers, or its answer cannot be understood.
    """
    host = _reachable(admin)
    connection = HTTPConnection(host.strip("[]"), admin.port, timeout=_PATIENCE)
    try:
        connection.request("GET", "/status.json")
        with connection.getresponse() as answer:
            status = json.loads(answer.read(_LARGEST))
        found = {
            upstream["name"]: match[1]
            for upstream in status["upstreams"]
            if (match := _PORT.search(upstream["listen"][0]))
        }
        return {name: int(port) for name, port in found.items() if 0 < int(port) < 65536}
    except (OSError, HTTPException, ValueError, LookupError, TypeError, RecursionError):
        raise StartError(
            f"A listener has port 0, so its port is known only to the running proxy, and no proxy answers at "
            f"http://{host}:{admin.port}. Start the proxy first, or write the port."
        ) from None
    finally:
        connection.close()


def _reachable(listen: "Listen") -> str:
    """Return the host to connect to; for a listener on every interface this is loopback."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)  # noqa: S104
    return bracketed(host)
