"""The engine's REST API, `/v2`.

Bodies name `processDefinitionId` (8.6 and later). The schemas of npm's `@camunda8/orchestration-cluster-api`
9.1 (8.8 and later) accept the shapes; see tests/real/test_simulated.py.
"""

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from proxy.demo.apis import Call, Route
from proxy.demo.engine import Engine, Incident, Instance, Process
from proxy.demo.gate import nginx, problem
from proxy.demo.mint import EPOCH

TENANT = "<default>"


def asked(call: Call) -> dict[str, Any] | None:
    """Parse the JSON object of the body; None: it is none."""
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
    """Return the seconds of a long poll: for 0 the server's default, for a negative value none."""
    milliseconds = members.get("requestTimeout", 0)
    if milliseconds == 0:
        return call.world.rules.long_poll
    return max(0.0, float(milliseconds) / 1000)


@dataclass(frozen=True, slots=True)
class Zeebe:
    """Answers for one engine; `version` is what its topology says."""

    engine: Engine
    version: str = "8.6.0"

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
            Route("POST", "/v2/jobs/{key}/failure", self.fail),
            Route("POST", "/v2/incidents/search", self.incidents),
        )

    async def topology(self, call: Call) -> web.Response:
        broker = {"nodeId": 0, "host": "simulated", "port": 26501, "partitions": [], "version": self.version}
        return web.json_response(
            {
                "brokers": [broker],
                "clusterId": None,
                "clusterSize": 1,
                "partitionsCount": 1,
                "replicationFactor": 1,
                "gatewayVersion": self.version,
                "lastCompletedChangeId": "-1",
            }
        )

    async def license_(self, call: Call) -> web.Response:
        terms = {"validLicense": False, "licenseType": "unknown", "isCommercial": False, "expiresAt": None}
        return web.json_response(terms)

    async def status(self, call: Call) -> web.Response:
        return web.Response(status=204)

    async def deploy(self, call: Call) -> web.Response:
        match = re.search('boundary="?([^";]+)', call.request.headers.get("Content-Type", ""))
        if call.request.content_type != "multipart/form-data" or match is None:
            return problem(call.request, 415, "Unsupported Media Type", "Content-Type is not supported.")
        boundary = b"--" + match[1].encode()
        # Strict, so that a body which lost its end is noticed.
        if not call.body.startswith(boundary) or not call.body.rstrip(b"\r\n").endswith(boundary + b"--"):
            return bad_request(call, "Required part 'resources' is not present.")
        deployments = [
            {
                "processDefinition": {**described(process), "resourceName": "process.bpmn"},
                "decisionDefinition": None,
                "decisionRequirements": None,
                "form": None,
                "resource": None,
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
        return web.json_response({**running(instance), "variables": {}, "businessId": None})

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
                **running(instance),
                "jobKey": str(key),
                "type": job_type,
                "elementId": "work",
                "elementInstanceKey": str(key),
                "customHeaders": {},
                "worker": str(members.get("worker", "")),
                "retries": 3,
                "deadline": int(1000 * (EPOCH + call.world.clock.now())),
                "variables": {},
                "kind": "BPMN_ELEMENT",
                "listenerEventType": "UNSPECIFIED",
                "userTask": None,
                "rootProcessInstanceKey": None,
            }
            for key, instance in taken.items()
        ]
        return web.json_response({"jobs": jobs})

    async def complete(self, call: Call) -> web.Response:
        if call.key.isdecimal() and self.engine.complete(int(call.key)):
            return web.Response(status=204)
        return problem(call.request, 404, "NOT_FOUND", "Command 'COMPLETE' rejected with code 'NOT_FOUND'")

    async def fail(self, call: Call) -> web.Response:
        members = asked(call)
        if members is None:
            return bad_request(call)
        retries, message = int(members.get("retries", 0)), str(members.get("errorMessage", ""))
        if call.key.isdecimal() and self.engine.fail(int(call.key), retries, message):
            return web.Response(status=204)
        return problem(call.request, 404, "NOT_FOUND", "Command 'FAIL' rejected with code 'NOT_FOUND'")

    async def incidents(self, call: Call) -> web.Response:
        """Answer a page of them: `limit` and `after`, a cursor of the page before (8.8 and later)."""
        members = asked(call)
        page = members.get("page", {}) if members is not None else None
        if not isinstance(page, dict) or not isinstance(page.get("limit", 100), int):
            return bad_request(call)
        after = str(page.get("after", "0"))
        begin = int(after) if after.isdecimal() else 0
        every = self.engine.incidents
        items = every[begin : begin + page.get("limit", 100)]
        end = begin + len(items)
        told = {
            "totalItems": len(every),
            "hasMoreTotalItems": False,
            "startCursor": str(begin) if items else None,
            "endCursor": str(end) if items else None,
        }
        return web.json_response({"items": [incident(each) for each in items], "page": told})

    async def search(self, call: Call) -> web.Response:
        if asked(call) is None:
            return bad_request(call)
        items = [
            {
                **running(instance),
                "processDefinitionName": None,
                "processDefinitionVersionTag": None,
                "startDate": "2026-01-01T00:00:00.000Z",
                "endDate": None,
                "state": "COMPLETED" if instance.completed else "ACTIVE",
                "hasIncident": False,
                "parentProcessInstanceKey": None,
                "parentElementInstanceKey": None,
                "rootProcessInstanceKey": None,
                "businessId": None,
            }
            for instance in self.engine.instances.values()
        ]
        page = {"totalItems": len(items), "hasMoreTotalItems": False, "startCursor": None, "endCursor": None}
        return web.json_response({"items": items, "page": page})


def described(process: Process) -> dict[str, object]:
    return {
        "processDefinitionId": process.name,
        "processDefinitionVersion": 1,
        "processDefinitionKey": str(process.key),
        "tenantId": TENANT,
    }


def running(instance: Instance) -> dict[str, object]:
    """Return the members that describe an instance, in it and in its job."""
    return {**described(instance.process), "processInstanceKey": str(instance.key), "tags": []}


def incident(found: Incident) -> dict[str, object]:
    """Return an incident as searches of 8.8 and later have it."""
    return {
        "incidentKey": str(found.key),
        "errorType": "JOB_NO_RETRIES",
        "errorMessage": found.message,
        "state": "ACTIVE",
        "creationTime": "2026-01-01T00:00:00.000Z",
        "elementId": "work",
        "elementInstanceKey": str(found.job),
        "jobKey": str(found.job),
        "processInstanceKey": str(found.instance.key),
        "rootProcessInstanceKey": None,
        "processDefinitionId": found.instance.process.name,
        "processDefinitionKey": str(found.instance.process.key),
        "tenantId": TENANT,
    }
