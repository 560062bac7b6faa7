"""Learn what ordinary rows are like, from those that the champion could learn from.

The tables are read as they were when the champion first answered, so that what came through the door since
does not widen it. Which values are far is set by one half of the rows and tried on the other, the later one.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tasks.contracts import CrowdSize, DoorColumn, DoorScales
from tasks.data.door.crowds import (
    BLOCKS,
    MOST_BLOCKS,
    alike,
    field_hashes,
    largest_in_blocks,
    one_field_apart,
    sizes_of,
)
from tasks.data.door.measures import Numbers, categories_of, frequent_words, numbers_of
from tasks.data.near_duplicates import text_columns
from tasks.spec import ColumnType, PipelineSpec

FEWEST_ROWS = 200
"""Of fewer rows nobody knows what is ordinary."""
MOST_VALUES = 1000
TAIL = 0.005
FAR = 1.0
"""A number is far where it is at least so many times the ordinary range outside of it."""
FAR_OF_TEXTS = {"characters": 10.0, "characters a word": 3.0, "control characters": 0.0}
"""The same of numbers about a text: reviews of another kind are longer or shorter, and no attack."""
FAR_SHARE = 0.5
"""A share is far where it is less than this much of what is ordinary."""
SHARES = ("share of letters", "share of known words")
TREND, TREND_BLOCKS = 0.9, 20
EDGES = 20
TIMES: frozenset[ColumnType] = frozenset({"timestamp", "date"})


def calibrate(
    rows: pa.Table, newest: pa.Table, spec: PipelineSpec, run_id: str, tables: Mapping[str, int]
) -> DoorScales | None:
    """What ordinary rows are like; None where they are too few to tell.

    Args:
        rows: Of all times, in the order in which they happened.
        newest: All that happened last, in their order: what comes together repeats itself more.
        tables: The versions of the tables that they are of.
    """
    if len(rows) < FEWEST_ROWS:
        return None
    kinds = kinds_of(spec)
    texts = text_columns(rows, list(kinds))
    words = {name: frequent_words(rows[name].to_pylist()[: len(rows) // 2]) for name in texts}
    numbers = numbers_of(rows, kinds, texts, words)
    edges = {own: _edges(values) for (source, own), values in numbers.items() if source == own}
    categories = categories_of(rows, kinds, texts)
    share = spec.data.door.ordinary_share / max(len(numbers) + len(categories), 1)
    columns = [_number(source, own, values, share) for (source, own), values in numbers.items()]
    columns += [_category(name, values, share) for name, values in categories.items()]
    floods, probes = _crowds(newest, list(kinds), texts, edges)
    return DoorScales(
        run_id=run_id,
        tables=dict(tables),
        rows=len(rows),
        texts=texts,
        words=words,
        edges=edges,
        columns=tuple(column for column in columns if column is not None),
        floods=floods,
        probes=probes,
    )


def kinds_of(spec: PipelineSpec) -> dict[str, ColumnType]:
    """The features that are looked at: all but times, which always move on."""
    return {name: kind for name, kind in spec.data.feature_types.items() if kind not in TIMES}


def beyond(values: Numbers, low: float, high: float) -> Numbers:
    """How far each value is outside of [low, high], in its own unit; 0 for none."""
    return np.nan_to_num(np.maximum(np.maximum(low - values, values - high), 0.0))


def _number(source: str, own: str, values: Numbers, share: float) -> DoorColumn | None:
    """What is far of a number; None of one that is always the same, or moved on in one direction.

    Of what has one value nobody knows how far it may move: 2013 becomes 2014.
    """
    known = values[np.isfinite(values)]
    about = own.removeprefix(f"{source}: ") if own != source else ""
    if len(known) < FEWEST_ROWS or (not about and (np.ptp(known) == 0 or _trends(known))):
        return None
    first, later = np.array_split(known, 2)
    low, high = np.quantile(first, [TAIL, 1 - TAIL])
    tried = float(np.quantile(beyond(later, low, high), 1 - share, method="higher"))
    low, high = (float(edge) for edge in np.quantile(known, [TAIL, 1 - TAIL]))
    floor = FAR_SHARE * low if about in SHARES else FAR_OF_TEXTS.get(about, FAR) * (high - low)
    return DoorColumn(
        column=own,
        source=source,
        kind="number",
        low=low,
        high=high,
        limit=max(tried, floor),
        nulls=len(known) < len(values),
    )


def _category(name: str, values: Sequence[str | None], share: float) -> DoorColumn | None:
    """All values of a category; None where the later half of the rows has others than the first half."""
    known = [value for value in values if value is not None]
    different = set(known)
    if len(known) < FEWEST_ROWS or len(different) > MOST_VALUES:
        return None
    half = len(known) // 2
    first = set(known[:half])
    new = sum(value not in first for value in known[half:])
    if new > share * (len(known) - half):
        return None
    return DoorColumn(
        column=name,
        source=name,
        kind="category",
        values=tuple(sorted(different)),
        nulls=len(known) < len(values),
    )


def _trends(values: Numbers) -> bool:
    """Whether the means of blocks in a row are in their order, as of months, prices and counters."""
    from scipy import stats

    means = [float(block.mean()) for block in np.array_split(values, TREND_BLOCKS)]
    if np.ptp(means) == 0:
        return False
    return bool(abs(stats.spearmanr(means, range(len(means))).statistic) >= TREND)


def _edges(values: Numbers) -> tuple[float, ...]:
    known = values[np.isfinite(values)]
    if not len(known):
        return ()
    inner = [step / EDGES for step in range(1, EDGES)]
    return tuple(float(edge) for edge in np.unique(np.quantile(known, inner)))


def _crowds(
    rows: pa.Table, features: Sequence[str], texts: Sequence[str], edges: Mapping[str, Sequence[float]]
) -> tuple[tuple[CrowdSize, ...], tuple[CrowdSize, ...]]:
    """How many rows say the same, and nearly the same but for one field, in blocks of each size."""
    groups, hashes = alike(rows, features, texts, edges), field_hashes(rows, features)
    floods, probes = [], []
    for size in [size for size in BLOCKS if size <= len(rows)]:
        starts = _starts(len(rows), size)
        same = [sizes_of(_renumbered(groups[start : start + size])) for start in starts]
        apart = [one_field_apart(hashes[start : start + size]) for start in starts]
        floods.append(CrowdSize(rows=size, largest=largest_in_blocks(same)))
        probes.append(CrowdSize(rows=size, largest=largest_in_blocks(apart)))
    return tuple(floods), tuple(probes)


def _starts(rows: int, size: int) -> list[int]:
    every = range(0, rows - size + 1, size)
    return [int(start) for start in np.unique(np.linspace(0, every[-1], MOST_BLOCKS).round())]


def _renumbered(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(np.unique(groups, return_inverse=True)[1], dtype=np.int64)
