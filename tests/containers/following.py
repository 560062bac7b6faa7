"""One try of a step, as the operator makes it, without Airflow:
`python -m tests.containers.following FOLDER` is a worker.
"""

import json
import logging
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plugins.attempts import Files
from plugins.jobs import StepJob
from plugins.runners import Owner, Resources, Step
from tasks.contracts import CollectRequest, StepContext
from tasks.settings import settings
from tasks.spec import PipelineSpec
from tests.unit.steps import step_to_run


class Memory:
    """Airflow's state store of one task, in a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def all(self) -> dict[str, Any]:
        return json.loads(self.file.read_text()) if self.file.exists() else {}

    def get(self, key: str) -> Any:
        return self.all().get(key)

    def set(self, key: str, value: Any) -> None:
        self.file.write_text(json.dumps(self.all() | {key: value}))


@dataclass
class Told(logging.Handler):
    """Keeps what a step prints."""

    lines: list[str] = field(default_factory=list)

    def info(self, line: str) -> None:
        self.lines.append(line)
        print(line, flush=True)


def request_of(folder: Path, key: str = "collect_m/run/collect") -> CollectRequest:
    spec = PipelineSpec.load(settings().project / "models" / "review_sentiment" / "pipeline.yaml")
    return CollectRequest(context=StepContext(actor="test", step_key=key, work_url=str(folder)), spec=spec)


def step_of(folder: Path, sha256: str = "0" * 64, **resources: Any) -> Step:
    wanted = Resources(**({"cpus": 1, "memory_mib": 256, "scratch_mib": 64} | resources))
    owner = Owner("collect_m", "run", "collect", -1, 1)
    return step_to_run(
        folder, verb="collect", key=str(folder), request_sha256=sha256, owner=owner, resources=wanted
    )


def job_of(folder: Path, holder: str = "first", sha256: str = "0" * 64, **resources: Any) -> StepJob:
    """A try of the step in `folder`, in a container."""
    from plugins.runners.docker.runner import DockerRunner

    step, files = step_of(folder, sha256, **resources), Files.of(str(folder))
    return StepJob(
        DockerRunner(), step, request_of(folder), files, Memory(folder / "memory"), holder, Told(), {}
    )


if __name__ == "__main__":
    worker = job_of(Path(sys.argv[1]), *sys.argv[2:])
    worker.follow(worker.submit())
