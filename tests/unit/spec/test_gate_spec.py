"""Thresholds that no model could break or reach are refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from tasks.spec import GateSpec


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        ({"minimum": {"accuracy": 70}}, "minimum.accuracy: accuracy is in [0, 1], so 70 cannot be"),
        ({"first_model_minimum": {"recall.late": 70}}, "first_model_minimum.recall.late: recall.late is in"),
        ({"maximum": {"brier": 1.5}}, "maximum.brier: brier is in [0, 1]"),
    ],
)
def test_a_threshold_beyond_a_share_is_refused(gate: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        GateSpec.model_validate(gate)

    assert said in str(refusal.value)


def test_a_threshold_in_units_may_be_any_number() -> None:
    assert GateSpec.model_validate({"primary_metric": "mae", "maximum": {"mae": 70}}).maximum == {"mae": 70}
