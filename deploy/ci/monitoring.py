# ruff: noqa: INP001 -- a script, in no package
"""Runs a real Prometheus that scrapes a real proxy before the simulated Camunda, without and with faults.

In health: no alert is even pending. In sickness: every alert comes, each from its own fault. Then each query
of the dashboard is asked, and has an answer with a number in it.

    python monitoring.py FOLDER        with `prometheus` and `promtool` on PATH; FOLDER is for its files
"""

import asyncio
import json
import math
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from proxy.demo import Client, Fault, SimulatedCamunda, simulated_camunda

DEPLOY = Path(__file__).parents[1]
PATIENCE = 60.0
LIFE = 20.0
"""Seconds that a token of client `late` lives."""
TOOL, AGENT = "token-of-the-tool", "token-of-the-agent"
"""Of the callers, once there are callers; the agent may only read."""
LONG = 2000
"""Characters of the paths of the agent's requests, so that few of them fill the audit log's queue."""
MANY = 6000
"""Requests of the agent, more than that queue of 8 MiB takes with LONG paths."""

Call = tuple[str, str, dict[str, str]]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def say(text: str) -> None:
    sys.stdout.write(f"monitoring: {text}\n")


class Prometheus:
    """The server's HTTP API."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self._session = session
        self._base = f"http://127.0.0.1:{port}/api/v1/"

    async def ask(self, path: str, **parameters: str) -> Any:
        async with self._session.get(self._base + path, params=parameters) as response:
            answer = await response.json()
            if answer["status"] != "success":
                raise SystemExit(f"{parameters}: {answer['error']}")
            return answer["data"]

    async def values(self, query: str) -> list[float]:
        return [float(each["value"][1]) for each in (await self.ask("query", query=query))["result"]]

    async def rules(self) -> list[dict[str, Any]]:
        groups = (await self.ask("rules"))["groups"]
        return [rule for group in groups for rule in group["rules"]]

    async def alerts(self) -> set[str]:
        """Names of those that are pending or firing."""
        return {alert["labels"]["alertname"] for alert in (await self.ask("alerts"))["alerts"]}


class Sidecar:
    """The proxy as its users run it, its file and its callers."""

    def __init__(self, session: aiohttp.ClientSession, folder: Path, admin: int) -> None:
        self.file = folder / "config.yaml"
        self.admin = f"http://127.0.0.1:{admin}"
        self.process: asyncio.subprocess.Process | None = None
        self.token = ""
        self._session = session

    async def start(self) -> None:
        """Start it. Its stdout is a pipe that is read only at the end."""
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "proxy",
            "run",
            "--config",
            str(self.file),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )

    async def listens(self) -> dict[str, str]:
        """Addresses by the name of the upstream."""
        async with self._session.get(f"{self.admin}/status.json") as response:
            status = await response.json()
        return {upstream["name"]: upstream["listen"][0] for upstream in status["upstreams"]}

    async def call(self, upstream: str, path: str, fields: dict[str, str] | None = None) -> int:
        address = (await self.listens())[upstream]
        sent = {"X-Proxy-Token": self.token, **(fields or {})} if self.token else fields
        async with self._session.get(f"http://{address}{path}", headers=sent) as response:
            await response.read()
            return response.status

    async def flood(self, upstream: str) -> None:
        """Send MANY requests that the agent may not send. Each of them gets a line of the audit log."""
        host, _, port = (await self.listens())[upstream].rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        fields = f"Host: localhost\r\nX-Proxy-Token: {AGENT}\r\nContent-Length: 0\r\n"
        head = f"POST /v2/{'x' * LONG} HTTP/1.1\r\n{fields}"

        async def send() -> None:
            for _ in range(MANY):
                writer.write(f"{head}\r\n".encode())
                await writer.drain()
            writer.write(f"{head}Connection: close\r\n\r\n".encode())

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(send())
            while await reader.read(65536):
                pass
        writer.close()

    def send(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)

    async def stop(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
            await self.process.communicate()


@asynccontextmanager
async def damaged_store() -> AsyncIterator[asyncio.Server]:
    """Run a store in which each value is damaged: each script is answered as one that found such a value."""

    clients: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        clients.add(writer)
        try:
            while line := await reader.readline():
                words = []
                for _ in range(int(line[1:])):
                    length = int((await reader.readline())[1:])
                    words.append((await reader.readexactly(length + 2))[:-2])
                found = b"*3\r\n$5\r\nvalue\r\n$100\r\n" + b"x" * 100 + b"\r\n:60000\r\n"
                writer.write(found if words[0].upper() == b"EVAL" else b"+OK\r\n")
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server
    finally:
        server.close()
        for client in clients:
            client.close()


async def until(what: str, fact: Callable[[], Any]) -> None:
    """Poll until all answer; a server that is not up yet is asked again later."""
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    if await fact():
                        return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise SystemExit(f"after {PATIENCE:.0f} s: not {what}") from None


def healthy(camunda: SimulatedCamunda, admin: int) -> dict[str, Any]:
    def oauth2(client: str) -> dict[str, str]:
        secret = camunda.keycloak.clients[client].secret
        return {
            "type": "oauth2",
            "token_url": camunda.keycloak.url,
            "client_id": client,
            "client_secret": secret,
        }

    zeebe, listen = camunda.url("zeebe"), "localhost:0"
    return {
        "upstreams": {
            "zeebe": {"url": zeebe, "listen": listen, "credential": "main"},
            "zeebe-late": {"api": "zeebe", "url": zeebe, "listen": listen, "credential": "late"},
            "operate": {"url": camunda.url("operate-8.6"), "listen": listen, "credential": "login"},
        },
        "credentials": {
            "main": oauth2("orchestration"),
            "late": oauth2("late"),
            "login": {"type": "session", "username": camunda.username, "password": camunda.password},
        },
        "admin": {"listen": f"127.0.0.1:{admin}"},
    }


def with_faults(camunda: SimulatedCamunda, config: dict[str, Any], silent: int, store: int) -> dict[str, Any]:
    """More upstreams: one whose client is refused, one that refuses good tokens, one that is not there, and
    one that takes connections and never answers. And callers, an audit log, and a store.

    Args:
        silent: port of the last one.
        store: port of the store.
    """
    zeebe, listen = camunda.url("zeebe"), "localhost:0"
    config["upstreams"] |= {
        "locked": {"api": "zeebe", "url": zeebe, "listen": listen, "credential": "wrong"},
        "strange": {"api": "zeebe", "url": zeebe, "listen": listen, "credential": "strange"},
        "gone": {
            "api": "zeebe",
            "url": f"http://127.0.0.1:{free_port()}",
            "listen": listen,
            "credential": "main",
        },
        "silent": {
            "api": "zeebe",
            "url": f"http://127.0.0.1:{silent}",
            "listen": listen,
            "credential": "main",
            "response_timeout": "1s",
        },
    }
    main = config["credentials"]["main"]
    other = camunda.keycloak.clients["other-audience"]
    config["credentials"] |= {
        "wrong": {**main, "client_secret": "not-the-secret"},
        "strange": {**main, "client_id": other.name, "client_secret": other.secret},
    }
    config["store"] = {"url": f"redis://127.0.0.1:{store}"}
    config["callers"] = {"tool": {"token": TOOL}, "agent": {"token": AGENT, "read_only": True}}
    config["audit"] = {"file": "-"}
    return config


@asynccontextmanager
async def prometheus(session: aiohttp.ClientSession, folder: Path, admin: int) -> AsyncIterator[Prometheus]:
    """With the configuration that we ship, but quicker."""
    port = free_port()
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.example.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(DEPLOY / "prometheus" / name) for name in config["rule_files"]]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{admin}"]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    with (folder / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            stderr=log,
        )
    try:
        server = Prometheus(session, port)
        await until("a Prometheus that answers", lambda: server.ask("status/runtimeinfo"))
        yield server
    finally:
        process.terminate()
        await process.wait()


async def be_healthy(camunda: SimulatedCamunda, sidecar: Sidecar, server: Prometheus) -> None:
    """Start while no token is to be had, so that a request waits; then all is well for longer than a life."""
    camunda.keycloak.fault = Fault.DOWN
    await sidecar.start()
    await until("a proxy that listens", sidecar.listens)
    await until("a first scrape", lambda: server.values("camunda_auth_proxy_ready"))
    waiting = asyncio.ensure_future(sidecar.call("zeebe", "/v2/topology"))  # noqa: TID251 -- awaited below
    await asyncio.sleep(0.5)
    camunda.keycloak.fault = None
    if await waiting != 200:
        raise SystemExit("a request that waited for its first token was not answered 200")

    async def ready() -> bool:
        return not await server.alerts()

    await until("ready", ready)
    end = asyncio.get_running_loop().time() + LIFE + 4
    while asyncio.get_running_loop().time() < end:
        for name, path in (("zeebe", "/v2/topology"), ("zeebe-late", "/v2/topology"), ("operate", "/v1/x")):
            await sidecar.call(name, path)
        if alerts := await server.alerts():
            raise SystemExit(f"alerts though all is well: {alerts}")
        await asyncio.sleep(0.2)
    if bad := [rule["name"] for rule in await server.rules() if rule["health"] != "ok"]:
        raise SystemExit(f"rules that cannot be evaluated: {bad}")
    if await server.values(
        "sum(camunda_auth_proxy_credential_fetches_total{credential='late',outcome='ok'})"
    ) < [2.0]:
        raise SystemExit("no token was refreshed meanwhile")
    say(f"{LIFE + 4:.0f} s of health, tokens refreshed meanwhile: no alert pending")


async def be_sick(
    camunda: SimulatedCamunda, sidecar: Sidecar, server: Prometheus, config: dict[str, Any], silent: int
) -> None:
    """Every fault at once, until each alert but that of silence has come. At last the store is gone."""

    async def listens_anew() -> bool:
        return "gone" in await sidecar.listens()

    async def damage_is_seen() -> bool:
        return "CamundaAuthProxyStoreValuesIgnored" in await server.alerts()

    async with damaged_store() as store:
        faults = with_faults(camunda, config, silent, store.sockets[0].getsockname()[1])
        sidecar.file.write_text(json.dumps(faults), encoding="utf-8")
        sidecar.send(signal.SIGHUP)
        await until("a reload", listens_anew)
        sidecar.token = TOOL
        await until("CamundaAuthProxyStoreValuesIgnored", damage_is_seen)
    await sidecar.flood("zeebe")
    camunda.keycloak.rejected.add("late")  # now, because its alerts last only for the end of a life
    camunda.revoke("orchestration")
    sidecar.file.write_text("upstreams: none", encoding="utf-8")
    sidecar.send(signal.SIGHUP)
    wanted = {rule["name"] for rule in await server.rules()} - {"CamundaAuthProxyDown"}

    async def all_came() -> bool:
        for name in ("zeebe", "locked", "strange", "gone", "silent"):
            await sidecar.call(name, "/v2/topology")
        await sidecar.call("zeebe", "/v2/topology", {"Host": "intranet.example"})
        seen.update(await server.alerts())
        return wanted <= seen

    seen: set[str] = set()
    try:
        await until("all alerts", all_came)
    except SystemExit as error:
        raise SystemExit(f"{error}; missing: {wanted - seen}") from None
    say(f"{len(wanted)} alerts came, each of its own fault: {', '.join(sorted(wanted))}")


def queries(dashboard: dict[str, Any]) -> dict[str, str]:
    """Each target's query by the title of its panel, with values for its variables."""
    found = {}
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            query = re.sub(r"\$__\w+", "1m", target["expr"])
            found[f"{panel['title']} {target['refId']}"] = re.sub(r"\$\w+", ".*", query)
    return found


