"""What Airflow knows of models: their DAGs, what is at work, what is asked of people, and who may do what.

The API server reads its own tables: asked over HTTP it would be its own client, and slower.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.hitl import HITLDetail
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XCOM_RETURN_KEY, XComModel
from airflow.utils.session import create_session
from pydantic import ValidationError

from plugins.live_curves import KEY as CURVES
from tasks.contracts import TrainingCurves

FAMILIES = ("train", "release", "drift", "judge_again", "reproduce", "predict_batch", "collect")
"""The DAGs that each model has of its own, those that people wait for first."""
BY_HAND = (
    "rollback_model",
    "silence_alerts",
    "decide_batch_model",
    "close_breaker_model",
    "label_incident_model",
)
"""The DAGs whose form names the model that a run is about."""
RECONCILE, SETTLES = "reconcile_ledger", ("reconcile", "faults")
"""The DAG of each minute, and its tasks that run only where something did not agree with the ledger."""
NEXT = ("train", "drift")
"""Those whose next run stands on a card."""
ASKS = "awaiting_input"
AT_WORK = ("running", "queued")
ENDED = ("success", "skipped", "upstream_failed", "failed", "removed")


@dataclass(frozen=True)
class Dag:
    """A DAG as Airflow's scheduler sees it; `next_at` is None where only a person or data starts it."""

    dag_id: str
    paused: bool
    next_at: datetime | None


@dataclass(frozen=True)
class Step:
    """A task of a run that is at work; `seconds` since it began, None before."""

    task_id: str
    state: str
    began: datetime | None


@dataclass(frozen=True)
class Run:
    """A run that has not ended; `to_come` of its tasks have not begun."""

    dag_id: str
    run_id: str
    state: str
    since: datetime
    steps: tuple[Step, ...]
    to_come: int


@dataclass(frozen=True)
class Failure:
    """A run in which what did not agree with the ledger could not be settled."""

    dag_id: str
    run_id: str
    at: datetime


@dataclass(frozen=True)
class Question:
    """What a run asks a person."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    subject: str
    body: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class Training:
    """What a model's newest training said of itself, and the run that it was a task of."""

    run_id: str
    curves: TrainingCurves


def dags() -> dict[str, Dag]:
    """Every DAG that Airflow knows and that is no file's that is gone."""
    wanted = (DagModel.dag_id, DagModel.is_paused, DagModel.next_dagrun_create_after)
    with create_session() as session:
        rows = session.execute(sa.select(*wanted).where(DagModel.is_stale.is_(False)))
        return {row.dag_id: Dag(row.dag_id, row.is_paused, row.next_dagrun_create_after) for row in rows}


def models_in(known: Iterable[str]) -> list[str]:
    """The models that there are DAGs of."""
    return sorted(each.removeprefix("train_") for each in known if each.startswith("train_"))


def model_of(dag_id: str, known: Collection[str]) -> str | None:
    """The model that a DAG is of; None of a DAG that is of none, such as a table's."""
    for family in FAMILIES:
        name = dag_id.removeprefix(f"{family}_")
        if name != dag_id and f"train_{name}" in known:
            return name
    return None


def at_work(model: str | None = None) -> list[Run]:
    """The runs that have not ended, oldest first, of one model where it is named."""
    wanted = sa.select(DagRun.dag_id, DagRun.run_id, DagRun.state, DagRun.run_after, DagRun.conf)
    wanted = wanted.where(DagRun.state.in_(AT_WORK)).order_by(DagRun.run_after).limit(500)
    if model:
        own = [f"{family}_{model}" for family in FAMILIES]
        wanted = wanted.where(DagRun.dag_id.in_([*own, *BY_HAND]))
    with create_session() as session:
        rows = [row for row in session.execute(wanted) if not model or _is_about(row, model)]
        steps = _steps(session, {row.dag_id for row in rows}, {row.run_id for row in rows})
    return [_run(row, steps.get((row.dag_id, row.run_id), [])) for row in rows]


