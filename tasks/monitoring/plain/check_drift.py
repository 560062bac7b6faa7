"""Judge drift between plain files: the same questions as of a model's traffic, in the same order.

Is the file sound? Have its inputs changed, column by column and jointly? Has the target changed, and are the
answers worse?
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.contracts import FileVerdict, Performance, Signal
from tasks.data.plain_rows import PlainRows, read_plain
from tasks.errors import DataRejected, InvalidRequest
from tasks.monitoring.domain_classifier import Kind
from tasks.monitoring.plain.columns import ONWARD, UNITS, Change, Sides, certain, changes_of
from tasks.monitoring.plain.joint import Joint, tell_apart
from tasks.monitoring.plain.pictures import pictures_of
from tasks.monitoring.plain.roles import Role, Roles, roles_of
from tasks.monitoring.plain.sides import Pair, common_kinds, pair
from tasks.monitoring.plain.target import (
    by_predictions,
    by_simple_model,
    judge_answers,
    label_signal,
    labels_of,
)
from tasks.monitoring.plain.verdict import rejected, verdict_of
from tasks.spec import FEWEST_ROWS, ColumnType

LEVEL = 0.01
"""The probability that any column of an unchanged file is called changed."""
UNREADABLE_SHARE = 0.05
LENGTH = "{} (length)"


def check_drift(
    references: Sequence[Path], current: Path, labels: str | None = None, predictions: str | None = None
) -> FileVerdict:
    """Judge whether the rows of a file are still like those of the reference.

    Args:
        references: One file, or several whose differences among each other are the measure.
        labels, predictions: The columns that hold them.

    Raises:
        InvalidRequest: A reference cannot be read, which says nothing of the file, or a file lacks the column
            of labels or of predictions, or has too many columns.
    """
    names = tuple(path.name for path in references)
    try:
        now = read_plain(current)
    except DataRejected as error:
        return rejected("drift", current.name, str(error), references=names)
    try:
        before = [read_plain(path) for path in references]
    except DataRejected as error:
        raise InvalidRequest(f"The reference cannot be read: {error}") from error
    for column in filter(None, (labels, predictions)):
        _require(column, [*before, now])
    if not any(common_kinds(before, now)):
        nothing = "The files have no column in common."
        return verdict_of([], check="drift", file=current.name, references=names, cannot_tell=nothing)
    sides = pair(before, now)
    made: dict[str, Any] = {"check": "drift", "file": current.name, "references": names, "rows": sides.rows}
    broken = _broken(now, sides)
    if broken:
        return verdict_of(broken, **made, reference_rows=sides.reference_rows)
    if min(len(sides.reference), len(sides.current)) < FEWEST_ROWS:
        why = (
            f"{sides.rows} rows against {sides.reference_rows} of the reference are too few to "
            f"compare: at least {FEWEST_ROWS} are needed on both sides."
        )
        return verdict_of([], **made, reference_rows=sides.reference_rows, cannot_tell=why)
    return _judge(sides, labels, predictions, made)


def _judge(sides: Pair, labels: str | None, predictions: str | None, made: Mapping[str, Any]) -> FileVerdict:
    inputs = {name: kind for name, kind in sides.kinds.items() if name not in {labels, predictions}}
    roles = roles_of(sides.reference, sides.current, inputs)
    found, compared = _inputs(sides, roles)
    performance: tuple[Performance, ...] = ()
    if labels:
        of_target, performance = _target(sides, roles, labels, predictions)
        found += of_target
    elif predictions:
        found += _columns(sides, {predictions: _plain_role(sides, predictions)}, question="target")
    found += _notes(sides, roles)
    nothing = not compared and not labels and not predictions
    unlabelled = next((signal.why for signal in found if signal.reason == "too_few"), None)
    return verdict_of(
        found,
        **made,
        reference_rows=sides.reference_rows,
        left_out=roles.left_out,
        performance=performance,
        pictures=pictures_of(sides, roles, found),
        cannot_tell="No column of the two can be compared." if nothing else unlabelled,
    )


def _require(column: str, files: Sequence[PlainRows]) -> None:
    for file in files:
        if column not in file.kinds:
            raise InvalidRequest(
                f"{file.name} has no column {column!r}; it has {', '.join(list(file.kinds)[:30])}."
            )


def _broken(now: PlainRows, sides: Pair) -> list[Signal]:
    """What makes a file one that nobody should compare."""
    found = [
        Signal(
            question="validity",
            reason="type",
            subject=name,
            level="incident",
            why=f"{name} {told}. Correct what writes the file.",
        )
        for name, told in sides.other_types.items()
    ]
    unreadable = len(now.unreadable) / max(len(now.rows) + len(now.unreadable), 1)
    if unreadable > UNREADABLE_SHARE:
        why = (
            f"{unreadable:.1%} of the rows cannot be read. The first: row {now.unreadable[0].number}: "
            f"{now.unreadable[0].reason}"
        )
        found.append(
            Signal(
                question="validity",
                reason="unreadable",
                subject=now.name,
                level="incident",
                value=unreadable,
                threshold=UNREADABLE_SHARE,
                unit="share of the rows",
                why=why,
            )
        )
    return found


def _inputs(sides: Pair, roles: Roles) -> tuple[list[Signal], int]:
    """What has changed in the inputs, and how many columns were compared."""
    texts = [name for name, role in roles.compared.items() if role == "text"]
    for name in texts:
        for rows in (sides.reference, sides.current):
            rows[LENGTH.format(name)] = np.log1p(rows[name].str.len().astype(float))
    plain: dict[str, Role] = {name: role for name, role in roles.compared.items() if role != "text"}
    plain |= {LENGTH.format(name): "number" for name in texts}
    found = _columns(sides, plain)
    return [*found, *_jointly(sides, roles)], len(plain)


def _columns(sides: Pair, roles: Mapping[str, Role], question: str = "input") -> list[Signal]:
    changes = [change for name, role in roles.items() for change in changes_of(name, role, sides.of(name))]
    sure = certain(changes, LEVEL)
    found = [_signal(change, question) for change, surely in zip(changes, sure, strict=True) if surely]
    untold = dict.fromkeys(change.column for change in changes if change.p_value is None)
    return [*found, *(_too_few(name, sides.of(name), question) for name in untold)]


def _too_few(column: str, sides: Sides, question: str) -> Signal:
    held = int(sides.reference.notna().sum())
    return Signal(
        question="target" if question == "target" else "input",
        reason="left_out",
        subject=column,
        level="note",
        why=f"{column} was not compared: the reference has {held} values of it, too few to tell.",
    )


def _signal(change: Change, question: str) -> Signal:
    matters = change.effect > change.floor
    unit = UNITS[change.reason]
    size = f"{change.effect:.2f} {unit}, and {change.floor:.2f} matter"
    said = (
        f"{change.column} has changed ({size})"
        if matters
        else f"{change.column} has surely changed, but too little to matter ({size})"
    )
    return Signal(
        question="target" if question == "target" else "input",
        reason=change.reason,
        subject=change.column,
        level="alarm" if matters else "note",
        value=change.effect,
        threshold=change.floor,
        unit=unit,
        why=f"{said}: {change.told}.",
    )


def _jointly(sides: Pair, roles: Roles) -> list[Signal]:
    """The domain classifier: once on all numbers and categories together, once on each text."""
    as_kind: dict[Role, Kind] = {"number": "number", "category": "category"}
    table = {name: as_kind[role] for name, role in roles.compared.items() if role in as_kind}
    asked: list[dict[str, Kind]] = [table] if len(table) > 1 else []
    asked += [{name: "text"} for name, role in roles.compared.items() if role == "text"]
    parts = _parts(sides)
    onward = ONWARD if sides.in_time and len(np.unique(sides.files)) == 1 else 1.0
    joints = [tell_apart(sides.reference, sides.current, kinds, parts, onward) for kinds in asked]
    return [_joint_signal(joint) for joint in joints if not np.isnan(joint.separation.auc)]


def _parts(sides: Pair) -> NDArray[np.int64]:
    """The files of the reference, or the halves of its only one."""
    if len(np.unique(sides.files)) > 1:
        return sides.files
    return sides.blocks * 2 // (int(sides.blocks.max()) + 1)


def _joint_signal(joint: Joint) -> Signal:
    what = joint.columns[0] if len(joint.columns) == 1 else f"{len(joint.columns)} columns together"
    auc, threshold = joint.separation.auc, joint.threshold
    said = "tells" if joint.is_apart else "does not tell"
    beside = (
        f"; parts of the reference are told apart with {joint.own_auc:.2f}" if joint.own_auc > 0.5 else ""
    )
    return Signal(
        question="input",
        reason="joint",
        subject=what,
        level="alarm" if joint.is_apart else "note",
        value=auc,
        threshold=threshold,
        unit="ROC AUC",
        why=(
            f"A classifier {said} the rows of the file from those of the reference by {what} (ROC AUC "
            f"{auc:.2f}, and more than {threshold:.2f} matters{beside})."
        ),
    )


def _target(
    sides: Pair, roles: Roles, column: str, predictions: str | None
) -> tuple[list[Signal], tuple[Performance, ...]]:
    both = sides.of(column)
    labels = labels_of(column, both)
    if min(len(labels.reference), len(labels.current)) < FEWEST_ROWS:
        why = (
            f"The label {column} is there in {len(labels.current)} rows of the file and "
            f"{len(labels.reference)} of the reference: too few to say anything of it."
        )
        return [Signal(question="target", reason="too_few", subject=column, level="note", why=why)], ()
    found = [label_signal(labels, both)]
    if predictions:
        answered = by_predictions(labels, sides.of(predictions))
        source = f"the column {predictions}"
        found += _columns(sides, {predictions: _plain_role(sides, predictions)}, question="target")
    else:
        kinds: dict[str, ColumnType] = {name: sides.kinds[name] for name in roles.compared}
        simple = by_simple_model(labels, sides.reference, sides.current, kinds)
        if simple is None:
            return found, ()
        answered, source = simple, "a simple model of the reference"
    signals, performance = judge_answers(source, *answered, labels.target)
    return [*found, *signals], performance


def _plain_role(sides: Pair, column: str) -> Role:
    values = sides.reference[column].dropna()
    is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    return "number" if is_number and values.nunique() > 20 else "category"


def _notes(sides: Pair, roles: Roles) -> list[Signal]:
    """What a person should know and nothing follows from."""
    told = [(name, f"{name} was not compared: it {why}.") for name, why in roles.left_out.items()]
    told += [(name, f"{name} was not compared: the file lacks it.") for name in sides.only_reference]
    told += [(name, f"{name} was not compared: the reference lacks it.") for name in sides.only_current]
    return [
        Signal(question="input", reason="left_out", subject=name, level="note", why=why) for name, why in told
    ]
