"""Let a reference grow by the first windows that its champion serves, where its snapshot has no days.

They say how much days differ, and how well a classifier tells a quiet one from the snapshot. What is usual
stays what the snapshot says (`tasks.monitoring.inputs.calibrate`). A window counts only where its check was
quiet: one that was suspicious, alarmed or broken never does.

A pure function of profiles and of what the checks said, so it can be replayed.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from tasks.contracts import JointNull, Reference, WindowProfile
from tasks.monitoring.inputs.columns import DAYS_FOR_CALIBRATION

STEPS = (DAYS_FOR_CALIBRATION, 28)
"""The reference is made anew with so many quiet windows: when they are enough, and when each weekday of them
has the four that a level of its own takes. Later windows are of another time than its promotion."""

QUIET = "quiet"


def quiet_windows(
    windows: Sequence[WindowProfile], verdicts: Mapping[datetime, str]
) -> tuple[WindowProfile, ...]:
    """The windows whose check was quiet, in their order.

    Args:
        windows: As they were judged: small ones in a row as one.
        verdicts: What the last check of each window said, by the window's end.
    """
    return tuple(window for window in windows if verdicts.get(window.end) == QUIET)


def missing(reference: Reference, quiet: int) -> int:
    """How many more quiet windows it takes until the reference is calibrated; 0 where it is."""
    if len(reference.days) >= DAYS_FOR_CALIBRATION:
        return 0
    return max(DAYS_FOR_CALIBRATION - quiet, 0)


def grown(
    reference: Reference, quiet: Sequence[WindowProfile], aucs: Mapping[datetime, float]
) -> Reference | None:
    """The reference with the champion's first quiet windows; None where it stays as it is.

    Args:
        reference: The champion's newest.
        quiet: Its windows that were quiet, from the first on.
        aucs: The domain classifier's AUC of windows, by their end.
    """
    own = len(reference.days) - reference.serving_windows
    count = max((step for step in STEPS if step <= len(quiet)), default=0)
    if own >= DAYS_FOR_CALIBRATION or count <= reference.serving_windows:
        return None
    served = tuple(quiet[:count])
    return reference.model_copy(
        update={
            "days": (*reference.days[:own], *served),
            "serving_windows": count,
            "joint": _joint(served, aucs),
        }
    )


def _joint(served: Sequence[WindowProfile], aucs: Mapping[datetime, float]) -> JointNull | None:
    """How well the windows were told from the snapshot; None where the classifier was not asked of enough."""
    known = [(aucs[window.end], window.rows) for window in served if window.end in aucs]
    if len(known) < DAYS_FOR_CALIBRATION:
        return None
    return JointNull(aucs=tuple(auc for auc, _ in known), rows=int(np.median([rows for _, rows in known])))
