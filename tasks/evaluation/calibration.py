"""How far probabilities are from how often they come true.

The expected calibration error with 15 bins of equal width: of two classes between the probability of the
positive one and its share, of several between the probability of the predicted one and the share of right
predictions. Scikit-learn has the curve (`calibration_curve`), not the number.

Source: Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks, ICML 2017.
"""

import numpy as np
from numpy.typing import NDArray

from tasks.evaluation.answers import Codes, Numbers
from tasks.evaluation.bootstrap import Statistic, Weights

BINS = 15


def calibration_error(truth: Codes, scores: Numbers) -> Statistic:
    """The error over draws.

    Args:
        truth: The class codes, shape (rows,).
        scores: Of two classes the probability of the positive one, shape (rows,); else of each class, shape
            (rows, classes).
    """
    said, came_true = _of_the_predicted_class(truth, scores) if scores.ndim > 1 else (scores, truth == 1)
    bins = np.minimum((said * BINS).astype(np.int64), BINS - 1)
    gaps = np.zeros((len(truth), BINS))
    gaps[np.arange(len(truth)), bins] = said - came_true

    def over(weights: Weights) -> NDArray[np.float64]:
        return np.asarray(np.abs(weights @ gaps).sum(axis=1) / weights.sum(axis=1))

    return over


def _of_the_predicted_class(truth: Codes, scores: Numbers) -> tuple[Numbers, NDArray[np.bool_]]:
    predicted = scores.argmax(axis=1)
    return scores.max(axis=1), predicted == truth
