"""What is said of data: landed files, snapshots, validation."""

from typing import Any, Literal

from pydantic import AwareDatetime

from tasks.contracts.contract import Contract


class FileOutcome(Contract):
    """What became of one landed file.

    Attributes:
        status: `published` (rows joined the table), `already_published` (an earlier try had appended it),
            `empty` (every row was quarantined), or `refused` (a whole-file fault: nothing joined).
        reason: Why it was refused; a sentence.
        report_url: The validation report, HTML; None when the file could not be read.
    """

    file: str
    status: Literal["published", "already_published", "empty", "refused"]
    batch_id: str | None
    published_rows: int = 0
    quarantined_rows: int = 0
    reason: str | None = None
    report_url: str | None = None


class IngestResult(Contract):
    table: str
    table_version: int | None
    files: tuple[FileOutcome, ...]
    published_rows: int
    quarantined_rows: int


class SnapshotPart(Contract):
    """One Parquet file of a snapshot; `sha256` is over its rows' content in key order, not over the file."""

    url: str
    rows: int
    sha256: str


class DataSnapshot(Contract):
    """The rows that one training saw: a query on a pinned version of a table, in three parts.

    Attributes:
        as_of: The time that was asked for; None for the newest version.
        version_at: When the pinned version was committed, by the commit's own timestamp.
        sha256: Over the three parts' hashes and the query.
    """

    table: str
    table_version: int
    as_of: AwareDatetime | None
    version_at: AwareDatetime
    query: str
    rows: int
    sha256: str
    train: SnapshotPart
    validation: SnapshotPart
    test: SnapshotPart


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
