"""By when a training has to end: Airflow's own deadline of a run, and what is noted of one that missed it.

The scheduler finds that a deadline has passed, and the triggerer does what follows: a worker would do it only
once it has a slot free, and no slot may be what the training waits for.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from tasks.contracts import LateRun
from tasks.spec import PipelineSpec

AT_WORK = {"queued", "running"}


def training_deadline(spec: PipelineSpec) -> DeadlineAlert | None:
    """`training.deadline_hours`, from when the run was queued; None where the team sets none."""
    hours = spec.training.deadline_hours
    if hours is None:
        return None
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(hours=hours),
        callback=AsyncCallback(note_late_training, kwargs={"model": spec.name}),
        name="training.deadline_hours",
    )


async def note_late_training(model: str, context: dict[str, Any]) -> None:
    """Keep that a run is late, for the alerts; called by the triggerer once the run's deadline has passed.

    Airflow keeps the deadline of a run that has failed, and calls this for it, too: it is not late.

    Args:
        context: Airflow's: `dag_run`, as its REST API has it, and `deadline` with its `deadline_time`.
    """
    run = context["dag_run"]
    if run["state"] not in AT_WORK:
        return
    late = LateRun(
        dag_id=run["dag_id"],
        run_id=run["dag_run_id"],
        name=model,
        deadline=_moment(context["deadline"]["deadline_time"]),
    )
    from tasks.monitoring.alerts.late import note_late

    await asyncio.to_thread(note_late, late)


def _moment(time: datetime | str) -> datetime:
    """A time of Airflow's, which may have been through JSON."""
    moment = datetime.fromisoformat(time) if isinstance(time, str) else time
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
