"""Slices in pipeline.yaml: what they may be, and what is said of those that cannot be."""

from typing import Any

import pytest
from pydantic import ValidationError

from tasks.spec import PipelineSpec
from tests.unit.judged import SPEC


def spec_of(slice_by: Any, **gate: Any) -> PipelineSpec:
    document = SPEC.model_dump(mode="json")
    document["data"] |= {"slice_by": slice_by}
    document["data"]["columns"]["stars"] = "int64"
    document["gate"] |= gate
    return PipelineSpec.model_validate(document)


@pytest.mark.parametrize(
    ("slice_by", "columns"),
    [
        (None, []),
        ("source", ["source"]),
        (["source", {"column": "stars", "edges": [3]}], ["source", "stars"]),
    ],
)
def test_a_column_a_list_and_bins_are_slices(slice_by: Any, columns: list[str]) -> None:
    spec = spec_of(slice_by)
    assert [each.column for each in spec.data.slice_by] == columns
    assert PipelineSpec.model_validate_json(spec.model_dump_json()) == spec


BINS = [{"column": "stars", "edges": [2, 4]}]


@pytest.mark.parametrize(
    ("slice_by", "gate", "said"),
    [
        (["source", "source"], {}, "data.slice_by: source is there twice"),
        ([{"column": "text", "quantiles": 4}], {}, "text is string, and only numbers can be put into bins"),
        ([{"column": "stars", "edges": [4, 2]}], {}, "each of the edges [4.0, 2.0] has to be above the last"),
        ([{"column": "stars", "edges": [4], "quantiles": 2}], {}, "by edges or by quantiles, not by both"),
        ("source", {"slice_thresholds": {"stars=1": 0.5}}, "'stars=1' is no slice; write <column>=<value>"),
        (BINS, {"slice_thresholds": {"stars=3": 0.5}}, "none of the bins of stars: (-inf, 2); [2, 4); [4,"),
        (
            [{"column": "stars", "quantiles": 2}],
            {"slice_thresholds": {"stars=[2, 4)": 0.5}},
            "the bins of stars move with the training rows; give them edges",
        ),
        (
            "source",
            {"fairness": [{"column": "stars", "maximum_gap": {"accuracy": 0.1}}]},
            "gate.fairness: stars is none of the columns of data.slice_by, source",
        ),
        (
            "source",
            {"fairness": [{"column": "source", "maximum_gap": {"mae": 0.1}}]},
            "mae is not of a binary task, whose gaps can be in selection_rate",
        ),
        ("source", {"slice_threshold": 80}, "slice_threshold: accuracy is in [0, 1], so 80 cannot be its"),
    ],
)
def test_slices_that_cannot_be_are_named(slice_by: Any, gate: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        spec_of(slice_by, **gate)
    assert said in str(refusal.value)


def test_a_bin_can_be_named() -> None:
    assert spec_of(BINS, slice_thresholds={"stars=[2, 4)": 0.5}).gate.slice_thresholds
