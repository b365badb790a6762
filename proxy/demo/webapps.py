"""The other APIs: Operate and Tasklist (`/v1`), Optimize, Console, Web Modeler."""

from aiohttp import web

from proxy.demo.apis import Call, Route
from proxy.demo.engine import Engine, Instance
from proxy.demo.zeebe import TENANT, asked, bad_request

REPORT_ROWS = 2500
TASK = {"id": "2251799813685999", "name": "Look at it", "taskState": "CREATED", "tenantId": TENANT}


def operate(engine: Engine) -> tuple[Route, ...]:
    """Operate's `/v1`: keys are numbers, pages have `sortValues`."""

    async def definitions(call: Call) -> web.Response:
        if asked(call) is None:
            return bad_request(call)
        items = [
            {"key": process.key, "bpmnProcessId": process.name, "version": 1, "tenantId": TENANT}
            for process in engine.processes.values()
        ]
        return web.json_response({"items": items, "sortValues": [], "total": len(items)})

    async def instances(call: Call) -> web.Response:
        if asked(call) is None:
            return bad_request(call)
        items = [_instance(instance) for instance in engine.instances.values()]
        return web.json_response({"items": items, "sortValues": [], "total": len(items)})

    async def instance(call: Call) -> web.Response:
        found = engine.instances.get(int(call.key)) if call.key.isdecimal() else None
        if found is None:
            message = "No process instance found for the key"
            return web.json_response(
                {"status": 404, "message": message, "instance": "", "type": ""}, status=404
            )
        return web.json_response(_instance(found))

    return (
        Route("POST", "/v1/process-definitions/search", definitions),
        Route("POST", "/v1/process-instances/search", instances),
        Route("GET", "/v1/process-instances/{key}", instance),
    )


def _instance(instance: Instance) -> dict[str, object]:
    return {
        "key": instance.key,
        "bpmnProcessId": instance.process.name,
        "processDefinitionKey": instance.process.key,
        "state": "COMPLETED" if instance.completed else "ACTIVE",
        "tenantId": TENANT,
    }


def tasklist() -> tuple[Route, ...]:
    """Tasklist's `/v1`; there is one task."""

    async def search(call: Call) -> web.Response:
        return web.json_response([TASK]) if asked(call) is not None else bad_request(call)

    async def task(call: Call) -> web.Response:
        if call.key == TASK["id"]:
            return web.json_response(TASK)
        return web.json_response({"status": 404, "message": "task was not found"}, status=404)

    return (Route("POST", "/v1/tasks/search", search), Route("GET", "/v1/tasks/{key}", task))


def optimize() -> tuple[Route, ...]:
    """Optimize's public API; an export continues after the last answer to the same `searchRequestId`."""
    read_so_far: dict[str, int] = {}

    async def ready(call: Call) -> web.Response:
        return web.Response(status=200)

    async def dashboards(call: Call) -> web.Response:
        return web.json_response([{"id": "5c34c0a7-0000-0000-0000-00000000da5b"}])

    async def export(call: Call) -> web.Response:
        query = call.request.query
        search = query.get("searchRequestId") or f"search-{len(read_so_far) + 1}"
        begin = read_so_far.setdefault(search, 0)
        end = min(REPORT_ROWS, begin + int(query.get("limit", "1000")))
        read_so_far[search] = end
        return web.json_response(
            {
                "reportId": call.key,
                "searchRequestId": search,
                "numberOfRecordsInResponse": end - begin,
                "totalNumberOfRecords": REPORT_ROWS,
                "data": [{"processInstanceId": str(row)} for row in range(begin, end)],
            }
        )

    return (
        Route("GET", "/api/readyz", ready),
        Route("GET", "/api/public/dashboard", dashboards),
        Route("GET", "/api/public/export/report/{key}/result/json", export),
    )


def console() -> tuple[Route, ...]:
    async def clusters(call: Call) -> web.Response:
        return web.json_response([{"uuid": "5c34c0a7-0000-0000-0000-000000000000", "name": "simulated"}])

    return (Route("GET", "/clusters", clusters),)


def modeler() -> tuple[Route, ...]:
    async def info(call: Call) -> web.Response:
        return web.json_response({"version": "v1", "readPermission": True, "createPermission": False})

    return (Route("GET", "/v1/info", info),)
