"""Finds the Camunda that listens on this machine, and tells by its answers what it is.

The ports are those of C8Run and of Camunda's Docker Compose files, 8.3 to 8.10. Each gets a few harmless GET
requests without a credential. Nothing but loopback is asked.
"""

import json
import socket
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any, Final, Literal

from proxy.net import authority

Kind = Literal["cluster", "operate", "tasklist", "optimize", "hub", "keycloak", "management", "grpc"]
Wants = Literal["nothing", "token", "login", "credential", "unknown"]

PORTS: Final[Mapping[int, tuple[Kind, ...]]] = {
    8080: ("cluster",),
    8088: ("cluster", "hub"),
    8081: ("operate",),
    8082: ("tasklist",),
    8083: ("optimize",),
    8070: ("hub",),
    9600: ("management",),
    18080: ("keycloak",),
    26500: ("grpc",),
}
REALM: Final = "/auth/realms/camunda-platform"
_ADDRESSES: Final = ("127.0.0.1", "::1")
_CONNECT: Final = 0.3
_ANSWER: Final = 2.0
_PIECE, _PIECES = 1 << 16, 16
"""Most bytes of a read, and most reads, each with its own time-out: an answer may never end."""


@dataclass(frozen=True, slots=True)
class Found:
    """A server of Camunda's.

    Attributes:
        wants: what it asks of a request without a credential; `credential`: a token, or user and password.
        version: as it says itself, or what its answers show: `8.8 or later`; empty: not known.
    """

    kind: Kind
    url: str
    wants: Wants = "unknown"
    version: str = ""

    def __str__(self) -> str:
        version = f" {self.version}" if self.version else ""
        return f"{self.url}  {_NAMES[self.kind].format(version=version)}{_WANTS[self.wants]}"


_NAMES: Final[Mapping[Kind, str]] = {
    "cluster": "Camunda{version}, Orchestration Cluster",
    "operate": "Operate",
    "tasklist": "Tasklist",
    "optimize": "Optimize",
    "hub": "Camunda Hub, as it seems",
    "keycloak": "Keycloak, realm camunda-platform",
    "management": "management port of the Orchestration Cluster (no API for the proxy)",
    "grpc": "gRPC port (the proxy serves REST only)",
}
_WANTS: Final[Mapping[Wants, str]] = {
    "nothing": "; it wants no credential",
    "token": "; it wants a token",
    "login": "; it wants a user and a password",
    "credential": "; it wants a credential",
    "unknown": "",
}


def find(ports: Mapping[int, Iterable[Kind]] = PORTS) -> list[Found]:
    """Return the servers that are there, in the order of the ports."""
    with ThreadPoolExecutor(max_workers=len(ports)) as pool:
        found = pool.map(lambda item: _look(*item), ports.items())
    return [each for each in found if each is not None]


def look_at(host: str, port: int) -> Found | None:
    """Return what an Orchestration Cluster at this loopback address wants; None: there is none."""
    return _cluster(_Server(host, port))


def _look(port: int, kinds: Iterable[Kind]) -> Found | None:
    for host in _ADDRESSES:
        try:
            socket.create_connection((host, port), _CONNECT).close()
        except OSError:
            continue
        server = _Server(host, port)
        return next((found for kind in kinds if (found := _recognised(kind, server)) is not None), None)
    return None


def _recognised(kind: Kind, server: "_Server") -> Found | None:
    match kind:
        case "cluster":
            return _cluster(server)
        case "operate":
            return _web_application(server, kind, "/v1/process-definitions/1")
        case "tasklist":
            return _web_application(server, kind, "/v1/tasks/1")
        case "optimize":
            return _optimize(server)
        case "hub":
            return _hub(server)
        case "keycloak":
            return _keycloak(server)
        case "management":
            return _management(server)
    return Found("grpc", server.url.removeprefix("http://"))


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    challenge: str
    document: Any


class _Server:
    """Attributes: url: for people, with `localhost`."""

    def __init__(self, host: str, port: int) -> None:
        self.url = f"http://{authority('localhost' if host in _ADDRESSES else host, port)}"
        self._at = (host, port)

    def get(self, path: str) -> _Answer | None:
        """Return the answer; None: none, or it is no HTTP."""
        connection = HTTPConnection(*self._at, timeout=_ANSWER)
        try:
            connection.request("GET", path, headers={"Accept": "application/json"})
            with connection.getresponse() as answer:
                challenge = answer.getheader("WWW-Authenticate", "")
                body = b"".join(answer.read1(_PIECE) for _ in range(_PIECES))
                return _Answer(answer.status, challenge, _document(body))
        except (OSError, HTTPException, ValueError):
            return None
        finally:
            connection.close()


def _document(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _cluster(server: _Server) -> Found | None:
    """The API is /v2 since 8.6, /v1 before. /v2/status is open since 8.8, /cluster/v2/status since 8.10.

    Before 8.8 a 401 has no challenge in any mode (seen with 8.6); since 8.8 it has one if a token is wanted.
    """
    for path in ("/v2/topology", "/v1/topology"):
        answer = server.get(path)
        if answer is None:
            return None
        if answer.status == 200 and isinstance(answer.document, dict):
            version = answer.document.get("gatewayVersion")
            if isinstance(version, str) and isinstance(answer.document.get("brokers"), list):
                return Found("cluster", server.url, "nothing", _short(version))
        token = answer.challenge.lower().startswith("bearer")
        if answer.status == 401 and (version := _by_open_paths(server)):
            return Found("cluster", server.url, "token" if token else "login", version)
        if answer.status == 401 and not token and isinstance(answer.document, dict):
            return Found("cluster", server.url, "credential", "before 8.8, as it seems")
    return None


def _by_open_paths(server: _Server) -> str:
    for path, version in (("/cluster/v2/status", "8.10 or later"), ("/v2/status", "8.8 or later")):
        answer = server.get(path)
        if answer is not None and answer.status == 204:
            return version
    return ""


def _web_application(server: _Server, kind: Kind, path: str) -> Found | None:
    """Its API answers 401 in JSON; its other paths lead to a login page."""
    answer, other = server.get(path), server.get("/no/such/path")
    if answer is None or other is None or answer.status != 401 or other.status == 401:
        return None
    return Found(kind, server.url) if isinstance(answer.document, dict) else None


def _optimize(server: _Server) -> Found | None:
    answer, api = server.get("/api/readyz"), server.get("/api/public/dashboard?collectionId=x")
    right = answer is not None and answer.status == 200 and api is not None and api.status == 401
    return Found("optimize", server.url, "token") if right else None


def _hub(server: _Server) -> Found | None:
    answer = server.get("/api/v2/info")
    right = answer is not None and answer.status == 401 and answer.challenge.lower().startswith("bearer")
    return Found("hub", server.url, "token") if right else None


def _keycloak(server: _Server) -> Found | None:
    answer = server.get(REALM)
    document = answer.document if answer is not None and answer.status == 200 else None
    named = isinstance(document, dict) and document.get("realm") == "camunda-platform"
    return Found("keycloak", server.url) if named else None


def _management(server: _Server) -> Found | None:
    answer = server.get("/actuator/health")
    document = answer.document if answer is not None else None
    return Found("management", server.url) if isinstance(document, dict) and "status" in document else None


def _short(version: str) -> str:
    return "".join(each for each in version[:40] if each.isascii() and (each.isalnum() or each in ".-"))
