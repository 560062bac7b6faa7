"""What a person started by hand and what came to nothing: whoever pressed a button may have left the page."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session

from tasks.contracts import Trouble

SHARED = (
    "rollback_model",
    "recall_batch",
    "decide_batch_model",
    "decide_sender_model",
    "close_breaker_model",
    "label_incident_model",
    "silence_alerts",
    "withdraw_model",
)
"""The DAGs that are no model's own: their runs say whose they are."""
RELEASE = "release_"
SHOWN_FOR = timedelta(days=1)
MANUAL, FAILED, SUCCEEDED = "manual", "failed", "success"
SUBJECT = ("batch_id", "batch_ids", "sender")
"""What of a form says what it is about: another batch's success makes nothing good of this one."""


@dataclass(frozen=True)
class FailedAct:
    """A run that a person started, and that failed.

    Attributes:
        model: Whose; None of a recall, which may be about any.
        by: Who started it, as Airflow knows them.
        task_id: Of the first task that failed; None where none did.
    """

    dag_id: str
    run_id: str
    model: str | None
    by: str
    at: datetime
    task_id: str | None

    def is_of(self, model: str) -> bool:
        """Whether it may be about a model."""
        return self.model in {model, None}

    def is_told(self, troubles: Iterable[Trouble]) -> bool:
        """Whether the ledger tells of this very run already."""
        return any((each.step or "").startswith(f"{self.dag_id}/{self.run_id}/") for each in troubles)


def failed_acts(now: datetime | None = None) -> list[FailedAct]:
    """Those of the last day, newest first, that no later run of the same has made good."""
    since = (now or datetime.now(UTC)) - SHOWN_FOR
    by_hand = sa.or_(DagRun.dag_id.in_(SHARED), DagRun.dag_id.startswith(RELEASE, autoescape=True))
    wanted = (DagRun.dag_id, DagRun.run_id, DagRun.state, DagRun.conf, DagRun.run_after)
    query = sa.select(*wanted, DagRun.triggering_user_name).where(
        by_hand,
        DagRun.run_type == MANUAL,
        DagRun.state.in_((FAILED, SUCCEEDED)),
        DagRun.run_after > since,
    )
    with create_session() as session:
        rows = last_of_each(session.execute(query.order_by(DagRun.id.desc())))
        failed = [row for row in rows if row.state == FAILED]
        return [_act(row, _first_failed(session, row)) for row in failed]


def last_of_each(rows: Iterable[Any]) -> list[Any]:
    """The first run of each DAG about each thing.

    Args:
        rows: With `dag_id` and `conf`, the newest first.
    """
    found: dict[tuple[str, ...], Any] = {}
    for row in rows:
        conf = row.conf if isinstance(row.conf, Mapping) else {}
        about = (str(conf.get(name)) for name in SUBJECT)
        found.setdefault((row.dag_id, str(conf.get("model")), *about), row)
    return list(found.values())


def _act(row: Any, task_id: str | None) -> FailedAct:
    conf = row.conf if isinstance(row.conf, Mapping) else {}
    named = str(conf["model"]) if conf.get("model") else None
    model = row.dag_id.removeprefix(RELEASE) if row.dag_id.startswith(RELEASE) else named
    by = row.triggering_user_name or "somebody"
    return FailedAct(row.dag_id, row.run_id, model, by, row.run_after, task_id)


def _first_failed(session: Any, row: Any) -> str | None:
    own = (TaskInstance.dag_id == row.dag_id, TaskInstance.run_id == row.run_id)
    query = sa.select(TaskInstance.task_id).where(*own, TaskInstance.state == FAILED)
    found: str | None = session.scalar(query.order_by(TaskInstance.end_date).limit(1))
    return found
