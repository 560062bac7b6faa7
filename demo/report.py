"""What the demo did, for machines: demo-report.json."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from pydantic import BaseModel, Field

from tasks.stores.files import write_text


def describe_machine() -> dict[str, Any]:
    """What the demo runs on."""
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_mib": psutil.virtual_memory().total // 2**20,
    }


class Step(BaseModel):
    """One step of the story. `facts` are what it measured; `ok` is False while it runs and when it failed."""

    title: str
    seconds: float = 0.0
    ok: bool = False
    facts: dict[str, Any] = Field(default_factory=dict)


class Promotion(BaseModel):
    """A change of what serves under constant load.

    Attributes:
        load_requests: Requests of the constant load, answered or failed.
        load_refused_before_first: Requests that the gateway rightly refused with 404, before the model had
            ever served.
        load_failures: Each failed request of the load.
        answers_by_run: How many of them each run's model answered.
        slowest_seconds: The slowest request of the load.
    """

    run_id: str
    load_requests: int
    load_refused_before_first: int
    load_failures: list[str]
    answers_by_run: dict[str, int]
    slowest_seconds: float


class Decision(BaseModel):
    """A ledger entry, without its hashes: who decided what and why."""

    sequence: int
    at: datetime
    actor: str
    action: str
    before: str | None
    after: str | None
    why: str


class Report(BaseModel):
    """demo-report.json.

    Attributes:
        seconds: Wall time from the start of the demo to the end of the story.
        set_up_seconds: Building the environments; None where they were there already.
        accuracy: By name, in [0, 1]: of the service, and of a TF-IDF + logistic regression trained on the
            same rows.
        failed_requests: Of everything that was sent to the gateway during the demo; a sentence each.
        platform_peak_pss_mib: The largest sum of proportional set sizes of the platform's processes, sampled
            each second; None where the platform does not run as processes of this machine.
        containers_peak_mib: The largest sum of what the engine says that the stack's and the steps'
            containers use; None where there are none.
        runs: Each Airflow run of the story and its page.
        complete: Whether the story was told to its end.
        failure: Why it was not; None when every step did what it should.
    """

    report_version: int = 1
    short: bool
    started_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    machine: dict[str, Any] = Field(default_factory=describe_machine)
    seconds: float = 0.0
    set_up_seconds: float | None = None
    steps: list[Step] = Field(default_factory=list)
    accuracy: dict[str, float] = Field(default_factory=dict)
    promotions: list[Promotion] = Field(default_factory=list)
    requests: int = 0
    failed_requests: list[str] = Field(default_factory=list)
    platform_peak_pss_mib: float | None = None
    containers_peak_mib: float | None = None
    decisions: list[Decision] = Field(default_factory=list)
    runs: dict[str, str] = Field(default_factory=dict)
    addresses: dict[str, str] = Field(default_factory=dict)
    complete: bool = False
    failure: str | None = "It did not reach its end."

    def begin(self, title: str) -> Step:
        step = Step(title=title)
        self.steps.append(step)
        return step

    def write(self, path: Path) -> None:
        write_text(str(path), text=self.model_dump_json(indent=2))
