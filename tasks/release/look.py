"""From what the gateway has seen to what a stage is judged by: counts for each of the two versions."""

from collections.abc import Iterable
from typing import Any, TypeVar

from tasks.contracts import (
    Counted,
    Losses,
    LossRule,
    Outcomes,
    ShadowOutcomes,
    SlicedColumn,
    Stage,
    StageLook,
    VersionLosses,
    VersionOutcomes,
)
from tasks.spec import PipelineSpec, SliceSpec, bin_names

MISSING = "missing"
Number = TypeVar("Number", int, float)


def look(outcomes: Outcomes, stage: Stage, spec: PipelineSpec) -> StageLook:
    """What is judged, of outcomes since the stage was opened.

    What answered everything has nothing beside it: the stable version is then what it was before the stage.
    """
    shadow = next((each for each in outcomes.shadows if each.run_id == stage.candidate.run_id), None)
    candidate = counted(outcomes, stage.candidate.run_id, spec, as_candidate=True)
    if stage.kind == "shadow":
        candidate = _of_copies(shadow)
    stable = counted(outcomes, stage.stable.run_id, spec, as_candidate=False)
    return StageLook(
        at=outcomes.until,
        seconds=(outcomes.until - stage.opened_at).total_seconds(),
        candidate=candidate,
        stable=stage.before if stage.share == 1 else stable,
        compared=shadow.compared if shadow else 0,
        agreed=shadow.agreed if shadow else 0,
    )


def counted(outcomes: Outcomes, run_id: str, spec: PipelineSpec, *, as_candidate: bool) -> Counted:
    """What one version did as the candidate of a split, or as what serves.

    What was given to it by no draw (a version that the caller named, a batch) is neither: it came from others
    than what the other version answered.
    """
    versions = [each for each in outcomes.versions if _is(each, run_id, as_candidate=as_candidate)]
    losses = [each for each in outcomes.losses if _is(each, run_id, as_candidate=as_candidate)]
    all_of_it = _sum(each for each in losses if each.slice is None)
    return Counted(
        requests=sum(each.answered + each.failed for each in versions),
        failed=sum(each.failed for each in versions),
        reasons=_added(each.reasons for each in versions),
        latency_buckets=_added(each.latency_buckets for each in versions),
        predictions=_added(each.predictions for each in versions),
        labelled=all_of_it.labelled,
        loss=all_of_it.loss,
        slices=_by_slice(losses, spec),
    )


def loss_rule(spec: PipelineSpec) -> LossRule | None:
    """What the gateway is asked to count of labelled answers; None of numbers without a largest error."""
    largest = spec.release.checks.labels.largest_error
    if spec.task == "regression" and largest is None:
        return None
    columns = (SlicedColumn(column=each.column, edges=each.edges) for each in sliced_by(spec))
    return LossRule(largest_error=largest, slices=tuple(columns))


def sliced_by(spec: PipelineSpec) -> list[SliceSpec]:
    """The columns of `data.slice_by` that the model is given; where quantiles end is known of the training
    rows alone, so that those bins are none of them.
    """
    columns = spec.data.slice_by
    return [each for each in columns if each.column in spec.data.features and each.quantiles is None]


def _name(by: SliceSpec, value: Any) -> str:
    """Of a slice: `column=value`, or its bin."""
    if value is None:
        return f"{by.column}={MISSING}"
    return f"{by.column}={bin_names(by.edges)[value] if by.edges else value}"


def _by_slice(losses: Iterable[VersionLosses], spec: PipelineSpec) -> dict[str, Losses]:
    columns, found = sliced_by(spec), dict[str, list[VersionLosses]]()
    for each in losses:
        if each.slice is not None:
            found.setdefault(_name(columns[each.slice], each.value), []).append(each)
    return {name: _sum(of_slice) for name, of_slice in found.items()}


def _sum(losses: Iterable[VersionLosses]) -> Losses:
    parts = [(each.labelled, each.loss) for each in losses]
    return Losses(labelled=sum(labelled for labelled, _ in parts), loss=sum(loss for _, loss in parts))


def _is(each: VersionOutcomes | VersionLosses, run_id: str, *, as_candidate: bool) -> bool:
    return each.run_id == run_id and each.role == ("candidate" if as_candidate else "stable")


def _of_copies(shadow: ShadowOutcomes | None) -> Counted:
    if shadow is None:
        return Counted()
    return Counted(
        requests=round(shadow.compared) + shadow.failed,
        failed=shadow.failed,
        reasons=shadow.reasons,
        latency_buckets=shadow.latency_buckets,
        predictions=shadow.predictions,
    )


def _added(counts: Iterable[dict[str, Number]]) -> dict[str, Number]:
    total: dict[str, Number] = {}
    for each in counts:
        for name, count in each.items():
            total[name] = total.get(name, 0) + count
    return total
