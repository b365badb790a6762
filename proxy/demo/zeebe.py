"""The engine's REST API, `/v2`. Shapes are those of 8.6 and later: bodies name `processDefinitionId`."""

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from proxy.demo.apis import Call, Route
from proxy.demo.engine import Engine, Instance
from proxy.demo.gate import nginx, problem

TENANT = "<default>"


def asked(call: Call) -> dict[str, Any] | None:
    """The JSON object of the body; None: it is none."""
    if call.request.content_type != "application/json":
        return None
    try:
        members = json.loads(call.body or b"{}")
    except ValueError:
        return None
    return members if isinstance(members, dict) else None


def bad_request(call: Call, detail: str = "Request property [body] cannot be parsed") -> web.Response:
    return problem(call.request, 400, "Bad Request", detail)


def patience(call: Call, members: dict[str, Any]) -> float:
    """Seconds: 0 is the server's default, negative is none at all."""
    milliseconds = members.get("requestTimeout", 0)
    if milliseconds == 0:
        return call.world.rules.long_poll
    return max(0.0, float(milliseconds) / 1000)


@dataclass(frozen=True, slots=True)
class Zeebe:
    """Answers for one engine."""

    engine: Engine

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/v2/topology", self.topology),
            Route("GET", "/v2/license", self.license_),
            Route("GET", "/v2/status", self.status),
            Route("POST", "/v2/deployments", self.deploy),
            Route("POST", "/v2/process-instances", self.start),
            Route("POST", "/v2/process-instances/search", self.search),
            Route("POST", "/v2/jobs/activation", self.activate),
            Route("POST", "/v2/jobs/{key}/completion", self.complete),
        )

    async def topology(self, call: Call) -> web.Response:
        broker = {"nodeId": 0, "host": "simulated", "port": 26501, "partitions": [], "version": "8.6.0"}
        return web.json_response(
            {
                "brokers": [broker],
                "clusterSize": 1,
                "partitionsCount": 1,
                "replicationFactor": 1,
                "gatewayVersion": "8.6.0",
            }
        )

    async def license_(self, call: Call) -> web.Response:
        return web.json_response({"validLicense": False, "licenseType": "unknown", "isCommercial": False})

    async def status(self, call: Call) -> web.Response:
        return web.Response(status=204)

    async def deploy(self, call: Call) -> web.Response:
        match = re.search('boundary="?([^";]+)', call.request.headers.get("Content-Type", ""))
        if call.request.content_type != "multipart/form-data" or match is None:
            return problem(call.request, 415, "Unsupported Media Type", "Content-Type is not supported.")
        boundary = b"--" + match[1].encode()
        # Octet for octet or not at all: a body that lost its end is not read kindly.
        if not call.body.startswith(boundary) or not call.body.rstrip(b"\r\n").endswith(boundary + b"--"):
            return bad_request(call, "Required part 'resources' is not present.")
        deployments = [
            {
                "processDefinition": {
                    "processDefinitionId": process.name,
                    "processDefinitionVersion": 1,
                    "processDefinitionKey": str(process.key),
                    "tenantId": TENANT,
                }
            }
            for process in self.engine.deploy(call.body)
        ]
        return web.json_response(
            {"deploymentKey": str(next(self.engine.keys)), "tenantId": TENANT, "deployments": deployments}
        )

    async def start(self, call: Call) -> web.Response:
        members = asked(call)
        if members is None or "bpmnProcessId" in members:
            return bad_request(call)
        process = self.engine.processes.get(members.get("processDefinitionId", ""))
        if process is None:
            return problem(
                call.request, 404, "NOT_FOUND", "Expected to find a process definition, found none"
            )
        instance = self.engine.start(process)
        if members.get("awaitCompletion"):
            seconds = patience(call, members)
            if not await self.engine.news.within(seconds, lambda: instance.completed, call.world.clock):
                # Observed: a 504 by Camunda itself.
                return problem(
                    call.request, 504, "java.util.concurrent.TimeoutException", "Request timed out"
                )
        return web.json_response(
            {
                "processDefinitionId": process.name,
                "processDefinitionKey": str(process.key),
                "processInstanceKey": str(instance.key),
                "tenantId": TENANT,
            }
        )

    async def activate(self, call: Call) -> web.Response:
        members = asked(call)
        if members is None or not isinstance(members.get("type"), str):
            return bad_request(call)
        seconds = patience(call, members)
        taken: dict[int, Instance] = {}
        job_type, most = members["type"], int(members.get("maxJobsToActivate", 1))

        def came() -> bool:
            taken.update(self.engine.take(job_type, most))
            return bool(taken)

        limit = call.world.rules.ingress_timeout if call.api.saas else math.inf
        call.api.polls += 1
        call.world.news.tell()
        try:
            await self.engine.news.within(min(seconds, limit), came, call.world.clock)
        finally:
            call.api.polls -= 1
        if not taken and seconds > limit:
            return nginx(504, "Gateway Time-out")
        jobs = [
            {
                "jobKey": str(key),
                "type": job_type,
                "processInstanceKey": str(instance.key),
                "processDefinitionId": instance.process.name,
                "tenantId": TENANT,
                "variables": {},
            }
            for key, instance in taken.items()
        ]
        return web.json_response({"jobs": jobs})

    async def complete(self, call: Call) -> web.Response:
        if call.key.isdecimal() and self.engine.complete(int(call.key)):
            return web.Response(status=204)
        return problem(call.request, 404, "NOT_FOUND", "Command 'COMPLETE' rejected with code 'NOT_FOUND'")

    async def search(self, call: Call) -> web.Response:
        if asked(call) is None:
            return bad_request(call)
        items = [describe(instance) for instance in self.engine.instances.values()]
        return web.json_response({"items": items, "page": {"totalItems": len(items)}})


def describe(instance: Instance) -> dict[str, object]:
    return {
        "processInstanceKey": str(instance.key),
        "processDefinitionId": instance.process.name,
        "state": "COMPLETED" if instance.completed else "ACTIVE",
        "tenantId": TENANT,
    }
