"""Audit a landed file with its table's suite, and write the report of it."""

from tasks.contracts import FileOutcome
from tasks.data.audit import audit
from tasks.data.file_readers import comes_from_us, read_rows
from tasks.data.judge import judging
from tasks.data.landed_file import LandedFile
from tasks.data.staging import Staging
from tasks.data.suites import load_suite, require_declared_columns
from tasks.data.validation_report import write_report
from tasks.errors import DataRejected
from tasks.spec import TableSpec
from tasks.stores.lake import Lake


def judge_file(
    landed: LandedFile, table: TableSpec, lake: Lake, staging: Staging, work_url: str
) -> FileOutcome:
    """What becomes of a file, its rows in the staging.

    Raises:
        DataRejected: None of its rows may join the table; where the suite was asked, the report is written.
        InvalidProject: The suite is wrong, or lists other columns than the table has.
        MachineFull: The machine failed.
    """
    suite = load_suite(table.suite)
    require_declared_columns(suite, table)
    grown = {name: kind for name, kind in lake.columns(table.table).items() if name not in table.columns}
    with judging(suite) as judge:
        found = audit(
            landed.name,
            lambda: read_rows(landed, table, grown),
            table,
            judge,
            staging,
            lenient=comes_from_us(landed),
        )
    report_url = write_report(suite, found.outcomes, found.judged_rows, (), work_url).url
    if found.refused_because:
        raise DataRejected(f"{landed.name}: {' '.join(found.refused_because)}", report_url=report_url)
    return FileOutcome(
        file=landed.name,
        status="published" if staging.counts["accepted"] else "empty",
        batch_id=landed.batch_id,
        published_rows=staging.counts["accepted"],
        quarantined_rows=staging.counts["quarantined"],
        repeated_rows=found.repeated_rows,
        blank_rows=found.blank_rows,
        report_url=report_url,
    )
