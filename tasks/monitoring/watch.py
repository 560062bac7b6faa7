"""What the watch of a model goes by: what a check found, what the ledger remembers, and what comes of it.

Plain data that is the same again after it was written as JSON: it stands in the ledger as evidence.
"""

from typing import Any, Literal, NamedTuple

from pydantic.dataclasses import dataclass

from tasks.contracts import Follows, State, Verdict
from tasks.spec import MonitorSpec
from tasks.spec.monitor import ColumnRule, RetrainBudget

Level = Literal["none", "suspicious", "alarm", "incident", "cannot_tell", "too_few"]
UNJUDGED: frozenset[Level] = frozenset({"incident", "cannot_tell", "too_few"})
"""A check that says nothing of the model: its window was broken, too small, or could not be measured."""


@dataclass(frozen=True)
class Check:
    """What one check found, all its signals together.

    Attributes:
        level: That of the gravest signal; `none` where there is none, or only notes.
        why: What was found; a sentence.
        question: What the gravest signal answers.
        new_rows: Labelled rows that joined the table after the champion's snapshot.
        new_fields: Columns of the data that the champion was not trained on.
    """

    level: Level
    why: str
    question: Literal["validity", "input", "target", "skew"] | None = None
    new_rows: int = 0
    new_fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Memory:
    """What the ledger says of the champion's watch and of the model's retrains, before a check.

    A retrain is a training that a drift decision led to; nobody else's trainings count.

    Attributes:
        state: After the check before; `quiet` of a new champion.
        levels: Of the champion's checks that judged a window, the newest first, as far back as is asked for.
        checks_since_retrain: How many such checks there were; None of a champion that no retrain brought.
        open_training: The Airflow run of a granted training that has not ended, whoever asked for it.
        seconds_since_grant: Since the newest retrain was granted; negative where the clock was set back.
        runs: Retrains that were granted in the last 30 days and started.
        seconds: What they cost together, in processor or GPU seconds.
        dearest_seconds: What the dearest of them cost.
        failures_in_a_row: Retrains, the newest first, whose candidate was refused or did not help, since
            the breaker was closed last.
        light_in_a_row: Retrains whose candidate was promoted, since a full rebuild, or a training that a
            person started, was.
        breaker_closed_by: Who closed it last.
        model: Its name, for the commands that a sentence asks for; entries of an earlier Perennial have none.
    """

    state: State = "quiet"
    levels: tuple[Level, ...] = ()
    checks_since_retrain: int | None = None
    open_training: str | None = None
    seconds_since_grant: float | None = None
    runs: int = 0
    seconds: float = 0.0
    dearest_seconds: float = 0.0
    failures_in_a_row: int = 0
    light_in_a_row: int = 0
    breaker_closed_by: str | None = None
    model: str = "MODEL"


class Case(NamedTuple):
    """What a rule looks at."""

    check: Check
    memory: Memory
    rules: MonitorSpec


@dataclass(frozen=True)
class Next:
    """What comes of a check.

    Attributes:
        rules: The names of the rules that said so.
    """

    state: State
    verdict: Verdict
    follows: Follows
    why: str
    rules: tuple[str, ...]


def recorded_rules(rules: dict[str, Any]) -> MonitorSpec:
    """The rules that a ledger entry was decided by.

    They are not validated again: an entry may be older than a bound or a field of theirs, whose default it
    takes, and may have a field that there is no more.
    """
    budget = RetrainBudget.model_construct(**rules.get("retrain_budget", {}))
    columns = {name: ColumnRule.model_construct(**rule) for name, rule in rules.get("columns", {}).items()}
    return MonitorSpec.model_construct(**(rules | {"retrain_budget": budget, "columns": columns}))
