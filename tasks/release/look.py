"""From what the gateway has seen to what a stage is judged by: counts for each of the two versions."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from tasks.contracts import (
    Counted,
    Labelled,
    Losses,
    Outcomes,
    ShadowOutcomes,
    Stage,
    StageLook,
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
    labelled = [each for each in outcomes.labelled if _is(each, run_id, as_candidate=as_candidate)]
    known = [(each, loss) for each in labelled if (loss := _loss(each, spec)) is not None]
    return Counted(
        requests=sum(each.answered + each.failed for each in versions),
        failed=sum(each.failed for each in versions),
        latency_buckets=_added(each.latency_buckets for each in versions),
        predictions=_added(each.predictions for each in versions),
        labelled=sum(1 / each.instances for each, _ in known),
        loss=sum(loss / each.instances for each, loss in known),
        slices=_by_slice(known, spec),
    )


def slices_of(features: dict[str, object], spec: PipelineSpec) -> Iterator[str]:
    """The slices that a request falls into, each as `column=value`.

    Of the columns of `data.slice_by` that the model is given; where quantiles end is known of the training
    rows alone, so that those bins are none of them.
    """
    for each in spec.data.slice_by:
        if each.column in spec.data.features and each.quantiles is None:
            yield f"{each.column}={_name(each, features.get(each.column))}"


def _name(by: SliceSpec, value: object) -> str:
    if value is None or (by.edges and not _is_number(value)):
        return MISSING
    if not by.edges:
        return str(value)
    return bin_names(by.edges)[bisect_right(by.edges, float(value))]  # type: ignore[arg-type]


def _by_slice(known: Iterable[tuple[Labelled, float]], spec: PipelineSpec) -> dict[str, Losses]:
    found: dict[str, Losses] = {}
    for each, loss in known:
        for name in slices_of(each.features, spec):
            before = found.get(name, Losses())
            found[name] = Losses(
                labelled=before.labelled + 1 / each.instances, loss=before.loss + loss / each.instances
            )
    return found


def _is(each: VersionOutcomes | Labelled, run_id: str, *, as_candidate: bool) -> bool:
    return each.run_id == run_id and each.role == ("candidate" if as_candidate else "stable")


def _of_copies(shadow: ShadowOutcomes | None) -> Counted:
    if shadow is None:
        return Counted()
    return Counted(
        requests=round(shadow.compared) + shadow.failed,
        failed=shadow.failed,
        latency_buckets=shadow.latency_buckets,
        predictions=shadow.predictions,
    )


def _added(counts: Iterable[dict[str, Number]]) -> dict[str, Number]:
    total: dict[str, Number] = {}
    for each in counts:
        for name, count in each.items():
            total[name] = total.get(name, 0) + count
    return total


def _loss(each: Labelled, spec: PipelineSpec) -> float | None:
    """In [0, 1]; None of what has none."""
    if spec.task != "regression":
        return 0.0 if each.prediction == each.label else 1.0
    largest = spec.release.checks.labels.largest_error
    if largest is None or not (_is_number(each.prediction) and _is_number(each.label)):
        return None
    return min(abs(float(each.prediction) - float(each.label)) / largest, 1.0)  # type: ignore[arg-type]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
