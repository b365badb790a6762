"""The `status` command: prints what a running proxy says of itself at its admin port."""

import json
import sys
from http.client import HTTPConnection, HTTPException
from time import sleep
from typing import Any, Final

import click

from proxy.commands.blocks import Block, blocks, sentence
from proxy.net import authority

READY, NOT_READY = 0, 1

INTERVAL: Final = 2.0
"""Seconds between two looks of `--watch`."""

_PATIENCE: Final = 2.0
_LARGEST: Final = 1 << 22
_LONGEST: Final = 2000
"""Most characters of a value that are shown."""

_LOCAL: Final = {"127.0.0.1": "localhost", "0.0.0.0": "localhost"}  # noqa: S104
_CLEAR: Final = "\x1b[H\x1b[2J"

Place = tuple[str, int]


class NoStatus(Exception):
    """The proxy gave no status. The message is a sentence."""


def show(where: Place, *, as_json: bool, watch: bool) -> int:
    """Print the status; return 0 if the proxy is ready, else 1.

    Args:
        watch: print it again and again, until the user interrupts that.
    """
    while True:
        code = _show_once(where, as_json=as_json, clear=watch and sys.stdout.isatty() and not as_json)
        if not watch:
            return code
        sys.stdout.flush()
        sleep(INTERVAL)


def _show_once(where: Place, *, as_json: bool, clear: bool) -> int:
    start = _CLEAR if clear else ""
    try:
        status = fetch(where)
        text = json.dumps(status) if as_json else report(status)
    except NoStatus as error:
        if as_json:
            click.echo(json.dumps({"ready": False, "error": str(error)}))
        else:
            click.echo(f"{start}{error}", err=not start)
        return NOT_READY
    click.echo(f"{start}{text}")
    return READY if status.get("ready") is True else NOT_READY


def fetch(where: Place) -> dict[str, Any]:
    """Return the document of `/status.json`.

    Raises:
        NoStatus: no proxy answers there, or its answer cannot be understood.
    """
    at = f"http://{authority(*where)}"
    connection = HTTPConnection(*where, timeout=_PATIENCE)
    try:
        connection.request("GET", "/status.json")
        with connection.getresponse() as answer:
            status = json.loads(answer.read(_LARGEST))
        if not isinstance(status, dict) or not isinstance(status.get("upstreams"), list):
            raise NoStatus(f"The program at {at} is no camunda-auth-proxy.")
    except OSError as error:
        reason = error.strerror or "no answer in time"
        raise NoStatus(
            f"No proxy answers at {at}: {reason}. Start it, or name its --admin address."
        ) from None
    except (HTTPException, ValueError, RecursionError):
        raise NoStatus(f"The program at {at} is no camunda-auth-proxy.") from None
    finally:
        connection.close()
    return status


def report(status: dict[str, Any]) -> str:
    """Return the status for people. The port may belong to another program, so any value may be of any type.

    Raises:
        NoStatus: it cannot be understood.
    """
    try:
        state = "draining" if status["draining"] else "ready" if status["ready"] else "not ready"
        head = f"camunda-auth-proxy {_text(status['version'])}, {state}, up {_duration(status['uptime'])}"
        return f"{head}\n\n{blocks(_block(each, status) for each in status['upstreams'])}"
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError):
        raise NoStatus("The answer of the admin port cannot be understood.") from None


def _block(upstream: dict[str, Any], status: dict[str, Any]) -> Block:
    seen = upstream["upstream"]
    reasons = [_text(upstream["reason"])]
    if seen["state"] not in ("answers", "unknown"):
        problem = seen["last_problem"]
        reasons.append(_text(problem["reason"]) if problem else "")
    reasons.append(f"Requests: {int(upstream['requests'])}, of which running: {int(upstream['in_flight'])}")
    state = {"unusable": "not ready"}.get(upstream["state"], _text(upstream["state"]))
    answers = {"unknown": "", "answers": ", answers"}.get(seen["state"], f", {_text(seen['state'])}")
    target = f", audience {_text(upstream['target'])}" if upstream["target"] else ""
    return Block(
        name=_text(upstream["name"]),
        url=_local(_text(upstream["listen"][0]), tls=upstream.get("listen_tls") is not None),
        to=_text(upstream["url"]),
        whom=f"credential {_text(upstream['credential'])}{target}{_life(upstream, status)}",
        state=f"{state}{answers}",
        reasons=tuple(sentence(reason) for reason in reasons if reason),
    )


def _life(upstream: dict[str, Any], status: dict[str, Any]) -> str:
    """Say for how long the credential is good; empty: that is not known, or it does not end."""
    key = (upstream["credential"], upstream["target"])
    for each in status["credentials"]:
        if (each["name"], each["target"]) == key and each["usable"] and each["expires_in"] is not None:
            return f", good for {_duration(each['expires_in'])}"
    return ""


def _local(listen: str, *, tls: bool) -> str:
    """Return the address for callers."""
    host, _, port = listen.rpartition(":")
    scheme = "https" if tls else "http"
    return listen if listen.startswith("unix:") else f"{scheme}://{_LOCAL.get(host, host)}:{port}"


def _text(value: object) -> str:
    """Return a text that is safe on a terminal."""
    text = " ".join(str(value)[:_LONGEST].split())
    return "".join(character if character.isprintable() else "?" for character in text)


def _duration(seconds: float) -> str:
    """Return a duration for people: `34 s`, `12 min`, `5 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
