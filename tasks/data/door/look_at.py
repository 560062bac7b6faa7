"""Look at the requests of one day: how far each is outside of the reference, and what its sender repeats."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tasks.contracts import Crowd, CrowdSize, DoorColumn, DoorScales, SenderDay
from tasks.data.door.calibrate import beyond, kinds_of
from tasks.data.door.crowds import alike, field_hashes, one_field_apart, ordinary, sizes_of
from tasks.data.door.measures import categories_of, numbers_of
from tasks.spec import PipelineSpec

FEWEST_OTHERS = 3
FEWEST_OF_ANOTHER = 100
"""So many other senders, with so many requests each, tell what is usual on a day."""
SENDERS_OF_A_NEW_VALUE = 3
"""A new value that so many senders have is one of the world."""
SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class Looked:
    """What was seen of one sender's requests of one day.

    Attributes:
        measured: What is decided by.
        places: Where its requests are in the day's rows, shape (requests,).
        far: Whether each is far outside of the reference.
        alike, apart: How many requests say nearly the same as each; in how many values of one field those
            differ that are equal to it in all others.
    """

    measured: SenderDay
    places: NDArray[np.int64]
    far: NDArray[np.bool_]
    alike: NDArray[np.int64]
    apart: NDArray[np.int64]


def look_at(
    rows: pa.Table, senders: Sequence[str | None], day: datetime, scales: DoorScales, spec: PipelineSpec
) -> list[Looked]:
    """Look at the requests of one day, sender by sender.

    Args:
        rows: Their features, all requests of the day that are looked at.
        senders: Of each; None where it came without a token.
    """
    features = list(kinds_of(spec))
    far, examples = far_rows(rows, senders, scales, spec)
    groups = alike(rows, features, scales.texts, scales.edges)
    hashes = field_hashes(rows, features)
    by_sender = _places(senders)
    seen = []
    for sender, places in by_sender.items():
        own = np.unique(groups[places], return_inverse=True)[1]
        seen.append((sender, places, far[places], sizes_of(own), one_field_apart(hashes[places])))
    return [
        Looked(
            SenderDay(
                sender=sender,
                day=day,
                requests=len(places),
                far=int(own_far.sum()),
                far_share_of_others=_usual([each[2].mean() for each in _others(seen, sender)]),
                example=next((examples[place] for place in places if place in examples), ""),
                flood=_crowd(same, scales.floods, [each[3] for each in _others(seen, sender)]),
                probing=_crowd(apart, scales.probes, [each[4] for each in _others(seen, sender)]),
            ),
            places,
            own_far,
            same,
            apart,
        )
        for sender, places, own_far, same, apart in seen
    ]


def far_rows(
    rows: pa.Table, senders: Sequence[str | None], scales: DoorScales, spec: PipelineSpec
) -> tuple[NDArray[np.bool_], dict[int, str]]:
    """Whether each row is far outside of the reference, and of those that are what shows it; a sentence."""
    kinds = kinds_of(spec)
    numbers = {
        own: values for (_, own), values in numbers_of(rows, kinds, scales.texts, scales.words).items()
    }
    categories = categories_of(rows, kinds, scales.texts)
    examples: dict[int, str] = {}
    for column in scales.columns:
        if column.kind == "number":
            found = _far_numbers(column, numbers[column.column], rows)
        else:
            found = _new_values(column, categories[column.column], senders)
        for place, why in found:
            examples.setdefault(place, why)
    far = np.zeros(len(rows), dtype=np.bool_)
    far[list(examples)] = True
    return far, examples


def _far_numbers(
    column: DoorColumn, values: NDArray[np.float64], rows: pa.Table
) -> Iterator[tuple[int, str]]:
    usual = f"nearly all rows of the reference have {column.low:g} to {column.high:g}"
    for place in np.flatnonzero(beyond(values, column.low, column.high) > column.limit):
        yield int(place), f"{column.column} is {values[place]:g}, and {usual}."
    if not column.nulls and column.column == column.source:
        for place in np.flatnonzero(~np.isfinite(values)):
            yield int(place), f"{column.column} has no value that is a number, and {usual}."
    elif not column.nulls:
        missing = np.asarray(rows[column.source].is_null())
        for place in np.flatnonzero(missing):
            yield int(place), f"{column.source} has no value, which no row of the reference lacks."


def _new_values(
    column: DoorColumn, values: Sequence[str | None], senders: Sequence[str | None]
) -> Iterator[tuple[int, str]]:
    known = frozenset(column.values)
    new: defaultdict[str | None, list[int]] = defaultdict(list)
    for place, value in enumerate(values):
        if value not in known and not (value is None and column.nulls):
            new[value].append(place)
    for value, places in new.items():
        if len({senders[place] for place in places} - {None}) < SENDERS_OF_A_NEW_VALUE:
            shown = "no value" if value is None else f"the value {value[:SHOWN_CHARACTERS]!r}"
            for place in places:
                yield (
                    place,
                    f"{column.column} has {shown}, which none of the {len(known)} of the reference is.",
                )


def _crowd(own: NDArray[np.int64], sizes: Sequence[CrowdSize], others: Sequence[NDArray[np.int64]]) -> Crowd:
    return Crowd(
        largest=int(own.max(initial=0)),
        ordinary=ordinary(sizes, len(own)),
        share_of_others=_usual([each.max(initial=0) / len(each) for each in others]),
    )


Seen = tuple[str | None, NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]


def _others(seen: Sequence[Seen], sender: str | None) -> list[Seen]:
    return [each for each in seen if each[0] != sender and len(each[1]) >= FEWEST_OF_ANOTHER]


def _usual(shares: Sequence[float]) -> float | None:
    return float(np.median(shares)) if len(shares) >= FEWEST_OTHERS else None


def _places(senders: Sequence[str | None]) -> dict[str | None, NDArray[np.int64]]:
    found: defaultdict[str | None, list[int]] = defaultdict(list)
    for place, sender in enumerate(senders):
        found[sender].append(place)
    return {sender: np.array(places, dtype=np.int64) for sender, places in found.items()}