def questions(model: str) -> list[Question]:
    """What runs of a model ask of people, oldest first."""
    own = [f"release_{model}", f"drift_{model}"]
    wanted = (
        sa.select(TaskInstance, HITLDetail)
        .join(HITLDetail, HITLDetail.ti_id == TaskInstance.id)
        .where(
            TaskInstance.dag_id.in_(own),
            TaskInstance.state == ASKS,
            HITLDetail.responded_at.is_(None),
        )
        .order_by(HITLDetail.created_at)
    )
    with create_session() as session:
        return [
            Question(
                task.dag_id,
                task.run_id,
                task.task_id,
                task.map_index,
                asked.subject,
                asked.body or "",
                tuple(asked.options),
            )
            for task, asked in session.execute(wanted)
        ]


def cards_of(model: str) -> dict[str, str]:
    """Where the model card of each version lies in the store, by the version's number.

    By what the step that writes it has left in Airflow.
    """
    own = [f"{family}_{model}" for family in ("train", "judge_again")]
    wanted = sa.select(XComModel).where(
        XComModel.dag_id.in_(own), XComModel.task_id == "describe", XComModel.key == XCOM_RETURN_KEY
    )
    with create_session() as session:
        found = [
            XComModel.deserialize_value(row) for row in session.scalars(wanted.order_by(XComModel.timestamp))
        ]
    return {
        str(each["version"]): str(each["report_url"])
        for each in found
        if isinstance(each, dict) and each.get("version") and each.get("report_url")
    }


def training_of(model: str) -> Training | None:
    """What the newest training of a model said of itself; None where none did, or in another version's words.

    It is the one that was heard of last; what of it is there goes with its run.
    """
    kept = TaskStateStoreModel
    wanted = sa.select(kept.run_id, kept.value).where(kept.dag_id == f"train_{model}", kept.key == CURVES)
    with create_session() as session:
        row = session.execute(wanted.order_by(kept.updated_at.desc()).limit(1)).first()
    try:
        return None if row is None else Training(row.run_id, TrainingCurves.model_validate_json(row.value))
    except ValidationError:
        return None


def failed_reconciliation() -> Failure | None:
    """The newest run that had something to settle, where it could not; None where it could, or none had."""
    ended = (
        sa.select(TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.state, TaskInstance.end_date)
        .where(
            TaskInstance.dag_id == RECONCILE,
            TaskInstance.task_id.in_(SETTLES),
            TaskInstance.state.in_(("success", "failed")),
            TaskInstance.end_date.is_not(None),
        )
        .order_by(TaskInstance.end_date.desc())
        .limit(1)
    )
    with create_session() as session:
        row = session.execute(ended).first()
    return Failure(row.dag_id, row.run_id, row.end_date) if row and row.state == "failed" else None


def may_start(user: Any, dag_id: str) -> bool:
    """Whether Airflow lets a user start a run of a DAG."""
    return _may(user, "POST", DagAccessEntity.RUN, dag_id)


def may_answer(user: Any, dag_id: str) -> bool:
    """Whether Airflow lets a user answer what a DAG's runs ask."""
    return _may(user, "PUT", DagAccessEntity.HITL_DETAIL, dag_id)


def _may(user: Any, method: Any, entity: DagAccessEntity, dag_id: str) -> bool:
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    allowed: bool = get_auth_manager().is_authorized_dag(
        method=method, access_entity=entity, details=details, user=user
    )
    return allowed


def _steps(
    session: Any, dag_ids: Collection[str], run_ids: Collection[str]
) -> dict[tuple[str, str], list[Any]]:
    """By their DAGs, too: no index of Airflow's begins with the run."""
    wanted = sa.select(
        TaskInstance.dag_id,
        TaskInstance.run_id,
        TaskInstance.task_id,
        TaskInstance.state,
        TaskInstance.start_date,
    ).where(TaskInstance.dag_id.in_(dag_ids), TaskInstance.run_id.in_(run_ids))
    found: dict[tuple[str, str], list[Any]] = {}
    for row in session.execute(wanted) if run_ids else ():
        found.setdefault((row.dag_id, row.run_id), []).append(row)
    return found


def _is_about(row: Any, model: str) -> bool:
    return row.dag_id not in BY_HAND or (row.conf or {}).get("model") == model


def _run(row: Any, tasks: list[Any]) -> Run:
    begun = [task for task in tasks if task.start_date is not None or task.state in ENDED]
    begun.sort(key=lambda task: (task.start_date is None, task.start_date or row.run_after))
    steps = tuple(Step(task.task_id, str(task.state or "waits"), task.start_date) for task in begun)
    return Run(row.dag_id, row.run_id, str(row.state), row.run_after, steps, len(tasks) - len(begun))
