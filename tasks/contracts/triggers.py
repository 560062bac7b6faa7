"""What may start a training of a model by itself, or by somebody."""

from typing import Literal

from pydantic import AwareDatetime

from tasks.contracts.context import Request
from tasks.contracts.contract import Contract
from tasks.spec import Name

TriggerName = Literal["manual", "calendar", "age", "data", "drift", "performance", "code"]


class TriggersRequest(Request):
    """`models`: whose triggers; empty for every model of the project."""

    models: tuple[Name, ...] = ()


class Trigger(Contract):
    """One thing that may start a training.

    Attributes:
        armed: Whether it can, as pipeline.yaml has it; `against` may still stand in its way.
        dag_id: The DAG that looks whether it does; None where none does.
        by: What says when it is looked, such as a cron expression.
        waits_for: What is still missing, or what was found last; a sentence.
        against: What stands against it now, a sentence each.
        next_at: When Airflow looks next; None where nobody knows, or where it is no matter of time.
    """

    trigger: TriggerName
    armed: bool
    dag_id: str | None
    by: str | None
    waits_for: str
    against: tuple[str, ...] = ()
    next_at: AwareDatetime | None = None


class ModelTriggers(Contract):
    model: str
    triggers: tuple[Trigger, ...]


class Triggers(Contract):
    """The triggers of each model that was asked about, in the order of the names."""

    models: tuple[ModelTriggers, ...]
