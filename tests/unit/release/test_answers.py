"""Where a person is to be asked, nothing goes on without an answer."""

from typing import Any

import pytest

from tasks.contracts import Acceptance, OpenStageRequest, PromoteRequest, StepContext
from tasks.errors import GateRefused
from tasks.release.open_stage import open_stage, require_answered
from tasks.release.promote import promote
from tasks.spec import PRODUCTION, PipelineSpec
from tests.conftest import PROJECT

CONTEXT = StepContext(actor="tests", step_key="release/1/promote", work_url="unused")


def spec(**rules: Any) -> PipelineSpec:
    shipped = PipelineSpec.load(PROJECT / "models" / "review_sentiment" / "pipeline.yaml")
    return shipped.model_copy(update={"release": type(shipped.release).model_validate(rules)})


def test_a_stage_does_not_open_where_the_question_before_it_was_marked_as_success() -> None:
    rules = spec(mode="canary", approval="before_full")
    asked = OpenStageRequest.model_construct(
        spec=rules, context=CONTEXT, acceptance=None, before=None, approval=None, stage="canary_100"
    )

    with pytest.raises(GateRefused, match=r"the task ask_before_canary_100 was marked or skipped\. Clear it"):
        open_stage(asked)

    require_answered(None, rules, "canary_5")


@pytest.mark.parametrize("rules", [{"environments": ["dev"]}, {"mode": "canary"}])
def test_nothing_is_promoted_without_stages_where_the_question_was_marked(rules: dict[str, Any]) -> None:
    accepted = Acceptance.model_construct(plan=())
    asked = PromoteRequest.model_construct(
        spec=spec(**rules, approval="before_canary"),
        context=CONTEXT,
        acceptance=accepted,
        before=None,
        approval=None,
    )

    with pytest.raises(GateRefused, match="ask_before_production was marked or skipped"):
        promote(asked)

    require_answered(None, spec(**rules), PRODUCTION)
