"""The look of each minute, and of each moved alias: does anything have to be reconciled?

In the worker itself, with two requests a model and a few reads of the ledger, so that no step is started
where all agrees.

Airflow alone knows whether a granted training was ever started, so one that was not is given back here.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from plugins.operators import BY_CLOCK, BY_DATA
from plugins.runners.mlflow_login import reader
from tasks.settings import settings

log = logging.getLogger(__name__)

STARTS_WITHIN = timedelta(minutes=15)
"""After so long a granted training has started, all retries of what starts it included."""

IsKnown = Callable[[str, str], bool]


def wanted(
    models: list[str], run_type: str, run_after: datetime, *, is_failing: bool = False
) -> dict[str, Any] | None:
    """What the step is asked for; None for nothing. Once an hour, for a run that somebody asked for, and
    until one succeeds after one that failed, all is looked at, more closely.
    """
    by_clock = run_type == BY_CLOCK and run_after.minute == 0
    if is_failing or by_clock or run_type not in {BY_CLOCK, BY_DATA}:
        return {"models": [], "thorough": True}
    return {"models": models, "thorough": False} if models else None


def differing_models() -> list[str]:
    """The models of which something does not agree with the ledger, each told in the log and noted for the
    pages.

    Raises:
        ServiceAway: MLflow does not answer.
        MlflowRefused: It does not answer the worker.
        ServingError: The gateway does not answer.
    """
    from tasks.release import agreement
    from tasks.release.observe import mismatches
    from tasks.stores import mlflow_rest

    found = mismatches(mlflow_rest.registered_models(reader(settings())))
    agreement.note(found, datetime.now(UTC))
    for each in found:
        log.info("%s: %s", each.model, each.why)
    return list(dict.fromkeys(each.model for each in found))


def give_back_unstarted(is_known: IsKnown, actor: str, now: datetime | None = None) -> list[str]:
    """Close the requests of trainings that were granted and never started, and return those trainings.

    Args:
        is_known: Whether Airflow has the run of a DAG.
        actor: Who decides; the ledger names them.
    """
    from tasks.monitoring import closing, retrain

    before, closed = (now or datetime.now(UTC)) - STARTS_WITHIN, []
    for each in retrain.open_requests():
        if each.granted_at < before and not is_known(f"train_{each.model}", each.train_run_id):
            why = f"{each.train_run_id} was granted, and nothing has started it."
            if closing.close_unstarted(each.model, each.train_run_id, why, actor):
                log.info("%s: %s", each.model, why)
                closed.append(each.train_run_id)
    return closed


def write_costs(actor: str) -> list[str]:
    """Write to the ledger what granted trainings took that have ended, and return those trainings."""
    from tasks.monitoring.cost import record_costs

    return record_costs(actor)
