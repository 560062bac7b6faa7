"""What is wrong with the slices that pipeline.yaml names; each fault as `field: what is wrong`."""

from collections.abc import Iterator

from tasks.spec.data import DataSpec
from tasks.spec.fairness import GAP_METRICS
from tasks.spec.gate import GateSpec
from tasks.spec.metrics import Task
from tasks.spec.slices import SliceSpec, bin_names

NUMBERS = {"int64", "float64"}


def faults_of_slices(data: DataSpec, gate: GateSpec) -> Iterator[str]:
    """Slices that cannot be, and thresholds of slices that there are not."""
    names = [each.column for each in data.slice_by]
    if double := sorted({name for name in names if names.count(name) > 1}):
        yield f"data.slice_by: {', '.join(double)} is there twice; name each column once"
    types = {name: kind for table in data.all_tables for name, kind in table.columns.items()}
    for each in data.slice_by:
        if each.has_bins and (kind := types.get(each.column, "float64")) not in NUMBERS:
            yield f"data.slice_by: {each.column} is {kind}, and only numbers can be put into bins"
    known = {each.column: each for each in data.slice_by}
    for name in gate.slice_thresholds:
        yield from (f"gate.slice_thresholds: {fault}" for fault in _faults_of_name(name, known))


def faults_of_fairness(task: Task, data: DataSpec, gate: GateSpec) -> Iterator[str]:
    """Groups that are no slices, and gaps in metrics that the task does not have."""
    columns = [each.column for each in data.slice_by]
    for asked in gate.fairness:
        if asked.column not in columns:
            yield (
                f"gate.fairness: {asked.column} is none of the columns of data.slice_by, "
                f"{', '.join(columns) or 'which has none'}"
            )
        for metric in asked.maximum_gap:
            if metric not in GAP_METRICS[task]:
                yield (
                    f"gate.fairness.maximum_gap: {metric} is not of a {task} task, whose gaps can be in "
                    f"{', '.join(GAP_METRICS[task])}"
                )


def _faults_of_name(name: str, known: dict[str, SliceSpec]) -> Iterator[str]:
    column, sign, value = name.partition("=")
    if not sign or column not in known:
        yield (
            f"{name!r} is no slice; write <column>=<value> with a column of data.slice_by, which has "
            f"{', '.join(known) or 'none'}"
        )
    elif known[column].quantiles is not None:
        yield f"{name!r}: the bins of {column} move with the training rows; give them edges to name one"
    elif (edges := known[column].edges) and value not in (*bin_names(edges), "missing"):
        yield f"{name!r} is none of the bins of {column}: {'; '.join(bin_names(edges))}"
