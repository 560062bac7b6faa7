"""What is kept of the rows of one window: counts on scales that the reference set."""

from typing import Literal

from pydantic import AwareDatetime

from tasks.contracts.contract import Contract

ProfileKind = Literal["number", "category", "time"]


class ColumnScale(Contract):
    """By what the values of a column are counted, as the reference has them.

    Attributes:
        column: The column; of a text it has a derived number's name, such as `text: words`.
        kind: How it is compared; a `time` is only looked at for its range.
        edges: Of a number: the upper edges of its bins, each value belonging to the first edge that is not
            below it; what lies above the last edge is counted beyond them.
        values: Of a category: its most frequent values, the most frequent first, as text.
        known: How many different values the reference has.
        minimum, maximum: The least and the largest value of a number; None of others.
        mean, deviation: Mean and standard deviation of a number, so that a shift can be told in its unit.
    """

    column: str
    kind: ProfileKind
    edges: tuple[float, ...] = ()
    values: tuple[str, ...] = ()
    known: int = 0
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    deviation: float | None = None


class ColumnProfile(Contract):
    """One column of one window.

    Attributes:
        nulls: Rows without a value; of a text also blank ones.
        counts: Rows in each bin of the scale's edges and beyond them, or of each of its values.
        new: Rows with a value that the reference does not have; of a number: outside of its range.
        distinct: About how many different values there are (HyperLogLog).
        total: The sum of the numbers, for the mean that people read; None of others.
        least, most: The smallest and the largest value, as text; None without values.
    """

    nulls: int
    counts: tuple[int, ...]
    new: int = 0
    distinct: int = 0
    total: float | None = None
    least: str | None = None
    most: str | None = None


class WindowProfile(Contract):
    """Everything that is kept of the rows of a window.

    Attributes:
        start, end: The window, [start, end).
        rows: How many there are.
        different_rows: About how many of them differ in at least one column (HyperLogLog).
        last_at: When the last of them came; None where nothing says when rows came.
        columns: Each column's profile, by the name of its scale.
    """

    start: AwareDatetime
    end: AwareDatetime
    rows: int
    different_rows: int
    last_at: AwareDatetime | None = None
    columns: dict[str, ColumnProfile]


class JointNull(Contract):
    """How well a classifier tells one day of the reference from its other days.

    Attributes:
        aucs: Of each day that was tried, out of fold; 0.5 means not at all.
        rows: How many rows a day had, at the median.
    """

    aucs: tuple[float, ...]
    rows: int


class Reference(Contract):
    """What windows are compared with: the champion's own snapshot, day by day, and its first serving windows.

    Attributes:
        champion_run_id: Whose.
        snapshot_sha256: Of the rows that the scales are of.
        scales: By what each column is counted.
        days: The profiles of the reference's days, in their order; none where nothing says when a row
            happened, or the days are too few.
        whole: The profile of all rows together.
        merged: Whether days were too small and stand together, so that they have no weekday.
        joint: The classifier on the reference's own days; None where there are no days.
        serving_windows: How many of `days` are windows that the champion served itself.
        time_column: By which rows were divided into days.
        texts: The columns that hold text.
        notes: What a reader has to know of it; sentences.
        provisional: Whether something could not be read when it was made: the next check makes it anew.
    """

    champion_run_id: str
    snapshot_sha256: str
    scales: tuple[ColumnScale, ...]
    days: tuple[WindowProfile, ...]
    whole: WindowProfile
    merged: bool = False
    joint: JointNull | None = None
    serving_windows: int = 0
    time_column: str | None = None
    texts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    provisional: bool = False
