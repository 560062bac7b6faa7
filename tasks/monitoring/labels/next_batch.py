"""What one more batch is expected to be like, when batches differ by more than chance.

A random-effects model: each batch has a value of its own, around a common center, and is measured with an
error of its own. The variance between batches is estimated by the method of moments. A batch that is as large
as several usual ones, a week among days, averages over as many, and is expected to differ less.

Sources: DerSimonian and Laird, Control. Clin. Trials 7:177 (1986); Higgins, Thompson and Spiegelhalter, J. R.
    Stat. Soc. A 172:137 (2009), for the prediction interval and its k - 2 degrees of freedom.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

FEWEST_BATCHES = 4

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class NextBatch:
    """The value that one more batch is expected to have.

    Attributes:
        between: The variance between batches.
        of_center: The variance of `center`.
        rows: Of a usual batch.
    """

    center: float
    between: float
    of_center: float
    degrees: int
    rows: float

    def error(self, own_variance: float, rows: int) -> float:
        """Of the difference to a batch of so many rows that is measured with this variance."""
        between = self.between * min(1.0, self.rows / rows)
        return float(np.sqrt(between + self.of_center + own_variance))

    def p_below(self, difference: float, error: float) -> float:
        """The probability of a difference so low or lower, by Student's distribution."""
        return float(special.stdtr(self.degrees, difference / error))

    def reach(self, level: float) -> float:
        """How many errors a value is off with this probability, in either direction."""
        return -float(special.stdtrit(self.degrees, level / 2))


def expected(values: Numbers, variances: Numbers, rows: Numbers) -> NextBatch | None:
    """What the batches before lead to expect; None where they are too few to know how much batches differ.

    Args:
        values: One of each batch, shape (batches,).
        variances: Of their errors.
        rows: How large the batches are.
    """
    if len(values) < FEWEST_BATCHES:
        return None
    weights = 1 / variances
    spread = float((weights * (values - np.average(values, weights=weights)) ** 2).sum())
    scale = float(weights.sum() - (weights**2).sum() / weights.sum())
    between = max(0.0, (spread - (len(values) - 1)) / scale)
    weights = 1 / (variances + between)
    center = float(np.average(values, weights=weights))
    of_center = float(1 / weights.sum())
    return NextBatch(center, between, of_center, len(values) - 2, float(np.median(rows)))
