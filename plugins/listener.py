"""Close a retrain request when its training run ends, whoever ended it, and put down what the run took.

Airflow calls this where the state of a run changes: in the scheduler, and in the API server when a person
marks the run. A task could not do it: an ordinary one would not run when the run is marked failed, and a
teardown would turn that run into a good one.
"""

import logging
from typing import TYPE_CHECKING, Any

from airflow.listeners import hookimpl

if TYPE_CHECKING:
    from tasks.monitoring.cost import Cost

log = logging.getLogger(__name__)

TRAIN = "train_"


@hookimpl
def on_dag_run_success(dag_run: Any, msg: str) -> None:
    """Called once a run succeeded, before that is committed, so that a
    scheduler that dies now calls again.
    """
    _close(dag_run, msg)


@hookimpl
def on_dag_run_failed(dag_run: Any, msg: str) -> None:
    """The same for a run that failed or was marked failed."""
    _close(dag_run, msg)


def _close(dag_run: Any, msg: str) -> None:
    if not dag_run.dag_id.startswith(TRAIN):
        return
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
