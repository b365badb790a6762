"""The doctor in this process, before servers of the tests."""

import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proxy.clock import SystemClock, wall_time
from proxy.commands.doctor import show
from proxy.commands.doctor.examine import Examined, examine
from proxy.commands.doctor.finding import Section, Step
from proxy.commands.doctor.places import Surroundings
from proxy.commands.log import Redactor
from proxy.config.load import load
from proxy.outgoing.connect import Connector
from proxy.outgoing.names import GetAddrInfo
from tests.accepting import accepting

SECRET = "canary-of-the-client-secret"
PASSWORD = "canary-of-the-password"

Document = dict[str, Any]


@dataclass(frozen=True)
class Result:
    """What the doctor found, and everything that it prints."""

    examined: Examined
    printed: str

    @property
    def causes(self) -> list[tuple[str, str]]:
        """Subject and name of the cause of each step that found something wrong."""
        return [(section.subject, step.why.name) for section, step in self.wrong if step.why is not None]

    @property
    def wrong(self) -> tuple[tuple[Section, Step], ...]:
        return self.examined.findings.wrong

    def section(self, subject: str) -> Section:
        return next(each for each in self.examined.findings.sections if each.subject == subject)

    def step(self, subject: str, name: str) -> Step:
        return next(each for each in self.section(subject).steps if each.name == name)

    def notices(self) -> list[str]:
        return [
            step.why.name
            for section in self.examined.findings.sections
            for step in section.steps
            if step.mark == "notice" and step.why is not None
        ]


async def diagnose(
    folder: Path,
    document: Document,
    *,
    canaries: tuple[str, ...] = (SECRET, PASSWORD),
    wall: Callable[[], float] = wall_time,
    getaddrinfo: GetAddrInfo | None = None,
    environ: Mapping[str, str] | None = None,
    patience: float = 30.0,
) -> Result:
    """Examine a configuration, and look for secrets in everything that is printed."""
    file = folder / "c.yaml"
    file.write_text(json.dumps(document), encoding="utf-8")
    config = load(config=file, env_file=None, environ={}, directory=folder)
    clock = SystemClock()
    connector = Connector(clock.now, getaddrinfo) if getaddrinfo is not None else Connector(clock.now)
    examined = await examine(config, Surroundings(clock, connector, wall, environ or {}, patience))
    redact = Redactor(lambda: examined.secrets)
    findings = examined.findings
    as_json = show.as_json(findings, redact, "0")
    assert json.loads(as_json)["ok"] is not bool(findings.wrong)
    report = show.report(findings, redact, version="0", system="Linux", date="today")
    printed = f"{show.text(findings, redact)}\n{as_json}\n{report}"
    bare = str([(step.said, step.why, step.facts) for each in findings.sections for step in each.steps])
    for canary in (*canaries, *(each for each in examined.secrets if len(each) > 6)):
        assert canary not in printed, printed
        assert canary not in bare, "only the redaction has kept it out"
    return Result(examined, printed)


def oauth2(url: str, token_url: str, **more: Any) -> Document:
    """One upstream with tokens. `upstream` in `more` holds further settings of the upstream."""
    upstream = more.pop("upstream", {})
    return {
        "upstreams": {"zeebe": {"url": url, "listen": "localhost:0", "credential": "identity", **upstream}},
        "credentials": {
            "identity": {
                "type": "oauth2",
                "client_id": "orchestration",
                "client_secret": SECRET,
                **({"token_url": token_url} if token_url else {}),
                **more,
            }
        },
    }


def none(url: str, **upstream: Any) -> Document:
    """One upstream without a credential."""
    return {
        "upstreams": {"zeebe": {"url": url, "listen": "localhost:0", "credential": "nothing", **upstream}},
        "credentials": {"nothing": {"type": "none"}},
    }


def user(url: str, kind: str, **more: Any) -> Document:
    """One upstream with a user: `session` or `basic`."""
    upstream = more.pop("upstream", {})
    return {
        "upstreams": {"zeebe": {"url": url, "listen": "localhost:0", "credential": "login", **upstream}},
        "credentials": {"login": {"type": kind, "username": "demo", "password": PASSWORD, **more}},
    }


@dataclass(frozen=True)
class Said:
    """An answer of a scripted server."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def __bytes__(self) -> bytes:
        lines = [
            f"HTTP/1.1 {self.status} Said",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        lines += [f"Content-Length: {len(self.body)}", "Connection: close", "", ""]
        return "\r\n".join(lines).encode("latin-1") + self.body


def problem(status: int, detail: str, **headers: str) -> Said:
    """An answer as Camunda's own (RFC 9457)."""
    body = json.dumps({"type": "about:blank", "title": "x", "status": status, "detail": detail})
    return Said(status, body.encode(), {"Content-Type": "application/problem+json", **headers})


def as_json(status: int, members: Any, **headers: str) -> Said:
    return Said(status, json.dumps(members).encode(), {"Content-Type": "application/json", **headers})


def page(status: int, text: str = "<html><center>nginx</center></html>", **headers: str) -> Said:
    return Said(status, text.encode(), {"Content-Type": "text/html", **headers})


TOPOLOGY = as_json(200, {"brokers": [], "gatewayVersion": "8.8.1"})
ITEMS = as_json(200, {"items": []})


class Scripted:
    """A server that answers by method and path.

    Attributes:
        url: of its root, without TLS.
        answers: by `METHOD /path`, without a query; else `otherwise`.
        asked: heads of all requests.
    """

    def __init__(self, answers: Mapping[str, Said | bytes], otherwise: Said | bytes) -> None:
        self.url = ""
        self.port = 0
        self.answers = dict(answers)
        self.otherwise = otherwise
        self.asked: list[bytes] = []


@asynccontextmanager
async def scripted(
    answers: Mapping[str, Said | bytes] | None = None,
    otherwise: Said | bytes = TOPOLOGY,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Scripted]:
    server = Scripted(answers or {}, otherwise)

    async def serve(reader: Any, writer: Any) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        server.asked.append(head)
        method, target, _ = head.partition(b"\r\n")[0].decode().split(" ")
        said = server.answers.get(f"{method} {target.partition('?')[0]}", server.otherwise)
        writer.write(bytes(said))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with accepting(serve, tls) as port:
        server.port = port
        server.url = f"http://127.0.0.1:{port}"
        yield server
