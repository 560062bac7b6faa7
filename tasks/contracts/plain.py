"""What is said of a plain file, with no platform: is its data sound, has it drifted."""

from typing import Literal

from pydantic import Field

from tasks.contracts.contract import Contract
from tasks.contracts.evaluation import Metric
from tasks.contracts.monitoring import Signal


class ColumnPicture(Contract):
    """A column's distribution then and now.

    Attributes:
        labels: The bins, or the most frequent categories.
        before, now: The share of rows in each.
    """

    column: str
    labels: tuple[str, ...]
    before: tuple[float, ...]
    now: tuple[float, ...]


class Performance(Contract):
    """A metric on the reference, on rows that nothing was fitted to, and on the file.

    Attributes:
        source: Whose answers were judged: the column of predictions, or a simple model of the reference.
    """

    source: str
    before: Metric
    now: Metric


class FileVerdict(Contract):
    """The verdict on a file.

    Attributes:
        verdict: `fine`, `drift`, `rejected` (its data is broken), or `cannot_tell`.
        why: The gravest reason, in a sentence.
        reference_rows: None where there was no reference.
        signals: Everything that was noticed, the gravest first.
        left_out: The columns that were not compared, each with the reason.
        outcomes: What each expectation of the suite found, where one was asked.
    """

    check: Literal["data", "drift"]
    verdict: Literal["fine", "drift", "rejected", "cannot_tell"]
    why: str
    file: str
    references: tuple[str, ...] = ()
    suite: str | None = None
    rows: int | None = None
    reference_rows: int | None = None
    signals: tuple[Signal, ...] = ()
    left_out: dict[str, str] = Field(default_factory=dict)
    outcomes: tuple[str, ...] = ()
    performance: tuple[Performance, ...] = ()
    pictures: tuple[ColumnPicture, ...] = ()
