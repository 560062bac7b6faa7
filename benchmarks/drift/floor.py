"""What Perennial did before: a domain classifier's ROC AUC above a fixed floor, on raw rows."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from benchmarks.drift.years import NUMBERS, VALUES, Change, shares_of
from tasks.monitoring.domain_classifier import Kind, tell_apart

AUC = 0.65
KNOWN_ROWS = 2_000
SIZES = (500, 2_000)
TRIES = 4
KINDS: dict[str, Kind] = {f"number {column}": "number" for column in range(NUMBERS)}
KINDS |= {f"category {column}": "category" for column in range(len(VALUES))}


def measured(changes: Mapping[str, Change], known: int) -> Iterator[dict[str, object]]:
    """For each change, on the share of how many days it is found, long after it began."""
    for rows in SIZES:
        for name, change in {"nothing": Change(), **changes}.items():
            aucs = [_auc(rows, change, known, seed) for seed in range(TRIES)]
            yield {
                "rows": rows,
                "planted": name,
                "found": float(np.mean(np.array(aucs) > AUC)),
                "auc": round(float(np.median(aucs)), 3),
            }


def _auc(rows: int, change: Change, known: int, seed: int) -> float:
    """Of the day that is 60 days after the change began."""
    day = known + 60
    rng = np.random.default_rng(seed)
    shift = {column: float(values[day]) for column, values in change.shifts.items()}
    nulls = {column: float(values[day]) for column, values in change.nulls.items()}
    shares = {column: (value, float(values[day])) for column, (value, values) in change.shares.items()}
    return tell_apart(_rows(rng, rows, shift, nulls, shares), _rows(rng, KNOWN_ROWS, {}, {}, {}), KINDS)


def _rows(
    rng: np.random.Generator,
    rows: int,
    shift: Mapping[int, float],
    nulls: Mapping[int, float],
    shares: Mapping[int, tuple[int, float]],
) -> pd.DataFrame:
    columns: dict[str, object] = {}
    for column in range(NUMBERS):
        values = rng.normal(shift.get(column, 0.0), 1, rows)
        values[rng.random(rows) < nulls.get(column, 0.0)] = np.nan
        columns[f"number {column}"] = values
    for column, count in enumerate(VALUES):
        weights = shares_of(count).copy()
        if column in shares:
            value, share = shares[column]
            weights *= (1 - share) / (1 - weights[value])
            weights[value] = share
        columns[f"category {column}"] = [f"value {value}" for value in rng.choice(count, rows, p=weights)]
    return pd.DataFrame(columns)
