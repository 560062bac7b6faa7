"""What a training run took, as Airflow kept it."""

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from tasks.errors import PerennialError
from tasks.monitoring.cost import Cost, cost_of
from tasks.settings import settings
from tasks.spec import PipelineSpec
from tasks.spec.training import ResourcesSpec

PREFLIGHT = "preflight"


def cost_of_run(model: str, dag_run: Any) -> Cost:
    """The wall seconds of a run's tasks as what the model's `resources` make of them."""
    return cost_of(str(dag_run.state), _wall_seconds(dag_run), _resources(model), _device(dag_run))


def _device(dag_run: Any) -> str | None:
    """What the run's preflight saw that the model trains on; None where it told nothing."""
    from airflow.models.xcom import XCOM_RETURN_KEY, XComModel
    from airflow.settings import get_engine

    own = (XComModel.dag_id == dag_run.dag_id, XComModel.run_id == dag_run.run_id)
    told = (XComModel.task_id == PREFLIGHT, XComModel.key == XCOM_RETURN_KEY)
    with get_engine().connect() as connection:
        found = connection.execute(sa.select(XComModel.value).where(*own, *told)).scalar()
    report = json.loads(found) if isinstance(found, str) else found
    return report.get("device") if isinstance(report, dict) else None


def _wall_seconds(dag_run: Any) -> Counter[str]:
    """Of each task by its name, all its tries together; one that is just being stopped counts until now.

    It reads by a connection of its own: a session here may be the scheduler's, and committed too early.
    """
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.taskinstancehistory import TaskInstanceHistory
    from airflow.settings import get_engine

    now, seconds = datetime.now(UTC), Counter[str]()
    with get_engine().connect() as connection:
        for tries in (TaskInstance, TaskInstanceHistory):
            columns = (tries.task_id, tries.start_date, tries.end_date)
            own = (tries.dag_id == dag_run.dag_id, tries.run_id == dag_run.run_id)
            for task_id, start, end in connection.execute(sa.select(*columns).where(*own)):
                if start is not None:
                    seconds[task_id] += max(0.0, ((end or now) - start).total_seconds())
    return seconds


def _resources(model: str) -> ResourcesSpec:
    """What the model may use; where its folder is gone or broken by now, what holds where nothing is said."""
    try:
        return PipelineSpec.load(settings().models / model / "pipeline.yaml").resources
    except PerennialError:
        return ResourcesSpec()
