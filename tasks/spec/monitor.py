"""What a team says of watching its model."""

from pydantic import Field

from tasks.spec.base import MOST_ROWS, Rows, Share, Spec
from tasks.spec.cron import Cron

FEWEST_ROWS = 30
"""Below this, on either side, a comparison of traffic says nothing."""

RARELY = 1e-6
"""The smallest share of false alarms that a few relabellings of the rows can say anything of."""

YEAR_SECONDS = 366 * 86_400


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
    """

    schedule: Cron = "0 4 * * *"
    minimum_window_rows: int = Field(default=200, ge=1, le=MOST_ROWS)
    maximum_rows: int = Field(default=2000, ge=FEWEST_ROWS, le=MOST_ROWS)
    domain_auc: float = Field(default=0.65, ge=0.5, le=1)
    false_alarm_share: float = Field(default=0.01, ge=RARELY, lt=1)
    minimum_new_rows: Rows = 200
    cooldown_seconds: float = Field(default=86_400, ge=0, le=YEAR_SECONDS)
    maximum_bad_share: Share = 0.1
