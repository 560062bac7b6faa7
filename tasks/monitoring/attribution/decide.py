"""From answers' changes to each column's share, its interval, and what is told of it.

A column's share is the mean change of the answers when its values are exchanged between rows, divided by the
sum of that over all columns. It acts on nothing: inputs that move towards where a model is sensitive are no
fault of the model, and which column it rests on now is where a person begins to look.

Source: Breiman, Machine Learning 45:5 (2001), for importance by permutation; the change of the answers in the
place of the error needs no labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.contracts import Attribution, ColumnAttribution, Signal

FLOOR = 0.1
"""Of the answers' change a column has to carry so much more, or less, surely, to be told."""
DRAWS = 2_000
FEWEST_DAYS = 7
"""With so many days or more, whole days are drawn: rows of a day are alike."""
ERROR = 0.05

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Changes:
    """How far each row's answer moves when a column's value is that of another row.

    Attributes:
        moved: Shape (rows, columns), at least 0.
        days: Of each row a number of its day; rows of one day are drawn together.
    """

    moved: Numbers
    days: NDArray[np.int64]


def shares(columns: Sequence[str], reference: Changes, window: Changes) -> tuple[ColumnAttribution, ...]:
    """Each column's share on both; nothing where answers move by no column."""
    before, now = (_shares(each.moved.sum(axis=0, keepdims=True)) for each in (reference, window))
    if before is None or now is None:
        return ()
    rng = np.random.default_rng(0)
    drawn = [_shares(_drawn(each, rng)) for each in (window, reference)]
    if drawn[0] is None or drawn[1] is None:
        return ()
    ends = np.quantile(drawn[0] - drawn[1], (ERROR / 2 / len(columns), 1 - ERROR / 2 / len(columns)), axis=0)
    return tuple(
        ColumnAttribution(
            column=column,
            reference=float(before[0, place]),
            window=float(now[0, place]),
            low=float(ends[0, place]),
            high=float(ends[1, place]),
        )
        for place, column in enumerate(columns)
    )


def _drawn(changes: Changes, rng: np.random.Generator) -> Numbers:
    """The columns' sums in bootstrap samples of days, or of rows where there are few days; shape (draws,
    columns).
    """
    _, group = np.unique(changes.days, return_inverse=True)
    if group.max() + 1 < FEWEST_DAYS:
        group = np.arange(len(changes.moved))
    count = int(group.max()) + 1
    sums = np.zeros((count, changes.moved.shape[1]))
    np.add.at(sums, group, changes.moved)
    return np.asarray(rng.multinomial(count, np.full(count, 1 / count), DRAWS) @ sums)


def _shares(sums: Numbers) -> Numbers | None:
    whole = sums.sum(axis=1, keepdims=True)
    return sums / whole if (whole > 0).all() else None


def signals_of(found: Attribution) -> tuple[Signal, ...]:
    """A note for each column that surely carries another share than on the reference, the largest first."""
    moved = [each for each in found.columns if each.low > FLOOR or each.high < -FLOOR]
    return tuple(
        _signal(found, each) for each in sorted(moved, key=lambda one: -abs(one.window - one.reference))
    )


def _signal(found: Attribution, one: ColumnAttribution) -> Signal:
    word = "more" if one.low > 0 else "less"
    return Signal(
        question="target",
        reason="attribution",
        subject=one.column,
        level="note",
        value=one.window,
        threshold=one.reference + (FLOOR if one.low > 0 else -FLOOR),
        unit="share of what moves answers",
        since=found.start,
        why=(
            f"The answers rest {word} on {one.column} than on the reference: from {found.start:%Y-%m-%d} to "
            f"{found.end:%Y-%m-%d} it carries {one.window:.0%} of what moves them, after {one.reference:.0%} "
            f"(a difference of {100 * one.low:+.0f} to {100 * one.high:+.0f} points). Look at how "
            f"{one.column} has changed; by itself this asks for no training."
        ),
    )


def not_looked_at(why: str) -> Signal:
    return Signal(question="target", reason="attribution_unknown", subject="features", level="note", why=why)