async def dashboard_shows(server: Prometheus) -> None:
    dashboard = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
    empty = []
    for title, query in queries(dashboard).items():
        values = await server.values(query)
        if not any(math.isfinite(value) for value in values):
            empty.append(f"{title}: {query}")
    if empty:
        raise SystemExit("panels without data:\n" + "\n".join(empty))
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"]).groups()  # type: ignore[union-attr]
            series = await server.ask("series", **{"match[]": re.sub(r"\$\w+", ".*", metric)})
            if not all(each.get(label) for each in series) or not series:
                raise SystemExit(f"variable {variable['name']} has no values")
    say(f"dashboard: {len(queries(dashboard))} queries, each with data; every variable has values")


async def fall_silent(sidecar: Sidecar, server: Prometheus) -> None:
    (memory,) = await server.values("process_resident_memory_bytes{job='camunda-auth-proxy'}")
    (cpu,) = await server.values("process_cpu_seconds_total{job='camunda-auth-proxy'}")
    await sidecar.stop()

    async def told() -> bool:
        return "CamundaAuthProxyDown" in await server.alerts()

    await until("CamundaAuthProxyDown", told)
    say(
        f"CamundaAuthProxyDown came when it stopped; it had {memory / 1e6:.0f} MB resident "
        f"and had used {cpu:.1f} s of CPU"
    )


