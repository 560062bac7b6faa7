"""What a team says of watching its model."""

from typing import Literal

from pydantic import Field, field_validator

from tasks.spec.base import MOST_ROWS, Rows, Share, Spec
from tasks.spec.cron import Cron
from tasks.spec.slo import SloSpec
from tasks.spec.training import MOST_CPUS

FEWEST_ROWS = 30
"""Below this, on either side, a comparison of traffic says nothing."""

RARELY = 1e-6
"""The smallest share of false alarms that a few relabellings of the rows can say anything of."""

RAREST_ALARMS = 1e-3
"""One false alarm in a thousand years: with fewer, evidence that is worth an alarm hardly comes together."""

MOST_LOST = 1e12
"""In units of the label, which may be a sum of money; more is a slip."""

YEAR_SECONDS = 366 * 86_400

MOST_DEVIATIONS = 1e6

MOST_IN_A_ROW = 100_000
"""More checks or retrains than anybody waits for: a number beyond is a slip."""


class ColumnRule(Spec):
    """What a team says of one column's drift.

    Attributes:
        watch: Whether the column can raise an alarm; False only reports it.
        floor: The smallest change that matters: of a number in standard deviations of the reference, of a
            category in shares of the rows; None for the model's own floor.
    """

    watch: bool = True
    floor: float | None = Field(default=None, ge=0, le=MOST_DEVIATIONS)


class RetrainBudget(Spec):
    """What automatic retrains may cost in 30 days; a person's own trainings do not count.

    Attributes:
        runs: Trainings that may be granted.
        seconds: Processor seconds, or GPU seconds where the model asks for GPUs, that they may take together;
            None for no limit.
    """

    runs: int = Field(default=8, ge=0, le=MOST_IN_A_ROW)
    seconds: float | None = Field(default=None, gt=0, le=MOST_CPUS * YEAR_SECONDS)


class MonitorSpec(Spec):
    """When the service's traffic counts as drifted, and when that leads to a new training.

    Attributes:
        schedule: Cron expression (UTC) of the drift check.
        minimum_window_rows: A window with fewer predictions is not judged.
        maximum_rows: Window and reference are sampled down to this many rows each.
        domain_auc: Effect floor: the domain classifier's out-of-fold ROC AUC, in [0.5, 1], below which
            nothing is drift.
        false_alarm_share: How often a check of undrifted traffic may be called drift; sets the null
            distribution's quantile.
        minimum_new_rows: Rows that joined the table after the champion's snapshot, without which a retrain
            would learn nothing new.
        cooldown_seconds: How long after a retrain request the next one is refused.
        maximum_bad_share: Rows of the window that may break the suite; more is an incident, not drift.
        mode: What an alarm leads to: `suggest` says it, `approve` asks a person, `auto` retrains.
        false_alarms_per_year: How many alarms a year of undrifted traffic may give, all detectors together;
            at least `RAREST_ALARMS`.
        time_column: The column of the model's own table that says when a row happened, by which the reference
            is divided into days; None for the table's only timestamp.
        number_floor: The smallest change of a number that matters, in standard deviations of the reference.
        share_floor: The smallest change of a share (of nulls, of a category, of a label) that matters.
        columns: What holds for single columns instead.
        tolerance: How much worse than when it was promoted the model may be, in units of the gate's primary
            metric; at most 0.5 of a metric in [0, 1], where a model that loses more is no better than chance.
        retrain_budget: What automatic retrains may cost.
        breaker_after: After so many retrains in a row whose candidate was refused, or did not help, no
            further one is granted until a person closes the breaker.
        rebuild_after: After so many light retrains in a row a person is asked for a full rebuild.
        probation_checks: So many checks after a retrain, an alarm asks a person instead of retraining again.
        slo: What the model's users are promised.
    """

    schedule: Cron = "0 4 * * *"
    minimum_window_rows: int = Field(default=200, ge=1, le=MOST_ROWS)
    maximum_rows: int = Field(default=2000, ge=FEWEST_ROWS, le=MOST_ROWS)
    domain_auc: float = Field(default=0.65, ge=0.5, le=1)
    false_alarm_share: float = Field(default=0.01, ge=RARELY, lt=1)
    minimum_new_rows: Rows = 200
    cooldown_seconds: float = Field(default=86_400, ge=0, le=YEAR_SECONDS)
    maximum_bad_share: Share = 0.1
    mode: Literal["suggest", "approve", "auto"] = "auto"
    false_alarms_per_year: float = Field(default=0.5, le=365)
    time_column: str | None = None
    number_floor: float = Field(default=0.1, ge=0, le=MOST_DEVIATIONS)
    share_floor: Share = 0.03
    columns: dict[str, ColumnRule] = Field(default_factory=dict)
    tolerance: float = Field(default=0.01, ge=0, le=MOST_LOST)
    retrain_budget: RetrainBudget = RetrainBudget()
    breaker_after: int = Field(default=3, ge=1, le=MOST_IN_A_ROW)
    rebuild_after: int = Field(default=4, ge=1, le=MOST_IN_A_ROW)
    probation_checks: int = Field(default=3, ge=0, le=MOST_IN_A_ROW)
    slo: SloSpec = SloSpec()

    @field_validator("false_alarms_per_year")
    @classmethod
    def _alarms_can_come(cls, alarms: float) -> float:
        if not alarms >= RAREST_ALARMS:
            raise ValueError(
                f"with {alarms:g} hardly any change would be an alarm; give it at least {RAREST_ALARMS:g}. "
                "So that alarms start no training, say mode: suggest"
            )
        return alarms
