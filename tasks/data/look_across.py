"""Look across the rows of a file: keys that are there more than once, and what a suite says of all rows.

Read the file again only where the first look found a suspicion, and compare the rows that it is about. An
exact copy of a row joins once; rows that contradict each other under one key go to quarantine.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from tasks.data import quarantine
from tasks.data.ahead import ahead
from tasks.data.duplicates import Hashes, among
from tasks.data.first_look import KEY_HOLDS, FirstLook, Seen, reason_of
from tasks.data.landed_rows import LandedRows
from tasks.data.repeated_keys import Compared, KeyComparison, Positions
from tasks.data.row_faults import RowFaults
from tasks.data.suites import Expectation

Read = Callable[[], Iterator[LandedRows]]
"""Reads a file from its start, the same batches every time."""


@dataclass
class Found:
    """Positions in the file of rows that do not join after all.

    Attributes:
        copies: They join as another row.
        faulty: With the expectation that they break, and why.
    """

    copies: Positions = field(default_factory=lambda: np.empty(0, np.int64))
    faulty: list[tuple[Positions, str, str]] = field(default_factory=list)


def look_across(first: FirstLook, read: Read) -> int:
    """Judge the rows of a file by each other, and stage anew without those that do not join.

    Returns:
        How many rows were copies of another one.
    """
    found = Found()
    _compare(first, read, found)
    _judge_columns(first, found)
    if not len(found.copies) and not any(len(positions) for positions, _, _ in found.faulty):
        return 0
    return _stage_again(first, read, found)


def _compare(first: FirstLook, read: Read, found: Found) -> None:
    """Compare the rows whose keys, or whose values that have to be unique, have the same hash."""
    keys = first.keys.seen_again()
    unique = {expectation: hashed.seen_again() for expectation, hashed in first.unique.items()}
    suspects: dict[Expectation, list[tuple[Positions, pa.Table]]] = {
        expectation: [] for expectation in unique
    }
    if len(keys) or any(len(hashes) for hashes in unique.values()):
        with KeyComparison(first.table.key) as comparison:
            for start, rows, seen in _batches(first, read):
                _add_suspects(comparison, first, keys, start, rows)
                for expectation, hashes in unique.items():
                    suspects[expectation].append(_suspects(first, expectation, hashes, start, rows, seen))
            compared = comparison.compare()
        _note_keys(first, compared, found)
    for expectation, parts in suspects.items():
        _judge_unique(first, expectation, parts, found)


def _batches(first: FirstLook, read: Read) -> Iterator[tuple[int, LandedRows, Seen]]:
    start = 0
    for rows, seen in zip(ahead(read()), first.seen(), strict=True):
        yield start, rows, seen
        start += len(rows.numbers)


def _add_suspects(
    comparison: KeyComparison, first: FirstLook, keys: Hashes, start: int, rows: LandedRows
) -> None:
    values = rows.typed.rows
    there = np.asarray(values.column(first.table.key).is_valid(), dtype=np.bool_)
    places = np.flatnonzero(there & among(first.keys.of(values), keys))
    if len(places):
        broken = rows.typed.broken_rows[places]
        comparison.add(values.take(pa.array(places)), start + places, broken)


def _suspects(
    first: FirstLook, expectation: Expectation, hashes: Hashes, start: int, rows: LandedRows, seen: Seen
) -> tuple[Positions, pa.Table]:
    values = rows.typed.rows.select(list(expectation.columns))
    places = np.flatnonzero(seen.judged & among(first.unique[expectation].of(values), hashes))
    return start + places, values.take(pa.array(places))


def _note_keys(first: FirstLook, compared: Compared, found: Found) -> None:
    found.copies = compared.copies
    reason = f"{first.table.key} is in more than one row of the file, with different values."
    found.faulty.append((compared.contradicting, KEY_HOLDS, reason))


def _judge_unique(
    first: FirstLook, expectation: Expectation, parts: list[tuple[Positions, pa.Table]], found: Found
) -> None:
    """Let the expectation judge the rows that may be equal; all others are unique."""
    judged = first.unique[expectation].rows
    tally = first.tallies[expectation]
    positions = np.concatenate([np.empty(0, np.int64), *(places for places, _ in parts)])
    own = ~np.isin(positions, found.copies)
    broken = np.empty(0, np.int64)
    if own.any():
        rows = pa.concat_tables([values for _, values in parts]).filter(pa.array(own))
        (finding,) = first.judge.evaluate([expectation], rows)
        tally.add(finding)
        broken = positions[own][finding.broken]
        judged -= finding.judged
    tally.add_unbroken(rows=first.counts.judged - int(own.sum()), judged=judged)
    if expectation.required:
        found.faulty.append((broken, expectation.type, reason_of(expectation)))


def _judge_columns(first: FirstLook, found: Found) -> None:
    """Let the expectations that have to see whole columns judge them."""
    for expectation, kept in first.kept.items():
        rows = kept.rows()
        if rows is None or not len(rows):
            continue
        (finding,) = first.judge.evaluate([expectation], rows)
        first.tallies[expectation].add(finding)
        if expectation.required and finding.broken is not None:
            judged = np.flatnonzero(np.concatenate([seen.judged for seen in first.seen()]))  # of all batches
            found.faulty.append((judged[finding.broken], expectation.type, reason_of(expectation)))
    if first.counts.judged:
        first.tell(first.of("count"), pa.table({"row": np.zeros(first.counts.judged, dtype=np.int8)}))


def _stage_again(first: FirstLook, read: Read, found: Found) -> int:
    first.staging.restart("accepted")
    repeated = 0
    for start, rows, seen in _batches(first, read):
        faults = RowFaults(len(rows.numbers))
        copies = _within(found.copies, start, faults.count) & seen.accepted
        for positions, expectation, reason in found.faulty:
            mask = _within(positions, start, faults.count) & seen.accepted & ~copies
            faults.add(mask, expectation, reason)
        broken = faults.describe(rows)
        joining = seen.accepted & ~copies & ~faults.rows
        first.staging.write("accepted", rows.typed.rows.filter(pa.array(joining)))
        first.staging.write("quarantined", quarantine.as_table(first.name, broken))
        first.counts.add_bad(broken)
        repeated += int(copies.sum())
    return repeated


def _within(positions: Positions, start: int, count: int) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Which rows of a batch are at one of the positions."""
    mask = np.zeros(count, dtype=np.bool_)
    own = positions[(positions >= start) & (positions < start + count)]
    mask[own - start] = True
    return mask