def check_queries_offline(folder: Path) -> list[str]:
    """The dashboard's queries as recording rules, for promtool; the command."""
    dashboard = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
    rules = [{"record": f"panel:{n}", "expr": query} for n, query in enumerate(queries(dashboard).values())]
    file = folder / "dashboard.rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")
    return ["promtool", "check", "rules", str(file)]


async def lint(sidecar: Sidecar, session: aiohttp.ClientSession) -> None:
    async with session.get(f"{sidecar.admin}/metrics") as response:
        metrics = await response.read()
    process = await asyncio.create_subprocess_exec(
        "promtool",
        "check",
        "metrics",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate(metrics)
    if process.returncode or said:
        raise SystemExit(f"promtool check metrics: {said.decode()}")
    say("promtool finds nothing to say against /metrics")


async def main(folder: Path) -> None:
    admin = free_port()
    offline = await asyncio.create_subprocess_exec(
        *check_queries_offline(folder), stdout=asyncio.subprocess.DEVNULL
    )
    if await offline.wait():
        raise SystemExit("a query of the dashboard is not PromQL")
    async with simulated_camunda() as camunda, aiohttp.ClientSession() as session:
        clients = camunda.keycloak.clients
        clients["late"] = Client("late", clients["orchestration"].audiences, life=LIFE)
        config = healthy(camunda, admin)
        sidecar = Sidecar(session, folder, admin)
        sidecar.file.write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
        try:
            async with prometheus(session, folder, admin) as server:
                await be_healthy(camunda, sidecar, server)
                await lint(sidecar, session)
                with socket.create_server(("127.0.0.1", 0), backlog=256) as silent:  # it accepts nothing
                    await be_sick(camunda, sidecar, server, config, silent.getsockname()[1])
                await dashboard_shows(server)
                await fall_silent(sidecar, server)
        finally:
            await sidecar.stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
