"""PyPI's camunda-orchestration-sdk: mode and BPMN file as arguments, one JSON line per operation on stdout.

Beside what it says itself, the status that came over the wire is told, and the keys are read there.
"""

import json
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import httpx
from camunda_orchestration_sdk import CamundaClient, JobKey, ProcessDefinitionId, ProcessInstanceKey
from camunda_orchestration_sdk.models import (
    CancelProcessInstanceRequest,
    JobActivationRequest,
    MessagePublicationRequest,
    ProcessCreationById,
    ProcessInstanceSearchQuery,
)

MODE, FILE = sys.argv[1], Path(sys.argv[2])
PROCESS = ProcessDefinitionId(FILE.stem)
JOB_TYPE = f"{FILE.stem}-work"

wire = threading.local()  # .response: the last one in this thread


def note(response: httpx.Response) -> None:
    response.read()
    wire.response = response


client = CamundaClient(httpx_args={"event_hooks": {"response": [note]}})


def say(op: str, ok: bool, status: int | None, detail: Any) -> None:
    sys.stdout.write(json.dumps({"op": op, "ok": ok, "status": status, "detail": detail}) + "\n")


def attempt(op: str, call: Callable[[], Any]) -> Any:
    """The answer's JSON as it came over the wire, whatever the client made of it."""
    wire.response = httpx.Response(0)
    try:
        answer = call()
        ok, detail = True, answer.to_dict() if answer is not None else None
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the outcome
        ok, detail = False, {"error": type(error).__name__, "message": str(error)}
    response: httpx.Response = wire.response
    say(op, ok, response.status_code, detail)
    return response.json() if response.content else None


def activate(op: str, job_type: str, seconds: int) -> Any:
    wish = JobActivationRequest(
        type_=job_type, timeout=60_000, max_jobs_to_activate=1, request_timeout=1000 * seconds
    )
    return attempt(op, lambda: client.activate_jobs(data=wish))["jobs"]


def create() -> int:
    instruction = ProcessCreationById(process_definition_id=PROCESS)
    answer = attempt("create", lambda: client.create_process_instance(data=instruction))
    return int(answer["processInstanceKey"])


def complete(key: int) -> None:
    attempt("complete", lambda: client.complete_job(job_key=JobKey(str(key))))


def serve_one(poll_seconds: int, silence: int) -> int:
    """Polls for the one job that comes after `silence` seconds, and completes it: the instance's key."""
    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(activate, "activate", JOB_TYPE, poll_seconds)
        if wait([poll], timeout=silence).done:
            raise RuntimeError("the poll ended before there was a job")
        instance = create()
        (job,) = poll.result()
    complete(job["jobKey"])
    return instance


def work() -> None:
    """A poll that outlives a token of 20 s, and the jobs after it."""
    attempt("deploy", lambda: client.deploy_resources_from_files([FILE]))
    for silence in (22, 1, 1):
        serve_one(poll_seconds=25, silence=silence)
    say("work", True, None, {"completed": 3})


def operations() -> None:
    attempt("topology", client.get_topology)
    attempt("deploy", lambda: client.deploy_resources_from_files([FILE]))
    instance = ProcessInstanceKey(str(serve_one(poll_seconds=20, silence=1)))
    activate("wait", "nobodys-work", 2)
    nothing_more = CancelProcessInstanceRequest()
    attempt("cancel", lambda: client.cancel_process_instance(instance, data=nothing_more))
    attempt("search", lambda: client.search_process_instances(data=ProcessInstanceSearchQuery()))
    news = MessagePublicationRequest(name="news", correlation_key="all", time_to_live=0)
    attempt("publish", lambda: client.publish_message(data=news))


def main() -> None:
    with client:
        operations() if MODE == "operations" else work()


main()
