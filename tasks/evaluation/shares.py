"""Metrics that are a share of rows: of all rows the right ones, of a class the found ones, of those that are
called positive the ones that are.

Sources: Wilson's interval (Brown, Cai and DasGupta, Statistical Science 16:101, 2001); for a difference one
added disagreement each way, so that few of them do not pass for certainty (Bonett and Price, J. Educ. Behav.
Stat. 37:479, 2012); McNemar's exact test.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from tasks.evaluation.answers import Codes
from tasks.evaluation.bootstrap import CONFIDENCE, intervals, mean_of
from tasks.spec import RECALL_OF

POSITIVE = 1


class Share(NamedTuple):
    value: float
    low: float
    high: float


def is_share(name: str) -> bool:
    return name in {"accuracy", "precision", "recall"} or name.startswith(RECALL_OF)


def rows_of_share(name: str, truth: Codes, said: Codes, code: int) -> NDArray[np.bool_]:
    """The rows that the share is of; `code` is the class of a recall."""
    if name == "accuracy":
        return np.ones(len(truth), dtype=np.bool_)
    return np.asarray(said == POSITIVE if name == "precision" else truth == code)


def measure(right: NDArray[np.bool_]) -> Share:
    """The share of rows that are right, with Wilson's interval; of no rows 0, and nothing is known of it."""
    if not len(right):
        return Share(0.0, 0.0, 1.0)
    interval = stats.binomtest(int(right.sum()), len(right)).proportion_ci(CONFIDENCE, method="wilson")
    return Share(float(right.mean()), float(interval.low), float(interval.high))


def difference(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> tuple[Share, float]:
    """By how much larger the first share of the same rows is, and McNemar's p-value."""
    gained = first.astype(np.int8) - second.astype(np.int8)
    [(low, high)] = intervals([mean_of(np.append(gained, [1, -1]))], len(gained) + 2)
    p_value = mcnemar(int((gained == 1).sum()), int((gained == -1).sum()))
    return Share(float(first.mean()) - float(second.mean()), low, high), p_value


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact p-value that two models are equally often right, from the rows where only one of them is."""
    disagreements = only_first + only_second
    return float(stats.binomtest(only_first, disagreements).pvalue) if disagreements else 1.0
