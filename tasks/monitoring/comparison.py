"""Compare a window of predictions with what the champion was validated on.

Broken data is looked for first, by the table's own suite: it is an incident and never a reason to retrain.
What is left is compared with the validation part of the champion's snapshot, rows like those it learnt from
that it did not learn from.
"""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd
import pyarrow as pa

from tasks.contracts import ColumnDistance, DataSnapshot, TrainingRun, ValidationReport
from tasks.data.suites import load_suites
from tasks.data.validate import check_rows
from tasks.errors import InvalidProject
from tasks.monitoring import domain_classifier
from tasks.monitoring.decide import Findings
from tasks.monitoring.domain_classifier import TIMES, Kind
from tasks.monitoring.drift_report import ReportNotDrawn, write_report
from tasks.monitoring.new_rows import count_new_rows
from tasks.spec import FEWEST_ROWS, PipelineSpec
from tasks.stores import files
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
    reference = _reference(run.snapshot, spec)
    left_out = [name for name in spec.data.features if name not in reference.columns]
    kinds = domain_classifier.kinds_of(
        {name: kind for name, kind in spec.data.feature_types.items() if name not in left_out}, reference
    )
    if not kinds:
        nothing = (
            f"The champion was trained without the features {', '.join(left_out)}, and there is none "
            "beside them to compare. Train and release a version that has them."
        )
        return Findings(len(window), checked.broken_share, unknown=(nothing,)), checked.report, (), None
    whole = _frame(window.filter(pa.array(~checked.broken_mask)))
    found = Findings(len(window), checked.broken_share, notes=(_told(left_out),) if left_out else ())
    found, columns, report_url = _tell_apart(found, whole, reference, kinds, run, spec, work_url)
    return found, checked.report, columns, report_url


def _tell_apart(
    found: Findings,
    whole: pd.DataFrame,
    reference: pd.DataFrame,
    kinds: Mapping[str, Kind],
    run: TrainingRun,
    spec: PipelineSpec,
    work_url: str,
) -> tuple[Findings, tuple[ColumnDistance, ...], str | None]:
    """What is found by the classifier, where there are enough rows on both sides."""
    rules = spec.monitor
    sides = [domain_classifier.distinct(rows, kinds) for rows in (whole, reference)]
    usable, known = (len(side) for side in sides)
    found = replace(found, usable_rows=usable, reference_rows=known)
    if usable < max(rules.minimum_window_rows, FEWEST_ROWS) or known < FEWEST_ROWS:
        return found, (), None
    own, other = (domain_classifier.sample(side, rules.maximum_rows) for side in sides)
    separation = domain_classifier.separate(own, other, kinds, rules.false_alarm_share)
    columns = domain_classifier.column_distances(own, other, kinds, separation.auc)
    report_url, not_drawn = _report(own, other, kinds, work_url)
    new = count_new_rows(run.snapshot, spec.data)
    told = replace(
        found,
        domain_auc=separation.auc,
        null_auc=separation.null_auc,
        new_rows=new.rows,
        unknown=new.unknown,
        notes=(*found.notes, *new.notes, *not_drawn),
    )
    return told, columns, report_url


def _report(
    window: pd.DataFrame, reference: pd.DataFrame, kinds: Mapping[str, Kind], work_url: str
) -> tuple[str | None, tuple[str, ...]]:
    """The URL of the report for people, or why there is none: the verdict does not wait for it."""
    try:
        return write_report(window, reference, kinds, work_url), ()
    except ReportNotDrawn as error:
        return None, (str(error),)


def _told(left_out: list[str]) -> str:
    return (
        f"Not compared: {', '.join(left_out)}. The champion was trained without, so there is nothing to "
        "compare with until a version that has them serves."
    )


def _reference(snapshot: DataSnapshot, spec: PipelineSpec) -> pd.DataFrame:
    """The features of the champion's validation part: those that pipeline.yaml has and its snapshot had."""
    if TIMES.issuperset(spec.data.feature_types.values()):
        raise InvalidProject(
            f"models/{spec.name}/pipeline.yaml: every feature is a time, and times always move on. The drift "
            "check needs one that is not."
        )
    rows = read_part(snapshot.validation)
    return _frame(rows.select([name for name in spec.data.features if name in rows.column_names]))


def _frame(rows: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = rows.to_pandas()
    return frame
