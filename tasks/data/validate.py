"""Validate rows by their table's suite, and keep the report.

`check_rows` judges and never raises for bad data; the verb `validate` judges a snapshot and does.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tasks.contracts import DataSnapshot, ValidateRequest, ValidationReport
from tasks.data.findings import Outcome, Tally
from tasks.data.judge import judging
from tasks.data.suites import Expectation, Suite, load_suite, load_suites, require_columns
from tasks.data.typed_values import Mask
from tasks.data.validation_report import write_report
from tasks.errors import DataRejected, InvalidProject
from tasks.stores.parts import read_part


@dataclass(frozen=True)
class CheckedRows:
    """What a suite said of some rows.

    Attributes:
        report: The contract; its pages are written.
        broken_mask: For each row whether it breaks a required expectation, tolerated by `mostly` or not.
        outcomes: Each evaluated expectation, also those that were met.
        not_applicable: Expectations about columns that the rows do not have, or about the whole table.
    """

    report: ValidationReport
    broken_mask: Mask
    outcomes: tuple[Outcome, ...]
    not_applicable: tuple[Expectation, ...]

    @property
    def broken_rows(self) -> int:
        return int(self.broken_mask.sum())

    @property
    def broken_share(self) -> float:
        """In [0, 1]; 1 where there are no rows, because nothing speaks for them."""
        return self.broken_rows / self.report.rows if self.report.rows else 1.0


def validate(request: ValidateRequest) -> ValidationReport:
    """Validate the rows of a snapshot, its three parts together, by its tables' suites.

    Expectations about columns that the query does not return, and about the whole table, do not apply and are
    listed so.

    Raises:
        DataRejected: The rows break the suite; the report is written and named.
        InvalidProject: The suite is wrong, or none of it applies.
    """
    rows = snapshot_rows(request.snapshot)
    checked = check_rows(
        rows, load_suites(request.spec.data), request.context.work_url, only_columns=rows.column_names
    )
    report = checked.report
    if not report.success:
        failures = "; ".join(
            f"{failure.expectation} {failure.column or ''}: {failure.message}" for failure in report.failed
        )
        raise DataRejected(
            f"The snapshot of {request.snapshot.table!r}, version {request.snapshot.table_version}, breaks "
            f"its suite {report.suite!r}: {failures} The full report is {report.url}.",
            report=report.model_dump(mode="json"),
        )
    return report


def snapshot_rows(snapshot: DataSnapshot) -> pa.Table:
    """The rows of the three parts together.

    Raises:
        FrozenSetMismatch: A part does not hold the rows that were frozen.
    """
    parts = (snapshot.train, snapshot.validation, snapshot.test)
    return pa.concat_tables([read_part(part) for part in parts])


def check_rows(
    rows: pa.Table,
    suite: str | Suite,
    work_url: str,
    *,
    only_columns: Collection[str] | None = None,
) -> CheckedRows:
    """Judge rows by a suite and write the report into `work_url`; bad rows never raise.

    Args:
        rows: The rows; none at all are a failure, because no rows would pass most checks.
        suite: A suite that is read already, or the name of `great_expectations/expectations/<name>.json`.
        work_url: A folder of the store for the two files.
        only_columns: The columns that the rows have, where they are not the table's: expectations about other
            columns or about the whole table do not apply. None where the rows are laid out as the table is.

    Raises:
        InvalidProject: The suite is wrong, is about a column that is not there, or none of it applies.
    """
    suite = load_suite(suite) if isinstance(suite, str) else suite
    applicable = tuple(each for each in suite.expectations if _applies(each, only_columns))
    not_applicable = tuple(each for each in suite.expectations if each not in applicable)
    if not applicable:
        raise InvalidProject(
            f"No expectation of the suite {suite.name!r} applies to the columns "
            f"{sorted(only_columns or ())}, so nothing would be checked. Add one about at least one of them."
        )
    require_columns(suite, applicable, rows.column_names)
    mask, outcomes = _judge(suite, applicable, rows)
    report = write_report(suite, outcomes, len(rows), not_applicable, work_url)
    return CheckedRows(report, mask, outcomes, not_applicable)


def _applies(expectation: Expectation, only_columns: Collection[str] | None) -> bool:
    if only_columns is None:
        return True
    return bool(expectation.columns) and set(expectation.columns) <= set(only_columns)


def _judge(
    suite: Suite, expectations: tuple[Expectation, ...], rows: pa.Table
) -> tuple[Mask, tuple[Outcome, ...]]:
    """The rows that break a required expectation, and what each expectation found."""
    mask, outcomes = np.zeros(len(rows), dtype=np.bool_), []
    if not len(rows):
        return mask, ()
    with judging(suite) as judge:
        for expectation, finding in zip(expectations, judge.evaluate(expectations, rows), strict=True):
            if expectation.required and finding.broken is not None:
                mask[finding.broken] = True
            tally = Tally(expectation)
            tally.add(finding)
            outcomes.append(tally.outcome())
    return mask, tuple(outcomes)
