"""The `env` command: variables that point Camunda's own clients at the running proxy.

Names are those that presets read addresses from: Camunda's Java, JavaScript, Python, C#, Go and Spring
clients and c8ctl (8.2 to 8.10). Each adds the API's own path (`/v2`, `/v1`, `/api`) to what it is given.
"""

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING

import click

from proxy.config.presets import PRESETS
from proxy.errors import StartError
from proxy.net import bracketed

if TYPE_CHECKING:
    from proxy.config.model import Api, Config, Listen, Upstream

ALWAYS = {
    "CAMUNDA_AUTH_STRATEGY": "NONE",
    "CAMUNDA_OAUTH_DISABLED": "true",  # JavaScript before it had strategies
    "CAMUNDA_CLIENT_MODE": "self-managed",  # Spring: no addresses made of a cluster's id
    "CAMUNDA_CLIENT_AUTH_METHOD": "none",
}
FORMATS: dict[str, Callable[[Mapping[str, str]], str]] = {
    "shell": lambda found: "\n".join(f"export {name}={shlex.quote(value)}" for name, value in found.items()),
    "dotenv": lambda found: "\n".join(f"{name}={value}" for name, value in found.items()),
    "json": lambda found: json.dumps(dict(found), indent=2),
}
_PATIENCE = 2.0
_LARGEST = 1 << 20
_PORT = re.compile(r":([0-9]{1,5})\Z")


def show(config: "Config", form: str) -> int:
    """Print the variables as one of FORMATS, and what is left out to stderr; the exit code.

    Raises:
        StartError: a port is not known, or there is nothing to print.
    """
    chosen, left_out = choose(config.upstreams)
    for sentence in left_out:
        click.echo(sentence, err=True)
    if not chosen:
        raise StartError("No upstream is left that Camunda's clients have a variable for.")
    taken = {}
    if any(upstream.listen.port == 0 for upstream in chosen.values()):
        taken = ports(config.admin.listen)
    found = variables(chosen, taken)
    if config.guard.caller_token is not None:
        del found["CAMUNDA_OAUTH_DISABLED"]  # with it JavaScript's client shows nothing, BASIC or not
        click.echo(
            "guard.caller_token is set, and clients must show it: set CAMUNDA_AUTH_STRATEGY=BASIC, any "
            "CAMUNDA_BASIC_AUTH_USERNAME, and the token as CAMUNDA_BASIC_AUTH_PASSWORD.",
            err=True,
        )
    click.echo(FORMATS[form](found))
    return 0


def choose(upstreams: "Sequence[Upstream]") -> "tuple[dict[Api, Upstream], list[str]]":
    """The upstream that stands for each API, and sentences about those that cannot."""
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
    """Names and values.

    Args:
        taken: ports by the name of the upstream, where the configuration says 0.

    Raises:
        StartError: a port is not among them.
    """
    found = dict(ALWAYS)
    for api, upstream in chosen.items():
        port = upstream.listen.port or taken.get(upstream.name)
        if port is None:
            raise StartError(
                f"upstreams.{upstream.name}.listen has port 0, and the running proxy does not serve it: "
                "it runs with another configuration."
            )
        address = f"http://{_reachable(upstream.listen)}:{port}"
        if api == "modeler" and not upstream.url.path.endswith("/api"):
            address += "/api"  # part of its base URL, as https://modeler.camunda.io/api
        found |= dict.fromkeys(PRESETS[api].addresses, address)
    return found


def ports(admin: "Listen") -> dict[str, int]:
    """Ports of the running proxy's upstreams, by name.

    Raises:
        StartError: there is none, or its answer makes no sense.
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
            f"A listener has port 0, and no proxy answers at http://{host}:{admin.port} to say which port "
            "it took: start it first, or write the port."
        ) from None
    finally:
        connection.close()


def _reachable(listen: "Listen") -> str:
    """The host to ask for where a listener is on every interface: this machine's own."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)  # noqa: S104
    return bracketed(host)
