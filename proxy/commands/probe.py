"""Asks a running proxy whether it is ready, over a raw socket.

It imports little, because a container's health check runs this every few seconds.
"""

import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.clock import Clock

DEFAULT = "127.0.0.1:19090"
PIECES = 16
"""Most reads, each with its own time-out. Our answer needs one or two, another program's may never end."""

LONGEST = 16384
"""Most bytes of an answer that are shown."""


def address(given: "str | None") -> "tuple[str, int]":
    """Return host and port of the admin listener.

    Args:
        given: `HOST:PORT` or `PORT`; None: CAMUNDA_AUTH_PROXY_ADMIN_LISTEN, else the default.

    Raises:
        ValueError: one sentence, for the user.
    """
    text = given or os.environ.get("CAMUNDA_AUTH_PROXY_ADMIN_LISTEN") or DEFAULT
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    right = port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536
    if not right or not host.isascii() or not host.isprintable() or set(host) & set(" /[]"):
        raise ValueError(f"{text!r} is not an address: write HOST:PORT, as in {DEFAULT}")
    return {"localhost": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), int(port)  # noqa: S104


def ready(where: "tuple[str, int]", timeout: float = 2.0) -> "tuple[bool, str]":
    """Ask whether the proxy is ready; return the answer, and a sentence for people."""
    good, body, sentence = ask(where, timeout)
    return good, sentence or ("ready" if good else f"not ready: {_reasons(body)}")


def ask(where: "tuple[str, int]", timeout: float = 2.0) -> "tuple[bool, bytes, str]":
    """Ask whether the proxy is ready.

    Returns:
        Whether it is; the body of its answer; a sentence if there was no answer.
    """
    try:
        with socket.create_connection(where, timeout) as connection:
            connection.settimeout(timeout)
            connection.sendall(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            data = b""
            for _ in range(PIECES):
                if not (piece := connection.recv(65536)):
                    break
                data += piece
    except UnicodeError:  # a label of more than 63 characters, or an empty one
        return False, b"", f"no proxy answers on port {where[1]}: the host is not a valid name"
    except OSError as error:
        return False, b"", f"no proxy answers on port {where[1]}: {error.strerror or 'no answer in time'}"
    return data.startswith(b"HTTP/1.1 200 "), data.partition(b"\r\n\r\n")[2], ""


def _upstreams(body: bytes) -> "dict[str, dict[str, object]]":
    """Return the upstreams in a document of `/health/ready`; empty: it is none of ours."""
    import json

    try:
        upstreams = json.loads(body)["upstreams"]
        return {str(name): dict(each) for name, each in upstreams.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _reasons(body: bytes) -> str:
    """Say in one line what is not ready, and why."""
    waiting = [
        f"{name}: {each.get('reason')}" for name, each in _upstreams(body).items() if not each.get("ready")
    ]
    return _shown("; ".join(waiting).encode() or body) or "the answer cannot be understood"


def report(body: bytes) -> "list[str]":
    """Return one line for each upstream: whether it is ready, and what its last answers say."""
    lines = []
    for name, each in _upstreams(body).items():
        state = "ready" if each.get("ready") else "not ready"
        reason = f" ({each['reason']})" if each.get("reason") else ""
        lines.append(_shown(f"{name}: {state}{reason}; {each.get('told', '')}".encode()))
    return lines


def _shown(body: bytes) -> str:
    """Return the part of an answer that is safe on a terminal, as the port may be another program's."""
    text = " ".join(body[:LONGEST].decode("utf-8", "replace").split())
    return "".join(char if char.isprintable() else "?" for char in text)


def health(arguments: "list[str]") -> int:
    """Run the `health` command; return exit code 0 or 1, or 2 for a wrong usage."""
    given: str | None = None
    for_machines = "--json" in arguments
    match [each for each in arguments if each != "--json"]:
        case []:
            pass
        case ["--address", value]:
            given = value
        case [option] if option.startswith("--address="):
            given = option.removeprefix("--address=")
        case _:
            print("usage: camunda-auth-proxy health [--json] [--address HOST:PORT]")  # noqa: T201
            return 0 if arguments in (["--help"], ["-h"]) else 2
    try:
        where = address(given)
    except ValueError as error:
        print(error)  # noqa: T201
        return 2
    good, body, sentence = ask(where)
    if for_machines:
        print(_document(good, body, sentence))  # noqa: T201
        return 0 if good else 1
    print("\n".join([sentence or ("ready" if good else f"not ready: {_reasons(body)}"), *report(body)]))  # noqa: T201
    return 0 if good else 1


def _document(good: bool, body: bytes, sentence: str) -> str:
    """Return the document of `/health/ready` in one line, or one of ours that says why there is none."""
    import json

    if not sentence and _upstreams(body):
        return json.dumps(json.loads(body))
    return json.dumps({"ready": good, "error": sentence or _shown(body), "upstreams": {}})


def wait_until_ready(where: "tuple[str, int]", limit: float, clock: "Clock") -> "tuple[bool, str]":
    """Ask again and again until the proxy is ready or `limit` seconds have passed; return as `ready` does."""
    from time import sleep

    give_up = clock.now() + limit
    while True:
        good, sentence = ready(where)
        if good or clock.now() >= give_up:
            return good, sentence
        sleep(min(0.2, max(0.0, give_up - clock.now())))
