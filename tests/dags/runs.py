"""What the tests of the DAGs say of a run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.models import DagRun
    from airflow.sdk import DAG

Script = dict[str, list[dict[str, Any]]]
SetScript = Callable[[Script], None]
Dags = Callable[[], "dict[str, DAG]"]
RunDag = Callable[..., "DagRun"]


def states(run: "DagRun") -> dict[str, str]:
    """The state of each task of a run."""
    return {ti.task_id: str(ti.state) for ti in run.get_task_instances()}


def tries(run: "DagRun") -> dict[str, int]:
    """How often each task of a run was tried."""
    return {ti.task_id: ti.try_number for ti in run.get_task_instances()}


def xcom(run: "DagRun", task_id: str, key: str = "return_value") -> Any:
    """A value that a task of a run left."""
    [ti] = [ti for ti in run.get_task_instances() if ti.task_id == task_id]
    return ti.xcom_pull(task_ids=task_id, key=key)


def asked(home: Path, verb: str) -> list[dict[str, Any]]:
    """The requests that the stand-in got for a verb, in order."""
    files = sorted(
        (home / "calls").glob(f"{verb}-*.json"), key=lambda file: int(file.stem.rpartition("-")[2])
    )
    return [json.loads(file.read_text()) for file in files]
