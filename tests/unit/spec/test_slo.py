"""What a team may promise, and what is said where it cannot be counted."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from perennial_gateway.metrics import LATENCY

from tasks.errors import InvalidProject
from tasks.spec import PipelineSpec
from tasks.spec.slo import LATENCIES, SloSpec
from tests.conftest import PROJECT

SHIPPED = PROJECT / "models"


def load(tmp_path: Path, slo: Any, model: str = "review_sentiment") -> PipelineSpec:
    fields = yaml.safe_load((SHIPPED / model / "pipeline.yaml").read_text(encoding="utf-8"))
    fields["monitor"] = {**fields.get("monitor", {}), "slo": slo}
    file = tmp_path / model / "pipeline.yaml"
    file.parent.mkdir()
    file.write_text(yaml.safe_dump(fields), encoding="utf-8")
    return PipelineSpec.load(file)


def test_a_model_that_promises_nothing_has_no_objectives(tmp_path: Path) -> None:
    assert load(tmp_path, {}).monitor.slo == SloSpec()


def test_what_is_not_said_of_an_objective_is_usual(tmp_path: Path) -> None:
    slo = load(tmp_path, {"availability": {}, "latency": {"seconds": 0.1}}).monitor.slo
    assert slo.availability is not None
    assert slo.latency is not None
    assert (slo.availability.share, slo.availability.window_days) == (0.999, 30)
    assert (slo.latency.quantile, slo.latency.window_days) == (0.99, 30)
    assert slo.freshness is slo.accuracy is None


def test_latencies_are_bounds_of_the_gateways_histogram() -> None:
    assert set(LATENCIES) <= set(LATENCY)


@pytest.mark.parametrize(
    ("slo", "told"),
    [
        ({"latency": {"seconds": 0.2}}, "monitor.slo.latency.seconds: answers are counted by 0.001, "),
        ({"latency": {}}, "monitor.slo.latency.seconds: is missing"),
        ({"availability": {"share": 1}}, "monitor.slo.availability.share"),
        ({"availability": {"share": 0.99, "window_days": 3}}, "monitor.slo.availability.window_days"),
        ({"freshness": {"days": 0}}, "monitor.slo.freshness.days"),
        ({"availabilty": {}}, "there is no such field; do you mean availability?"),
        ({"accuracy": {"at_most": 3}}, "the task is binary, so give at_least alone, the share of right"),
        ({"accuracy": {}}, "monitor.slo.accuracy: the task is binary, so give at_least alone"),
    ],
)
def test_a_promise_that_nobody_can_hold_a_model_to_is_refused(
    tmp_path: Path, slo: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidProject) as refused:
        load(tmp_path, slo)
    assert told in str(refused.value)


def test_numbers_are_promised_by_their_error(tmp_path: Path) -> None:
    slo = load(tmp_path, {"accuracy": {"at_most": 12.5}}, "flight_minutes").monitor.slo
    assert slo.accuracy is not None
    assert slo.accuracy.at_most == 12.5
