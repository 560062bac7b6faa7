"""What a release does not do: unload what answers users, or go on once it is over; on the real services."""

from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import (
    Acceptance,
    AcceptRequest,
    PromoteRequest,
    RollbackRequest,
    Rollout,
    StageDecision,
    StageLook,
)
from tasks.contracts.stages import Counted
from tasks.errors import ServingError
from tasks.release.accept import accept
from tasks.release.promote import promote
from tasks.release.record import release_of
from tasks.serving.gateway import Gateway
from tests.services.conftest import Model, Platform
from tests.services.test_release import accepted, context, opened, runs, stepped, told
from tests.services.test_rollback import until_there_is

__all__ = ["runs", "stepped"]

LAST = "canary_100"


def gone_through(acceptance: Acceptance) -> StageDecision:
    """What the last stage says of a version that goes through."""
    look = StageLook(at="2026-11-01T00:00:00Z", seconds=1, candidate=Counted(), stable=Counted())
    of_release = {"release_id": acceptance.release_id, "model": acceptance.model, "stage": LAST}
    return StageDecision(**of_release, verdict="proceed", why="It is good.", checks=(), look=look)


def promoted(model: Model, acceptance: Acceptance, **more: Any) -> Rollout:
    asked = {"spec": model.spec, "acceptance": acceptance, "before": gone_through(acceptance), **more}
    return promote(PromoteRequest(**asked, context=context("promote")))


def serving(platform: Platform, model: Model) -> tuple[int, str | None]:
    """What a user is told: the status, and the version that answered."""
    answer = platform.predict(model.name, "hello")
    return answer.status_code, answer.json().get("model_version")


def test_a_promotion_whose_check_fails_leaves_loaded_the_candidate_that_answers_everything(
    platform: Platform, stepped: Model, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    acceptance = accepted(stepped, handler=until_there_is(flag))
    opened(stepped, acceptance, LAST)
    flag.touch()

    with pytest.raises(ServingError, match="answers its example otherwise"):
        promoted(stepped, acceptance)

    assert serving(platform, stepped) == (200, "2")
    flag.unlink()
    assert promoted(stepped, acceptance).verdict == "deployed", "the step may be tried again"


def test_a_candidate_that_is_refused_during_a_stage_answers_nobody_before_it_is_unloaded(
    platform: Platform, stepped: Model, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    acceptance = accepted(stepped, handler=until_there_is(flag))
    opened(stepped, acceptance, LAST)
    flag.touch()

    with pytest.raises(ServingError, match="answers its example otherwise"):
        accept(AcceptRequest(spec=stepped.spec, version="2", context=context("2")))

    assert serving(platform, stepped) == (200, "1")
    assert Gateway().split(stepped.name) is None
    assert told(stepped) == ["accepted", "stage", "refused"]
    assert release_of(stepped.name) is None
