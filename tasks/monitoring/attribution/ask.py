"""Ask a champion's archive about rows, and about the same rows with one column's values exchanged."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tasks.contracts import Archive
from tasks.evaluation.scoring import Scores, answer_all, fetch_archive
from tasks.spec import Task

MOST_ASKED = 20_000
"""So many rows are asked about at most, exchanged ones included."""
MOST_ROWS = 400
"""On either side: 400 rows give a share to about three points."""

Numbers = NDArray[np.float64]


def rows_for(columns: int) -> int:
    """How many rows of either side may be asked about."""
    return min(MOST_ROWS, MOST_ASKED // (2 * (columns + 1)))


def moved(
    archive: Archive, sides: Sequence[pa.Table], columns: Sequence[str], task: Task
) -> list[tuple[Numbers, NDArray[np.bool_]]]:
    """Of each side how far answers move, shape (rows left, columns), and which rows are left: those that the
    handler answers whatever is exchanged.

    Raises:
        ArchiveMismatch: The archive is not what its record says.
        InvalidProject, ServingError: It does not answer.
    """
    stacked = pa.concat_tables([_exchanged(side, columns) for side in sides])
    with tempfile.TemporaryDirectory(prefix="perennial-attribution-") as name:
        folder = Path(name)
        pq.write_table(stacked, folder / "rows.parquet")
        answers = answer_all(
            fetch_archive(archive, folder), folder / "rows.parquet", columns, latency_samples=0
        )
    found = []
    for side in sides:
        own, answers = answers.split(len(side) * (len(columns) + 1))
        found.append(_moved(own, len(side), len(columns), task))
    return found


def _exchanged(rows: pa.Table, columns: Sequence[str]) -> pa.Table:
    """The rows, and again for each column with its values in another order; always the same order."""
    tables = [rows]
    for number, column in enumerate(columns):
        order = np.random.default_rng(number).permutation(len(rows))
        place = rows.schema.get_field_index(column)
        tables.append(rows.set_column(place, rows.schema.field(column), rows[column].take(pa.array(order))))
    return pa.concat_tables(tables)


def _moved(answers: Scores, rows: int, columns: int, task: Task) -> tuple[Numbers, NDArray[np.bool_]]:
    refused = np.zeros((columns + 1) * rows, np.bool_)
    refused[[each.row for each in answers.refused]] = True
    left = np.logical_not(np.any(refused.reshape(columns + 1, rows), axis=0, keepdims=True))[0]
    told = [
        [_distance(answers, row, (column + 1) * rows + row, task) for column in range(columns)]
        for row in np.flatnonzero(left).tolist()
    ]
    return np.array(told, dtype=np.float64).reshape(-1, columns), left


def _distance(answers: Scores, first: int, second: int, task: Task) -> float:
    """Between two answers: of probabilities their total variation, of scores and numbers the difference, and
    of bare classes whether they differ.
    """
    both = answers.probabilities[first], answers.probabilities[second]
    if both[0] is not None and both[1] is not None:
        names = both[0].keys() | both[1].keys()
        return sum(abs(both[0].get(name, 0.0) - both[1].get(name, 0.0)) for name in names) / 2
    numbers = answers.predictions if task == "regression" else answers.scores
    before, after = numbers[first], numbers[second]
    if task != "multiclass" and before is not None and after is not None:
        return abs(float(before) - float(after))
    return float(answers.predictions[first] != answers.predictions[second])
