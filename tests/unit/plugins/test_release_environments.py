"""How far a release goes is what its form says: what lies beyond is skipped, and nothing is promoted."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException
from airflow.utils.types import DagRunType

from plugins.operators import BY_TASK
from plugins.rollouts import _asked_of, ends_before, release_form
from tasks.spec import PipelineSpec
from tests.conftest import PROJECT


@pytest.fixture
def spec() -> PipelineSpec:
    shipped = PipelineSpec.load(PROJECT / "models" / "review_sentiment" / "pipeline.yaml")
    rules = type(shipped.release).model_validate({"environments": ["dev", "staging"]})
    return shipped.model_copy(update={"release": rules})


def run(environment: str, run_type: str = "manual") -> Any:
    params = {"version": "7", "reason": None, "environment": environment}
    return {"params": params, "dag_run": SimpleNamespace(run_type=run_type)}


@pytest.mark.parametrize(
    ("until", "entered"),
    [("dev", ["dev"]), ("staging", ["dev", "staging"]), ("production", ["dev", "staging", "production"])],
)
def test_a_release_ends_where_it_was_asked_to(spec: PipelineSpec, until: str, entered: list[str]) -> None:
    def goes_on(environment: str) -> bool:
        try:
            asked = _asked_of(spec, environment)(run(until))
        except AirflowSkipException:
            return False
        assert asked["version"] == "7"
        assert asked.get("environment", "production") == environment
        return True

    assert [name for name in ("dev", "staging", "production") if goes_on(name)] == entered


@pytest.mark.parametrize(("run_type", "by_itself"), [("manual", False), (BY_TASK, True)])
def test_production_is_told_whether_a_person_started_the_release(
    spec: PipelineSpec, run_type: str, by_itself: bool
) -> None:
    assert _asked_of(spec, "production")(run("production", run_type))["by_itself"] == by_itself
    assert DagRunType.OPERATOR_TRIGGERED == BY_TASK


def test_nothing_is_promoted_where_nothing_was_accepted_for_production() -> None:
    assert "as far as an environment" in (ends_before({"acceptance": None}) or "")
    assert ends_before({"acceptance": {"stable": None}}) is None


def test_a_release_goes_to_production_unless_somebody_says_otherwise(spec: PipelineSpec) -> None:
    field = release_form(spec, Path())["environment"]

    assert field.value == "production"
    assert field.schema["enum"] == ["dev", "staging", "production"]
