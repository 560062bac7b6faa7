"""Audit a landed file before it joins its table: which
rows may, which go to quarantine and why, or why none may.
"""

import json
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.contracts import ValidationReport
from tasks.data import quarantine
from tasks.data.file_readers import LandedRows, read_rows
from tasks.data.quarantine import BrokenRow
from tasks.data.typed_values import TYPES_HOLD
from tasks.data.validate import CheckedRows, check_rows
from tasks.errors import DataRejected
from tasks.spec import TableSpec

KEY_HOLDS = "key_is_there_once"
MAXIMUM_BROKEN_SHARE = 0.5
"""Of rows that cannot be read, have values of a wrong
type, or no key of their own; a file with more is refused.
"""


Faults = dict[int, list[tuple[str, str]]]
"""For positions of rows: each expectation that is broken, and why."""


@dataclass(frozen=True)
class Audit:
    """The verdict on a file: its rows that may join the
    table, and the others as rows of the quarantine table.
    """

    accepted: pa.Table
    quarantined: pa.Table
    report: ValidationReport


def audit(name: str, content: bytes, table: TableSpec, work_url: str) -> Audit:
    """Judge an unpacked file: as a whole, then row by row, the last by the table's suite.

    Raises:
        DataRejected: No row of it may join the table.
        InvalidProject: The suite is wrong.
    """
    landed = read_rows(name, content, table)
    broken = _broken_before_the_suite(landed, table)
    _refuse_if_most_are_broken(name, landed, broken)
    judged = np.setdiff1d(np.arange(len(landed.numbers)), list(broken))
    rows = landed.typed.rows.take(pa.array(judged))
    checked = check_rows(rows, table.suite, work_url)
    _refuse_by_suite(name, checked.report)
    for position, faults in _broken_by_the_suite(checked).items():
        broken[int(judged[position])] = faults
    quarantined = sorted([*landed.unreadable, *_described(landed, broken)], key=lambda row: row.number)
    accepted = rows.filter(pa.array(~checked.broken_mask))
    return Audit(accepted, quarantine.as_table(name, quarantined), checked.report)


def _broken_before_the_suite(landed: LandedRows, table: TableSpec) -> Faults:
    """The positions of rows with a value of a wrong type or
    without a key of their own, each with what it breaks and why.
    """
    typed = landed.typed
    broken = {
        int(position): [(TYPES_HOLD, typed.reason(int(position), table.columns))]
        for position in np.flatnonzero(typed.broken_rows)
    }
    keys = typed.rows.column(table.key)
    counts = pc.value_counts(keys.drop_null())
    double = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    for position in np.flatnonzero(np.asarray(pc.or_(pc.is_null(keys), pc.is_in(keys, double)))):
        key = keys[int(position)].as_py()
        fault = (
            f"{table.key} is missing."
            if key is None
            else f"{table.key} {key!r} is in more than one row of the file."
        )
        broken.setdefault(int(position), []).append((KEY_HOLDS, fault))
    return broken


def _refuse_if_most_are_broken(name: str, landed: LandedRows, broken: Faults) -> None:
    count, total = len(broken) + len(landed.unreadable), len(landed.numbers) + len(landed.unreadable)
    if count > MAXIMUM_BROKEN_SHARE * total:
        some = {position: broken[position] for position in list(broken)[:1]}
        first = [*landed.unreadable, *_described(landed, some)][0]
        raise DataRejected(
            f"{name}: {count} of {total} rows cannot be read, have values of a wrong type, or no key of "
            f"their own. One is row {first.number}: {first.reason} More than {MAXIMUM_BROKEN_SHARE:.0%} is "
            "no accident: correct what writes the file."
        )


def _refuse_by_suite(name: str, report: ValidationReport) -> None:
    if not report.success:
        failures = "; ".join(
            f"{failed.expectation} {failed.column or ''}: {failed.message}" for failed in report.failed
        )
        raise DataRejected(f"{name} breaks the suite {report.suite!r}: {failures}", report_url=report.url)


def _broken_by_the_suite(checked: CheckedRows) -> Faults:
    broken: Faults = {}
    for outcome in checked.outcomes:
        if outcome.broken is not None and outcome.expectation.required:
            arguments = json.dumps({k: v for k, v in outcome.expectation.arguments.items() if k != "mostly"})
            for position in outcome.broken:
                broken.setdefault(int(position), []).append(
                    (outcome.expectation.type, f"The row breaks {outcome.expectation.type} {arguments}.")
                )
    return broken


def _described(landed: LandedRows, broken: Faults) -> list[BrokenRow]:
    rows = landed.landed(list(broken))
    return [
        BrokenRow(
            int(landed.numbers[position]),
            row,
            ", ".join(dict.fromkeys(expectation for expectation, _ in faults)),
            " ".join(reason for _, reason in faults),
        )
        for (position, faults), row in zip(broken.items(), rows, strict=True)
    ]
