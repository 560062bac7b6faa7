"""What a training cost: put down when it ends, and written to the ledger.

The unit is a processor second, or a GPU second where the model asks for GPUs and the training had one: the
wall seconds of the run's tasks, those of the training itself times `resources.cpus`. Processor time as the
kernel counts it is not to be had for a container or a pod that was killed; wall time is an upper bound of it,
which is what a budget needs.
"""

from collections.abc import Mapping
from typing import Any, Literal

import sqlalchemy as sa
from pydantic.dataclasses import dataclass

from tasks.contracts import Action
from tasks.ledger import entries
from tasks.spec.training import ResourcesSpec
from tasks.stores.database import engine
from tasks.stores.database import training_costs as costs

TRAINS = "train"
BESIDE = frozenset({"describe"})
"""Tasks of a run that are no part of its training: a card is written in the time that it takes."""


@dataclass(frozen=True)
class Cost:
    """What a training took.

    Attributes:
        state: How its run ended.
        seconds: In `unit` seconds.
    """

    state: str
    seconds: float
    unit: Literal["processor", "GPU"] = "processor"


def cost_of(
    state: str, wall_seconds: Mapping[str, float], resources: ResourcesSpec, device: str | None = None
) -> Cost:
    """What a run took.

    Args:
        wall_seconds: Of each task of the run by its name, all its tries together.
        device: What its preflight saw, `cuda` or `cpu`; None where it was not reached.
    """
    training = wall_seconds.get(TRAINS, 0.0)
    if uses_gpu(resources) and device != "cpu":
        return Cost(state, training, "GPU")
    others = sum(seconds for task, seconds in wall_seconds.items() if task not in BESIDE | {TRAINS})
    return Cost(state, training * resources.cpus + others)


def uses_gpu(resources: ResourcesSpec) -> bool:
    """Whether GPU seconds are counted, where there is a GPU: of a model that only prefers one, too."""
    return resources.gpus != "none"


def keep(connection: sa.Connection, model: str, train_run_id: str, cost: Cost) -> None:
    """Put down what a training took, in the transaction that closes its request."""
    row = {"model": model, "train_run_id": train_run_id, "is_recorded": False}
    taken = {"state": cost.state, "seconds": cost.seconds, "unit": cost.unit}
    connection.execute(costs.insert().values(row | taken))


def record_costs(actor: str) -> list[str]:
    """Write to the ledger what trainings took that have ended; returns their runs.

    Raises:
        LedgerBroken: Nothing can be recorded, because the ledger's end was altered.
    """
    with engine().connect() as connection:
        if connection.execute(_unrecorded()).first() is None:
            return []
    return entries.in_turn(lambda connection: record_ended(connection, actor))


def record_ended(connection: sa.Connection, actor: str, model: str | None = None) -> list[str]:
    """The same in the caller's transaction, of one model where it is named."""
    query = _unrecorded() if model is None else _unrecorded().where(costs.c.model == model)
    found = connection.execute(query).all()
    for row in found:
        _record(connection, actor, row)
    done = [row.train_run_id for row in found]
    connection.execute(costs.update().where(costs.c.train_run_id.in_(done)).values(is_recorded=True))
    return done


def _unrecorded() -> sa.Select[Any]:
    return costs.select().where(costs.c.is_recorded.is_(False)).order_by(costs.c.train_run_id)


def _record(connection: sa.Connection, actor: str, row: sa.Row[Any]) -> None:
    entries.append(
        connection,
        model=row.model,
        actor=actor,
        action=Action.RETRAIN,
        before=row.train_run_id,
        after="ended",
        why=f"{row.train_run_id} ended ({row.state}) and took {row.seconds:.0f} {row.unit} seconds.",
        evidence={
            "train_run_id": row.train_run_id,
            "state": row.state,
            "seconds": row.seconds,
            "unit": row.unit,
        },
    )
