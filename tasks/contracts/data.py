"""What is asked and said of data: landed files, snapshots, validation, what came back from the service."""

from typing import Any, Literal

from pydantic import AwareDatetime

from tasks.contracts.context import Request
from tasks.contracts.contract import Contract
from tasks.contracts.labels import LabelCheck
from tasks.contracts.pinned import PinnedTable
from tasks.spec import PipelineSpec, TableSpec


class IngestRequest(Request):
    """`files`: names in the table's landing folder; None for everything that lies there."""

    table: TableSpec
    files: tuple[str, ...] | None = None


class FileOutcome(Contract):
    """What became of one landed file.

    Attributes:
        status: `published` (rows joined the table), `already_published` (an earlier try had appended it),
            `empty` (every row was quarantined), or `refused` (a whole-file fault: nothing joined).
        repeated_rows: Exact copies of another row of the file, which joined once.
        blank_rows: Rows that held nothing.
        reason: Why it was refused; a sentence.
        report_url: The validation report, HTML; None when the file could not be read.
        table_version: The table's version once its rows had joined; None where none did.
    """

    file: str
    status: Literal["published", "already_published", "empty", "refused"]
    batch_id: str | None
    published_rows: int = 0
    quarantined_rows: int = 0
    repeated_rows: int = 0
    blank_rows: int = 0
    reason: str | None = None
    report_url: str | None = None
    table_version: int | None = None


class IngestResult(Contract):
    table: str
    table_version: int | None
    files: tuple[FileOutcome, ...]
    published_rows: int
    quarantined_rows: int


class CountRequest(Request):
    """What a training would see.

    Attributes:
        minimum_new_rows: The fewest rows that no training has seen; 0 where that does not matter.
        by_itself: Whether nobody asked for the training: then there is none while a label incident is open.
        maximum_age_days: The training is wanted only if the champion's is older; None where its age does not
            matter.
        on_code_change: The training is wanted only if what it would read of the model's folder is not what
            the champion's read. With both, either is enough.
    """

    spec: PipelineSpec
    as_of: AwareDatetime | None = None
    minimum_new_rows: int = 0
    by_itself: bool = False
    maximum_age_days: float | None = None
    on_code_change: bool = False


class RowCount(Contract):
    """What a training would see.

    Attributes:
        rows: Rows of the model's query.
        new_rows: Of them, those that joined the table after `seen_version`.
        seen_version: The newest version that another training pinned; None before the first.
        look_found: What a look of each day found: the champion is too old, or its code is not the model's
            any more. None where something else started the run.
    """

    table: str
    table_version: int
    rows: int
    new_rows: int
    seen_version: int | None
    look_found: Literal["age", "code"] | None = None


class SnapshotRequest(Request):
    """`label_check`: what was said of new batches; its versions of the tables count, not `as_of`."""

    spec: PipelineSpec
    as_of: AwareDatetime | None = None
    label_check: LabelCheck | None = None


class SnapshotPart(Contract):
    """One Parquet file of a snapshot; `sha256` is over its rows' content in key order, not over the file."""

    url: str
    rows: int
    sha256: str


class NearDuplicates(Contract):
    """Rows of a snapshot's query that say the same under different keys.

    Attributes:
        groups, rows: Groups of two and more such rows, and the rows in them.
        groups_across_parts: Of the groups, those whose rows the split puts into several parts.
        leaking_rows: The rows in those whose place the split's rule makes a leak: training rows beside a
            validation or test row, and validation rows beside a test row.
        left_out: Whether these were left out of the snapshot.
    """

    groups: int
    rows: int
    groups_across_parts: int
    leaking_rows: int
    left_out: bool


class DataSnapshot(Contract):
    """The rows that one training saw: a query on pinned versions of its tables, in three parts.

    Attributes:
        as_of: The time that was asked for; None for the newest version.
        version_at: When the pinned version was committed, by the commit's own timestamp.
        tables: The further tables that the query joins.
        sha256: Over the three parts' hashes and the query.
        near_duplicates: What was found of them; None in the records of an earlier Perennial.
        left_out_batches: Batches of `table` that the query did not see: their labels are quarantined.
        aged: Of the test part, the rows that were there in the same words when `gate.anchor_age_days` had
            still to pass; None where there was none, and in the records of an earlier Perennial.
    """

    table: str
    table_version: int
    as_of: AwareDatetime | None
    version_at: AwareDatetime
    tables: tuple[PinnedTable, ...] = ()
    query: str
    rows: int
    sha256: str
    train: SnapshotPart
    validation: SnapshotPart
    test: SnapshotPart
    near_duplicates: NearDuplicates | None = None
    left_out_batches: tuple[str, ...] = ()
    aged: SnapshotPart | None = None

    @property
    def pinned(self) -> tuple[PinnedTable, ...]:
        """Every table that the query saw, the model's own first."""
        own = PinnedTable(table=self.table, version=self.table_version, version_at=self.version_at)
        return (own, *self.tables)


class ValidateRequest(Request):
    spec: PipelineSpec
    snapshot: DataSnapshot


class FailedExpectation(Contract):
    """An expectation that was not met: GX's type and
    arguments, counts in rows, and at most 20 sample values.
    """

    expectation: str
    column: str | None
    arguments: dict[str, Any]
    unexpected_rows: int | None
    unexpected_share: float | None
    samples: tuple[str, ...] = ()
    message: str


class ValidationReport(Contract):
    """What a suite said of some rows.

    `url` is the full report as self-contained HTML, `json_url` the same as JSON.
    """

    suite: str
    suite_sha256: str
    success: bool
    rows: int
    evaluated: int
    failed: tuple[FailedExpectation, ...]
    url: str
    json_url: str


class CollectRequest(Request):
    spec: PipelineSpec


class TakenBack(Contract):
    """Rows of a batch of the training table that no training sees any more: their labels were taken back."""

    batch_id: str
    rows: int


class CollectResult(Contract):
    """What came from the gateway's log to the lake.

    Attributes:
        landed_file: Holds the newly labelled rows for the training table.
        quarantined_labels: Labels that are not of their column's type; they lie in the table's quarantine.
        taken_back: All rows of the training table that are hidden, because their labels were taken back.
    """

    model: str
    prediction_rows: int
    feedback_rows: int
    labelled_rows: int
    landed_file: str | None
    quarantined_labels: int = 0
    taken_back: tuple[TakenBack, ...] = ()
