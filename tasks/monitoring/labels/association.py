"""Do the labels of a batch depend on its rows, as those of the batches before it did on theirs?

A simple model learns each batch from itself alone and answers rows that it was not trained on. Labels that
were shuffled, or joined to other rows, cannot be learnt. Nothing is carried over from one batch to another
but how learnable they are, so the world may have turned round: on a day of strange weather late flights are
those that every model calls punctual, and still they can be told from that day's own.

A batch is suspected where its labels are surely less learnable than those of one more sound batch would be,
and carry less than half of what is usual. The first keeps the declared rate of false alarms; the second keeps
batches of a harder kind, whose rows tell less of their labels but tell it clearly.

Sources: Lopez-Paz and Oquab, Revisiting Classifier Two-Sample Tests, ICLR 2017, for a classifier's answers
    out of fold as a test of dependence; `next_batch` has those of the comparison.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy import special

from tasks.contracts import Association
from tasks.monitoring.domain_classifier import Kind
from tasks.monitoring.labels.next_batch import FEWEST_BATCHES
from tasks.monitoring.labels.out_of_fold import log_probabilities
from tasks.monitoring.labels.skill import Skill, by_auc, usual

FEWEST_OF_CLASS = 20
"""A label that fewer rows of a batch have is left out: each fold would learn it from next to none."""
FEWEST_ROWS, MOST_ROWS = 200, 10_000
MOST_BATCHES = 40
RETAINED = 0.5
SEED = 20_250_101

Codes = NDArray[np.int64]
Known = dict[tuple[str, int], Skill | None]


@dataclass
class Learnable:
    """How learnable batches are. What was measured is kept: the next new batch asks for much of it again.

    Attributes:
        features: Of the rows of all batches.
        labels: Class codes, shape (rows,).
        known: What was measured of each batch from so many of its rows.
    """

    features: pa.Table
    labels: Codes
    kinds: Mapping[str, Kind]
    known: Known

    def of(self, batch_id: str, places: Codes, most: int) -> Skill | None:
        """Of a batch by its rows' places, and at most so many of them, always the same ones."""
        if len(places) > most:
            places = np.sort(np.random.default_rng(SEED).choice(places, most, replace=False))
        if (batch_id, len(places)) not in self.known:
            self.known[batch_id, len(places)] = learnability(
                self.features.take(places).to_pandas(), self.labels[places], self.kinds
            )
        return self.known[batch_id, len(places)]


def learnability(rows: pd.DataFrame, labels: Codes, kinds: Mapping[str, Kind]) -> Skill | None:
    """The mean over labels, by their shares, of 2 AUC - 1 of each against the others, out of fold; None where
    fewer than two labels have `FEWEST_OF_CLASS` rows.

    The error is the largest that labels' own errors allow.
    """
    frequent = np.flatnonzero(np.bincount(labels) >= FEWEST_OF_CLASS)
    if len(frequent) < 2:
        return None
    kept = np.isin(labels, frequent)
    codes = np.searchsorted(frequent, labels[kept])
    said = log_probabilities(rows[kept].reset_index(drop=True), codes, len(frequent), kinds)
    odds = said - (np.logaddexp.reduce(said, axis=1, keepdims=True) if len(frequent) > 2 else said[:, ::-1])
    each = [by_auc(codes == code, odds[:, code]) for code in range(len(frequent))]
    shares = np.bincount(codes) / len(codes)
    found = [(share * one.value, share * one.error) for share, one in zip(shares, each, strict=True) if one]
    value, error = np.sum(found, axis=0)
    return Skill(float(value), float(error))


def association(
    learnable: Learnable, batch_id: str, own: Codes, before: Mapping[str, Codes], level: float
) -> Association | str:
    """How learnable a batch's labels are beside those of the newest batches before it, or why that is untold.

    The earlier batches are learnt from no more rows than the new one, because more rows are easier to learn
    from; a new batch that is larger than they are has it easier, and is suspected the less.

    Args:
        own: The places of its rows.
        before: Those of each earlier batch, in the order of arrival.
        level: Of the comparison with one more sound batch.
    """
    most = _rounded_down(len(own))
    compared = {name: rows for name, rows in before.items() if len(rows) >= FEWEST_ROWS}
    newest = list(compared.items())[-MOST_BATCHES:]
    usually = None
    if len(newest) >= FEWEST_BATCHES:
        usually = usual((learnable.of(name, rows, most), len(rows)) for name, rows in newest)
    if usually is None:
        return f"{len(newest)} earlier batches are too few to know how well one batch's rows tell its labels"
    found = learnable.of(batch_id, own, MOST_ROWS)
    if found is None:
        return f"fewer than two of its labels have {FEWEST_OF_CLASS} rows, so that they cannot be learnt"
    error = usually.error(found.error**2, len(own))
    if usually.p_below(-usually.center, error) >= level:
        return (
            f"whether its {len(own)} rows tell its labels, which shuffled ones do not, is not sure enough: "
            f"the {usually.degrees + 2} earlier batches differ too much in it, or are too few"
        )
    short = found.value - RETAINED * usually.center
    return Association(
        batch=found.value,
        before=usually.center,
        batches=usually.degrees + 2,
        rows=min(len(own), MOST_ROWS),
        p_value=usually.p_below(found.value - usually.center, error),
        p_half=float(special.ndtr(short / found.error)) if found.error else float(short >= 0),
    )


def _rounded_down(rows: int) -> int:
    """To a power of two of the fewest, so that batches of nearly one size are compared with the same ones."""
    steps = int(np.log2(max(1.0, min(rows, MOST_ROWS) / FEWEST_ROWS)))
    return int(FEWEST_ROWS * 2**steps)
