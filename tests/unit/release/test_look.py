"""What a stage is judged by, of what the gateway has seen: counts of each version, and of each slice."""

from datetime import UTC, datetime
from typing import Any

import pytest

from benchmarks.simulated_releases import spec_of
from tasks.contracts import Losses, Outcomes, VersionLosses, VersionOutcomes
from tasks.release.look import counted, loss_rule
from tasks.spec import PipelineSpec, SliceSpec

AT = datetime(2026, 11, 1, tzinfo=UTC)


def sliced(*by: str | dict[str, Any]) -> PipelineSpec:
    """A model on two features, sliced by these columns."""
    spec = spec_of()
    columns = tuple(SliceSpec.model_validate({"column": one} if isinstance(one, str) else one) for one in by)
    data = spec.data.model_copy(update={"slice_by": columns, "features": ("source", "distance")})
    return spec.model_copy(update={"data": data})


def losses(
    labelled: float, loss: float, role: Any = "candidate", of: int | None = None, value: object = None
) -> VersionLosses:
    names = {"model_version": "2", "run_id": "run-2", "role": role, "slice": of, "value": value}
    return VersionLosses.model_validate({**names, "labelled": labelled, "loss": loss})


def seen(*rows: VersionLosses) -> Outcomes:
    return Outcomes(model="m", since=AT, until=AT, versions=(), shadows=(), losses=rows)


def test_losses_are_counted_slice_by_slice() -> None:
    rows = [
        losses(30_000, 2_000.5),
        losses(10_000, 500.0, of=0, value="web"),
        losses(19_999, 1_500.0, of=0, value="phone"),
        losses(1, 0.5, of=0),
        losses(20_000, 900.0, of=1, value=0),
        losses(10_000, 1_100.0, of=1, value=2),
    ]
    other = [losses(5, 5, role="stable"), losses(5, 5, role="stable", of=0, value="web")]
    spec = sliced("source", {"column": "distance", "edges": [500, 1000]})

    found = counted(seen(*rows, *other), "run-2", spec, as_candidate=True)

    assert (found.labelled, found.loss) == (30_000, 2_000.5)
    assert found.slices == {
        "source=web": Losses(labelled=10_000, loss=500.0),
        "source=phone": Losses(labelled=19_999, loss=1_500.0),
        "source=missing": Losses(labelled=1, loss=0.5),
        "distance=(-inf, 500)": Losses(labelled=20_000, loss=900.0),
        "distance=[1000, inf)": Losses(labelled=10_000, loss=1_100.0),
    }


def test_no_slice_is_made_of_what_a_request_does_not_say() -> None:
    spec = sliced("arrival", {"column": "distance", "quantiles": 4}, "source")

    rule = loss_rule(spec)

    assert rule is not None
    assert [each.column for each in rule.slices] == ["source"]


def test_numbers_without_a_largest_error_have_no_losses() -> None:
    spec = sliced().model_copy(update={"task": "regression"})

    assert loss_rule(spec) is None


def answered(role: Any, answered: int, failed: int = 0) -> VersionOutcomes:
    names = {"model_version": "2", "run_id": "run-2", "role": role}
    counts = {"answered": answered, "failed": failed, "latency_buckets": {"0.5": answered}}
    return VersionOutcomes.model_validate({**names, **counts, "predictions": {'"a"': answered}})


@pytest.mark.parametrize(("as_candidate", "requests"), [(False, 11), (True, 5)])
def test_batches_and_what_testers_ask_a_version_for_count_for_neither_side(
    as_candidate: bool, requests: int
) -> None:
    rows = (losses(1, 1, role=None), losses(1, 1, role="stable"), losses(1, 1))
    versions = (answered("stable", 10, 1), answered("candidate", 5), answered(None, 200_000, 900))

    found = counted(
        seen(*rows).model_copy(update={"versions": versions}), "run-2", sliced(), as_candidate=as_candidate
    )

    failed = 0 if as_candidate else 1
    assert (found.requests, found.failed, found.labelled) == (requests, failed, 1)
    assert found.predictions == {'"a"': requests - failed}
