"""Audit a landed file before it joins its table: which
rows may, which go to quarantine and why, or why none may.

The file is looked through batch by batch, and what may join is staged on the way, so that no more than a
batch of it is held.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.data.ahead import ahead
from tasks.data.findings import Outcome
from tasks.data.first_look import Counts, FirstLook
from tasks.data.judge import Judge
from tasks.data.look_across import Read, look_across
from tasks.data.staging import Staging
from tasks.spec import TableSpec


@dataclass(frozen=True)
class Audit:
    """The verdict on a file, whose rows lie in the staging.

    Attributes:
        refused_because: Sentences that say why none of its rows may join; empty where they may.
        judged_rows: Rows that were held against the suite.
        outcomes: What each of the suite's expectations found.
        repeated_rows: Exact copies of another row, which joins once.
        blank_rows: Rows that hold nothing.
    """

    refused_because: tuple[str, ...]
    judged_rows: int
    outcomes: tuple[Outcome, ...]
    repeated_rows: int
    blank_rows: int


def audit(
    name: str, read: Read, table: TableSpec, judge: Judge, staging: Staging, *, lenient: bool = False
) -> Audit:
    """Judge a file: each row by itself, then the rows by each other, then the file as a whole.

    Args:
        lenient: Each row was sent by somebody else: however many are bad, they keep no other.

    Raises:
        DataRejected: It cannot be read, or its rows cannot be judged.
        InvalidProject: The suite is wrong.
        MachineFull: The machine failed.
    """
    first = FirstLook(name, table, judge, staging)
    for rows in ahead(read()):
        first.take(rows)
    repeated = look_across(first, read)
    outcomes = tuple(tally.outcome() for tally in first.tallies.values())
    duplicates = _duplicates(first, repeated)
    refused = _of_suite(judge.suite.name, outcomes, first.counts, lenient=lenient)
    if not lenient:
        refused = [*refused, *_of_shares(first.counts, duplicates, table)]
    return Audit(tuple(refused), first.counts.judged, outcomes, repeated, first.counts.blank)


def _duplicates(first: FirstLook, repeated: int) -> int:
    """How many rows repeat another one in everything but the key; an exact copy is none of them."""
    if first.contents is None:
        return 0
    rows, different = first.contents.different()
    return max(rows - different - repeated, 0)


def _unmet(outcome: Outcome) -> str:
    about = [outcome.expectation.type, ", ".join(outcome.expectation.columns)]
    return f"{' '.join(filter(None, about))}: {outcome.message}"


def _of_suite(suite: str, outcomes: Sequence[Outcome], counts: Counts, *, lenient: bool) -> list[str]:
    unmet = [
        _unmet(outcome)
        for outcome in outcomes
        if not outcome.met and outcome.expectation.required
        if not (lenient and outcome.expectation.judges_rows)
    ]
    if counts.judged and unmet:
        return [f"it breaks the suite {suite!r}: {'; '.join(unmet)}"]
    return []


def _of_shares(counts: Counts, duplicates: int, table: TableSpec) -> list[str]:
    refused = []
    if _share(counts.bad, counts) > table.maximum_bad_share:
        listed = ", ".join(
            f"{count} break {expectation}" for expectation, count in counts.faults.most_common()
        )
        refused.append(
            f"{counts.bad} of {counts.rows} rows are bad, more than the {table.maximum_bad_share:.2%} of "
            f"maximum_bad_share: {listed}. The first is {counts.example} Correct what writes the file."
        )
    if _share(duplicates, counts) > table.maximum_duplicate_share:
        refused.append(
            f"{duplicates} of {counts.rows} rows repeat another one in everything but {table.key}, more than "
            f"the {table.maximum_duplicate_share:.2%} of maximum_duplicate_share. Was the file made twice?"
        )
    return refused


def _share(rows: int, counts: Counts) -> float:
    """Rounded as the declared share was: 29 of 100 is 0.29, but 0.29 times 100 is less than 29."""
    return rows / max(counts.rows, 1)
