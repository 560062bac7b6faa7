"""Close a retrain request when its training run ends, put down what it took, and note which runs failed, and
that one which was late is no longer.

Airflow calls this where the state of a run changes: in the scheduler, and in the API server when a person
marks the run. A task could not do it: an ordinary one would not run when the run is marked failed, and a
teardown would turn that run into a good one.
"""

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.listeners import hookimpl

if TYPE_CHECKING:
    from tasks.monitoring.cost import Cost

log = logging.getLogger(__name__)

TRAIN = "train_"
LOOP = ("ingest", "collect", "train", "judge_again", "drift", "reconcile")
"""The DAGs that nobody watches: a run of theirs that failed is somebody's to know."""
IN_A_TASK = "TaskRunnerMarker"
"""What Airflow says that starts where a task does."""


@hookimpl
def on_starting(component: Any) -> None:
    """Called when the scheduler, the DAG processor or the triggerer starts, before it forks; and in each
    task, which reads one DAG file and forks nothing.

    Where one of our modules cannot be imported, Airflow logs it and goes on, and the DAG files say so.
    """
    if type(component).__name__ == IN_A_TASK:
        return
    from plugins.preload import preload

    preload()


@hookimpl
def on_dag_run_success(dag_run: Any, msg: str) -> None:
    """Called once a run succeeded, before that is committed, so that a
    scheduler that dies now calls again.
    """
    _close(dag_run, msg)
    if _name(dag_run.dag_id):
        from tasks.monitoring.alerts.records import note_succeeded

        note_succeeded(dag_run.dag_id, dag_run.run_after)


@hookimpl
def on_dag_run_failed(dag_run: Any, msg: str) -> None:
    """The same for a run that failed or was marked failed."""
    _close(dag_run, msg)
    if name := _name(dag_run.dag_id):
        from tasks.contracts import FailedRun
        from tasks.monitoring.alerts.records import note_failed

        # Which tasks failed is asked by who tells it: here Airflow's session is at work, and another's too.
        run = FailedRun(
            dag_id=dag_run.dag_id, run_id=dag_run.run_id, name=name, tasks=(), since=datetime.now(UTC)
        )
        note_failed(run, dag_run.run_after)


def _close(dag_run: Any, msg: str) -> None:
    if not dag_run.dag_id.startswith(TRAIN):
        return
    from tasks.monitoring.alerts.late import note_ended

    note_ended(dag_run.dag_id, dag_run.run_id)
    from tasks.monitoring.closing import close

    if close(
        dag_run.dag_id.removeprefix(TRAIN),
        dag_run.run_id,
        why=f"the run's state is {dag_run.state}: {msg or 'it ended'}",
        cost=_cost(dag_run),
    ):
        log.info("The retrain request of %s is closed.", dag_run.run_id)


def _cost(dag_run: Any) -> "Cost | None":
    """What the run took; None where it was started by nobody's request, or that cannot be told."""
    from plugins.costs import cost_of_run
    from tasks.monitoring.retrain import is_open

    model = dag_run.dag_id.removeprefix(TRAIN)
    if not is_open(model, dag_run.run_id):
        return None
    try:
        return cost_of_run(model, dag_run)
    except Exception:  # a lock that is never given back is worse than a cost that is not known
        log.exception("What %s took cannot be told.", dag_run.run_id)
        return None


def _name(dag_id: str) -> str | None:
    """The model, the table, or the ledger, that a DAG of the loop is about; None for any other DAG."""
    found = (dag_id.removeprefix(f"{family}_") for family in LOOP if dag_id.startswith(f"{family}_"))
    return next(found, None)
