"""Compare a window of predictions with what the champion was validated on.

Broken data is looked for first, by the table's own suite: it is an incident and never a reason to retrain.
What is left is compared with the validation part of the champion's snapshot, rows like those it learnt from
that it did not learn from.
"""

import pandas as pd
import pyarrow as pa

from tasks.contracts import ColumnDistance, DataSnapshot, TrainingRun, ValidationReport
from tasks.data.count import count_rows
from tasks.data.suites import load_suites
from tasks.data.validate import check_rows
from tasks.errors import InvalidProject
from tasks.monitoring import domain_classifier
from tasks.monitoring.decide import FEWEST_ROWS, Findings
from tasks.monitoring.drift_report import write_report
from tasks.spec import DataSpec, PipelineSpec
from tasks.stores import files
from tasks.stores.lake import Lake
from tasks.stores.parts import read_part


def compare(
    window: pa.Table, run: TrainingRun, spec: PipelineSpec, work_url: str
) -> tuple[Findings, ValidationReport | None, tuple[ColumnDistance, ...], str | None]:
    """What is found in the window, its validation report, how far each column is, and where the report lies.

    Looks as far as each finding allows: a window that is broken or too much alike is not compared.

    Raises:
        InvalidProject: No expectation of the suite is about a feature, or no feature can be compared.
        FrozenSetMismatch: The champion's validation part is not the one that its snapshot froze.
    """
    rules = spec.monitor
    checked = check_rows(
        window, load_suites(spec.data), str(files.at(work_url, "validation")), only_columns=spec.data.features
    )
    if checked.broken_share > rules.maximum_bad_share:
        return Findings(len(window), bad_share=checked.broken_share), checked.report, (), None
    reference = _reference(run.snapshot, spec.data)
    kinds = domain_classifier.kinds_of(spec.data.feature_types, reference)
    if not kinds:
        raise InvalidProject(
            f"models/{spec.name}/pipeline.yaml: every feature is a time, and times always move on. The drift "
            "check needs one that is not."
        )
    whole = _frame(window.filter(pa.array(~checked.broken_mask)))
    sides = [domain_classifier.distinct(rows, kinds) for rows in (whole, reference)]
    usable, known = (len(side) for side in sides)
    own, other = (domain_classifier.sample(side, rules.maximum_rows) for side in sides)
    if usable < max(rules.minimum_window_rows, FEWEST_ROWS) or known < FEWEST_ROWS:
        found = Findings(len(window), checked.broken_share, usable, known)
        return found, checked.report, (), None
    separation = domain_classifier.separate(own, other, kinds, rules.false_alarm_share)
    columns = domain_classifier.column_distances(own, other, kinds, separation.auc)
    auc, null = separation.auc, separation.null_auc
    found = Findings(
        len(window), checked.broken_share, usable, known, auc, null, _new_rows(run.snapshot, spec.data)
    )
    return found, checked.report, columns, write_report(own, other, kinds, work_url)


def _reference(snapshot: DataSnapshot, data: DataSpec) -> pd.DataFrame:
    return _frame(read_part(snapshot.validation).select(list(data.features)))


def _frame(rows: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = rows.to_pandas()
    return frame


def _new_rows(snapshot: DataSnapshot, data: DataSpec) -> int:
    """Training rows that the newest versions of the model's tables give beyond the champion's."""
    lake, seen = Lake(), {table.table: table.version for table in snapshot.pinned}
    return max(0, count_rows(lake, data, {}) - count_rows(lake, data, seen))
