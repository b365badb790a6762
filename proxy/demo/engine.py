"""The process engine behind all APIs: its processes, instances and waiting jobs.

Every process has one service task.
"""

import re
from dataclasses import dataclass, field
from itertools import count

from proxy.demo.world import News

PROCESS = re.compile(rb'<(?:\w+:)?process\b[^>]*?\bid="([^"]+)"')
JOB_TYPE = re.compile(rb'<zeebe:taskDefinition\b[^>]*?\btype="([^"]+)"')


@dataclass(slots=True)
class Process:
    key: int
    name: str
    job_type: str


@dataclass(slots=True)
class Instance:
    key: int
    process: Process
    completed: bool = False


@dataclass(slots=True)
class Incident:
    """A job that failed without a retry left, and so stops its instance."""

    key: int
    job: int
    instance: Instance
    message: str


@dataclass(slots=True)
class Engine:
    """Attributes:
    jobs: those that wait for a worker, by key.
    taken: those that a worker has, by key.
    incidents: all so far, first one first.
    """

    processes: dict[str, Process] = field(default_factory=dict)
    instances: dict[int, Instance] = field(default_factory=dict)
    jobs: dict[int, Instance] = field(default_factory=dict)
    taken: dict[int, Instance] = field(default_factory=dict)
    incidents: list[Incident] = field(default_factory=list)
    news: News = field(default_factory=News)
    keys: "count[int]" = field(default_factory=lambda: count(2251799813685249))

    def deploy(self, bpmn: bytes) -> list[Process]:
        names = [name.decode() for name in PROCESS.findall(bpmn)]
        types = [job_type.decode() for job_type in JOB_TYPE.findall(bpmn)]
        found = [
            Process(next(self.keys), name, job_type) for name, job_type in zip(names, types, strict=False)
        ]
        self.processes |= {process.name: process for process in found}
        return found

    def start(self, process: Process) -> Instance:
        instance = Instance(next(self.keys), process)
        self.instances[instance.key] = instance
        self.jobs[next(self.keys)] = instance
        self.news.tell()
        return instance

    def take(self, job_type: str, most: int) -> dict[int, Instance]:
        keys = [key for key, instance in self.jobs.items() if instance.process.job_type == job_type][:most]
        taken = {key: self.jobs.pop(key) for key in keys}
        self.taken |= taken
        return taken

    def complete(self, job: int) -> bool:
        """Complete a job that a worker has; return whether there was one."""
        instance = self.taken.pop(job, None)
        if instance is None:
            return False
        instance.completed = True
        self.news.tell()
        return True

    def fail(self, job: int, retries: int, message: str) -> bool:
        """Give back a job that a worker has; without a retry left it becomes an incident.

        Returns:
            Whether a worker had the job.
        """
        instance = self.taken.pop(job, None)
        if instance is None:
            return False
        if retries > 0:
            self.jobs[job] = instance
        else:
            self.incidents.append(Incident(next(self.keys), job, instance, message))
        self.news.tell()
        return True
