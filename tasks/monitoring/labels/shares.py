"""Is the share of a label in a batch one that the batches before it lead to expect?

One day has more late flights than another: the log odds of a label differ between batches by more than
chance, and are compared with what they were in each batch before.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

from tasks.contracts import UnusualShare
from tasks.monitoring.labels.next_batch import NextBatch, expected

FEWEST_ROWS = 20
"""Batches with fewer rows say nothing of how much batches differ."""

Counts = NDArray[np.int64]


def unusual_share(
    batch: Counts, history: Counts, classes: Sequence[str], tolerated: float, level: float
) -> UnusualShare | None:
    """The label whose share is the least expected; None where the batches are too few to tell.

    Args:
        batch: How often each label is there, shape (classes,).
        history: The same for each earlier batch, shape (batches, classes).
        tolerated: By how much a share may be off before it counts.
        level: Of the test, for all labels together.
    """
    history = history[history.sum(axis=1) >= FEWEST_ROWS]
    tried = range(1, 2) if len(classes) == 2 else range(len(classes))
    found = []
    for code in tried:
        odds, variances = _log_odds(history[:, code], history.sum(axis=1))
        usual = expected(odds, variances, history.sum(axis=1).astype(np.float64))
        if usual is None:
            return None
        found.append(_look(batch, code, usual, tolerated, level / len(tried)))
    place = int(np.argmin([p_value for p_value, _, _ in found]))
    p_value, low, high = found[place]
    return UnusualShare(
        label=classes[tried[place]],
        share=float(batch[tried[place]] / batch.sum()),
        low=low,
        high=high,
        batches=len(history),
        p_value=min(1.0, p_value * len(tried)),
    )


def _log_odds(counts: Counts, rows: Counts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """With half a row more on each side, so that a share of 0 has odds; and their variances."""
    return np.log((counts + 0.5) / (rows - counts + 0.5)), 1 / (counts + 0.5) + 1 / (rows - counts + 0.5)


def _look(
    batch: Counts, code: int, usual: NextBatch, tolerated: float, level: float
) -> tuple[float, float, float]:
    """The p-value of one label's share, and where it is expected."""
    rows, center = int(batch.sum()), float(special.expit(usual.center))
    share, margin = float(batch[code] / rows), 0.5 / (rows + 1)
    nearest = float(np.clip(share, center - tolerated, center + tolerated))
    odds, tolerable = special.logit(np.clip([share, nearest], margin, 1 - margin))
    error = usual.error(1 / (rows * center * (1 - center)), rows)
    p_value = 2 * usual.p_below(-abs(float(odds - tolerable)), error)
    reach = usual.reach(level) * error
    low, high = (float(special.expit(usual.center + side * reach)) for side in (-1, 1))
    return min(1.0, p_value), max(0.0, low - tolerated), min(1.0, high + tolerated)
