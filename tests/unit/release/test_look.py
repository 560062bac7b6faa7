"""What a stage is judged by, of what the gateway has seen: counts of each version, and of each slice."""

from datetime import UTC, datetime
from typing import Any

import pytest

from benchmarks.simulated_releases import spec_of
from tasks.contracts import Labelled, Losses, Outcomes, VersionOutcomes
from tasks.release.look import counted, slices_of
from tasks.spec import PipelineSpec, SliceSpec

AT = datetime(2026, 11, 1, tzinfo=UTC)


def sliced(*by: str | dict[str, Any]) -> PipelineSpec:
    """A model on two features, sliced by these columns."""
    spec = spec_of()
    columns = tuple(SliceSpec.model_validate({"column": one} if isinstance(one, str) else one) for one in by)
    data = spec.data.model_copy(update={"slice_by": columns, "features": ("source", "distance")})
    return spec.model_copy(update={"data": data})


def labelled(
    prediction: object, label: object, role: Any = "candidate", instances: int = 1, **features: object
) -> Labelled:
    names = {"prediction_id": "1", "model_version": "2", "run_id": "run-2", "role": role}
    said = {"prediction": prediction, "score": None, "label": label, "received_at": AT}
    return Labelled.model_validate({**names, **said, "features": features, "instances": instances})


def seen(*rows: Labelled) -> Outcomes:
    return Outcomes(model="m", since=AT, until=AT, versions=(), shadows=(), labelled=rows)


def test_losses_are_counted_slice_by_slice() -> None:
    rows = [
        labelled("a", "a", source="web"),
        labelled("a", "b", source="web"),
        labelled("a", "b", source="phone"),
    ]
    other = labelled("a", "b", role="stable", source="web")

    found = counted(seen(*rows, other), "run-2", sliced("source"), as_candidate=True)

    assert (found.labelled, found.loss) == (3, 2.0)
    assert found.slices == {
        "source=web": Losses(labelled=2, loss=1.0),
        "source=phone": Losses(labelled=1, loss=1.0),
    }


def test_labels_of_one_request_count_together_as_one() -> None:
    rows = [labelled("a", "b", instances=4, source="web") for _ in range(4)]

    found = counted(seen(*rows, labelled("a", "a")), "run-2", sliced("source"), as_candidate=True)

    assert (found.labelled, found.loss) == (2.0, 1.0)
    assert found.slices["source=web"] == Losses(labelled=1.0, loss=1.0)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (499.9, "(-inf, 500)"),
        (500, "[500, 1000)"),
        (1000, "[1000, inf)"),
        (None, "missing"),
        ("far", "missing"),
        (True, "missing"),
    ],
)
def test_numbers_fall_into_the_bins_that_the_team_declared(value: object, name: str) -> None:
    spec = sliced({"column": "distance", "edges": [500, 1000]})

    assert [*slices_of({"distance": value}, spec)] == [f"distance={name}"]


def test_no_slice_is_made_of_what_a_request_does_not_say() -> None:
    spec = sliced("arrival", {"column": "distance", "quantiles": 4}, "source")

    assert [*slices_of({"distance": 3, "source": "web"}, spec)] == ["source=web"]


def answered(role: Any, answered: int, failed: int = 0) -> VersionOutcomes:
    names = {"model_version": "2", "run_id": "run-2", "role": role}
    counts = {"answered": answered, "failed": failed, "latency_buckets": {"0.5": answered}}
    return VersionOutcomes.model_validate({**names, **counts, "predictions": {'"a"': answered}})


@pytest.mark.parametrize(("as_candidate", "requests"), [(False, 11), (True, 5)])
def test_batches_and_what_testers_ask_a_version_for_count_for_neither_side(
    as_candidate: bool, requests: int
) -> None:
    rows = (labelled("a", "b", role=None), labelled("a", "b", role="stable"), labelled("a", "b"))
    versions = (answered("stable", 10, 1), answered("candidate", 5), answered(None, 200_000, 900))

    found = counted(
        seen(*rows).model_copy(update={"versions": versions}), "run-2", sliced(), as_candidate=as_candidate
    )

    failed = 0 if as_candidate else 1
    assert (found.requests, found.failed, found.labelled) == (requests, failed, 1)
    assert found.predictions == {'"a"': requests - failed}
