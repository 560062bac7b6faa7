"""Have the columns changed together: the domain classifier, against how well it tells the reference's own
days apart.
"""

from collections.abc import Sequence

import numpy as np
from scipy import special

from tasks.contracts import JointNull, Signal
from tasks.monitoring.inputs.charts import pair_threshold

ABOVE_USUAL = 0.05
"""How far above the reference's own days an AUC has to be to matter."""

GROSS_AUC = 0.85
"""Rows that a classifier tells apart as well as this are others, however few windows have been seen."""

AUTOCORRELATION = 0.3


def look_at_all(
    aucs: Sequence[float], null: JointNull | None, floor: float, chance: float, rate: float, *, served: bool
) -> Signal | None:
    """What the classifier's AUC of the last windows says.

    Args:
        aucs: Of the windows in their order, the last one being judged; at most three count.
        null: The AUCs of the reference's days; None where it has none.
        floor: What an AUC has to exceed where there is no null.
        chance: What chance alone gives at the last window's number of rows.
        rate: How many false alarms a window may give.
        served: Whether the null is of windows that were served: it can make the threshold lower than the
            floor only, so that what they had in common, and the snapshot has not, is never taken for usual.
    """
    threshold = threshold_of(null, floor, chance, rate, served=served)
    now, before = aucs[-1], aucs[-3:-1]
    if not now > threshold:
        return None
    again = any(auc > threshold for auc in before)
    sure = again or now >= max(GROSS_AUC, threshold)
    days = "first windows that were served" if served else "reference's days"
    usual = f", where the {days} have {np.mean(null.aucs):.3f} at the mean" if null else ""
    more = "" if sure else " One window is not enough to be sure."
    return Signal(
        question="input",
        reason="joint",
        subject="all columns together",
        level="alarm" if sure else "suspicious",
        value=now,
        threshold=threshold,
        unit="ROC AUC",
        why=f"A classifier tells the window's rows from the reference with a ROC AUC of {now:.3f}, above "
        f"{threshold:.3f}{usual}.{more}",
    )


def threshold_of(null: JointNull | None, floor: float, chance: float, rate: float, *, served: bool) -> float:
    """What an AUC has to exceed; the arguments are those of `look_at_all`."""
    if null is None:
        return max(floor, chance)
    known = _threshold(null, rate)
    return max(min(known, floor) if served else known, chance)


def _threshold(null: JointNull, rate: float) -> float:
    """What two of three windows exceed so rarely, and what matters; at least what two of the days had."""
    aucs = np.sort(np.array(null.aucs))
    freedom = len(aucs) - 1
    deviation = float(np.std(aucs, ddof=1)) * np.sqrt(1 + 1 / len(aucs))
    steps = pair_threshold(AUTOCORRELATION, float(freedom), rate)
    # A standard deviation of 20 days is known within a sixth; the t distribution has that in its tails.
    return float(max(aucs.mean() + min(steps, _most(freedom)) * deviation, aucs[-2], 0.5 + ABOVE_USUAL))


def _most(freedom: int) -> float:
    """The step of one window in ten thousand: so few days cannot tell rarer ones."""
    return -float(special.stdtrit(freedom, 1e-4))
