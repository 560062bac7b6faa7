"""What people are told of by themselves, and what they ask not to be told for a while."""

from typing import Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from tasks.contracts.contract import Contract
from tasks.contracts.release import WithReason

LONGEST_SILENCE_DAYS = 90

AlertReason = Literal[
    "incident",
    "drift",
    "ask",
    "stopped",
    "label_incident",
    "quarantine",
    "rollback",
    "release",
    "failed_step",
    "late",
    "objective",
]
"""Why somebody is alerted: the data is broken; drift was found; a person is asked; an alarm that nothing
answers any more; the gate's label incident; a batch in quarantine; a rollback that no person made; a
release by stages that went back, is held or was left; a failed run of the loop; a training that is late;
an objective that is missed, or about to be."""

AnyReason = AlertReason | Literal["silent_loop"]
"""`silent_loop` is about no model, so that nobody can silence it: the loop itself does nothing any more."""


class FailedRun(Contract):
    """The newest run of a DAG of the loop, where it has failed.

    Attributes:
        name: Of the model, or of the table that the DAG ingests.
        tasks: Those that failed.
        since: When the first one failed of those in a row.
        ran_at: When the newest was due; None of one that is not kept yet.
    """

    dag_id: str
    run_id: str
    name: str
    tasks: tuple[str, ...]
    since: AwareDatetime
    ran_at: AwareDatetime | None = None


class LateRun(Contract):
    """A training that goes on past its deadline.

    Attributes:
        name: Of the model.
        deadline: When it should have ended.
    """

    dag_id: str
    run_id: str
    name: str
    deadline: AwareDatetime


class Trouble(Contract):
    """Something that a person should know, until it is over.

    Attributes:
        model: Whose; the table's name, where files were ingested.
        subject: What it is about, within the model: one alert each.
        since: When it began, as far as can be told.
        version: That serves, by the ledger.
        why: A sentence.
        next_step: What to do, a sentence.
        kinds: What it is made of: where this changes, the trouble is another and is told again.
        step: `DAG/run/task` in which it was decided; None where no step of Airflow's decided it.
        page_url: A page about it in the store.
        entry: The ledger's.
        is_momentary: Whether it happened and is over, so that there is nothing to remind of.
    """

    model: str
    subject: str
    reason: AnyReason
    since: AwareDatetime
    version: str | None
    why: str
    next_step: str
    kinds: tuple[str, ...] = ()
    step: str | None = None
    page_url: str | None = None
    entry: int | None = None
    is_momentary: bool = False


class Told(Contract):
    """What a channel was told of a trouble last."""

    model: str
    subject: str
    reason: AnyReason
    since: AwareDatetime
    why: str
    kinds: tuple[str, ...]
    told_at: AwareDatetime
    is_momentary: bool


class SilenceRequest(WithReason):
    """Ask not to be alerted for a while, or to be alerted again.

    Attributes:
        of: The reason for alerts that is meant; None for all of the model's.
        days: How long; None where the silence is ended.
    """

    of: AlertReason | None = None
    days: float | None = Field(default=None, gt=0, le=LONGEST_SILENCE_DAYS)


class Silence(Contract):
    """A silence, as the ledger has it.

    Attributes:
        of: The reason for alerts that is not told; None for all of the model's.
        until: When alerts come again, unless somebody ends it before.
    """

    model: str
    of: AlertReason | None
    by: str
    why: str
    since: AwareDatetime
    until: AwareDatetime
    entry: int

    @model_validator(mode="after")
    def _ends_after_it_began(self) -> Self:
        if self.until < self.since:
            raise ValueError("ends before it began")
        return self


class Silenced(Contract):
    """The silences of a model that hold now."""

    model: str
    silences: tuple[Silence, ...]
