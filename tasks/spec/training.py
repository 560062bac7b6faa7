"""What a team says of training its model."""

from typing import Literal

from pydantic import Field, model_validator

from tasks.spec.base import MOST_ROWS, Spec
from tasks.spec.cron import Cron
from tasks.spec.json_schema import JsonObject

MONTH_SECONDS = 31 * 86_400

MOST_CPUS = 4096

MOST_MIB = 2**30
"""A pebibyte: in bytes it still is a number that a kernel and a container engine take."""


class TrainingSpec(Spec):
    """How the model is trained.

    Attributes:
        entry_point: An entry point of MLproject.
        parameters: JSON-Schema fragments (`type`, `minimum`, `maximum`, `enum`, `description`) that narrow
            MLproject's parameters in Airflow's trigger form.
        trigger: What starts a training beside a person and the drift check: the clock (`schedule`), rows that
            join the table (`data`), or `both`.
        schedule: Cron expression (UTC); None for no clock.
        minimum_new_rows: Rows that no training has seen, without which `data` starts none.
        maximum_age_days: Where the champion was trained longer ago, a training starts by itself: it is
            looked each day. None where its age does not matter.
        on_code_change: Whether a training starts by itself where what a training reads of the model's folder
            is no longer what the champion was trained with: it is looked each day.
        timeout_seconds: The longest a training may take.
        deadline_hours: After so long, from when a run of the DAG was queued, somebody is told that the
            training is late; it goes on. None for no deadline.
        retries: How often an infrastructure fault is tried again.
        allow_other_commit: Whether a run may train in an image that was built from another commit than the
            run's.
    """

    entry_point: str = "main"
    parameters: dict[str, JsonObject] = Field(default_factory=dict)
    trigger: Literal["schedule", "data", "both"] = "schedule"
    schedule: Cron | None = None
    minimum_new_rows: int = Field(default=200, ge=1, le=MOST_ROWS)
    maximum_age_days: float | None = Field(default=None, gt=0, le=3650)
    on_code_change: bool = False
    timeout_seconds: float = Field(default=3600, gt=0, le=MONTH_SECONDS)
    deadline_hours: float | None = Field(default=None, gt=0, le=MONTH_SECONDS / 3600)
    retries: int = Field(default=2, ge=0, le=100)
    allow_other_commit: bool = False

    @model_validator(mode="after")
    def _the_trigger_and_the_schedule_agree(self) -> "TrainingSpec":
        if self.trigger == "both" and self.schedule is None:
            raise ValueError("trigger is 'both', but there is no schedule: add one, or say 'data'")
        if self.trigger == "data" and self.schedule is not None:
            raise ValueError(
                f"trigger is 'data', but schedule is {self.schedule!r}: say 'both', or leave it out"
            )
        return self


class ResourcesSpec(Spec):
    """What a training may use. In a container or a pod these are limits that the kernel enforces.

    Attributes:
        cpus: Cores; a half is allowed.
        memory_mib: Memory, in MiB; a training that needs more is ended, and says so.
        scratch_mib: The training's scratch folder (its data, its output, its temporary files), in MiB.
        gpus: `required`: without a GPU the run fails before anything is spent. `preferred`: it trains on the
            CPU then.
    """

    cpus: float = Field(default=1, gt=0, le=MOST_CPUS)
    memory_mib: int = Field(default=4096, gt=0, le=MOST_MIB)
    scratch_mib: int = Field(default=2048, gt=0, le=MOST_MIB)
    gpus: Literal["required", "preferred", "none"] = "none"
