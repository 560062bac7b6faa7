"""How much better than chance do answers tell labels, and by how much do batches differ in it?

Sources: DeLong, DeLong and Clarke-Pearson, Biometrics 44:837 (1988), for the standard error of an AUC; Sun
    and Xu, IEEE Signal Process. Lett. 21:1389 (2014), for its computation by ranks.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from tasks.evaluation import metrics
from tasks.evaluation.answers import Answers, Target, Truth
from tasks.monitoring.labels.next_batch import NextBatch, expected

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Skill:
    """Agreement beyond chance, and its standard error."""

    value: float
    error: float


def skill(method: str, target: Target, truth: Truth, answers: Answers) -> Skill | None:
    """2 AUC - 1, or Cohen's kappa; None where the rows do not define it."""
    if method == "roc_auc":
        defined = metrics.undefined_because("roc_auc", target, truth, answers) is None
        return by_auc(truth == 1, answers.scores) if defined and answers.scores is not None else None
    found = metrics.measure(["accuracy"], target, truth, answers).metrics
    by_chance = _by_chance(truth, answers, len(target.classes)) if found else 1.0
    if by_chance >= 1:
        return None
    scale = 1 - by_chance
    # The half width of a 95 % interval is 1.96 standard errors.
    error = (found[0].high - found[0].low) / (2 * stats.norm.isf(0.025)) / scale
    return Skill((found[0].value - by_chance) / scale, float(error))


def by_auc(positive: NDArray[np.bool_], scores: Numbers) -> Skill | None:
    """2 AUC - 1 of scores that should be larger where a row is positive; None with fewer than two of each."""
    sides = [scores[positive], scores[~positive]]
    if min(map(len, sides)) < 2:
        return None
    ranks = stats.rankdata(scores)
    # For each row the share of the other side's rows that have a smaller score.
    shares = [
        (ranks[rows] - stats.rankdata(own)) / len(other)
        for rows, own, other in ((positive, sides[0], sides[1]), (~positive, sides[1], sides[0]))
    ]
    variance = sum(float(np.var(each, ddof=1)) / len(each) for each in shares)
    return Skill(2 * float(shares[0].mean()) - 1, 2 * float(np.sqrt(variance)))


def usual(found: Iterable[tuple[Skill | None, int]]) -> NextBatch | None:
    """The skill that one more batch is expected to have, by that on each batch and how many rows it has.

    A skill without an error says nothing of how much batches differ, and does not count.
    """
    known = [(each.value, each.error**2, rows) for each, rows in found if each is not None and each.error > 0]
    return expected(*np.array(known, dtype=np.float64).reshape(-1, 3).T)


def _by_chance(truth: Truth, answers: Answers, classes: int) -> float:
    """How often labels and answers would agree that have nothing to do with each other."""
    said = answers.predictions
    shares = (np.bincount(values[values >= 0], minlength=classes) / len(truth) for values in (truth, said))
    return float(np.prod(list(shares), axis=0).sum())
