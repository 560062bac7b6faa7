"""Releases by steps on the real TorchServe and gateway: what goes through, what goes back, what is left."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import (
    Acceptance,
    AcceptRequest,
    Action,
    Approval,
    DataSnapshot,
    JudgeStageRequest,
    OpenStageRequest,
    PromoteRequest,
    ReconcileRequest,
    RollbackRequest,
    SnapshotPart,
    Stage,
    StageDecision,
    StepContext,
    TrainingRun,
)
from tasks.errors import CheckFailed, GateRefused, InvalidRequest, NothingToDo, ServingError
from tasks.ledger import entries
from tasks.release import record
from tasks.release.accept import accept
from tasks.release.decide import replayed
from tasks.release.judge_stage import judge_stage
from tasks.release.open_stage import open_stage
from tasks.release.promote import promote
from tasks.release.reconcile import reconcile
from tasks.release.rollback import rollback
from tasks.serving.backend import serving_backend
from tasks.serving.gateway import Gateway
from tasks.stores import registry
from tests.services.conftest import HANDLER, Model, Platform, load_on, new_model

RULES = {
    "mode": "canary",
    "steps": [0.3, 1.0],
    "shadow": {"share": 0.5, "requests": 20, "longest_seconds": 60},
    "step": {"requests": 30, "seconds": 0, "longest_seconds": 60},
    "checks": {
        "errors": {"margin": 0.3},
        "latency": {"margin": 0.4, "ratio": 10},
        "predictions": {"largest_change": None},
    },
    "acceptance": {"rows": 0, "requests": 20, "connections": 2, "seconds": 5},
}
SAME = "the same"


def context(step: str) -> StepContext:
    return StepContext(actor=f"tests/{step}", step_key=f"release/{step}", work_url="unused")


@pytest.fixture(autouse=True)
def runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The archives of these tests come from no training: what MLflow would say of it. Who waits for a stage
    looks often.
    """
    monkeypatch.setattr("tasks.release.judge_stage.POLL_SECONDS", 0.05)
    part = SnapshotPart(url="unused", rows=1, sha256="0" * 64)
    about = {"table": "t", "table_version": 1, "as_of": None, "version_at": "2026-11-01T00:00:00Z"}
    parts = {"train": part, "validation": part, "test": part}
    snapshot = DataSnapshot.model_validate({**about, "query": "", "rows": 3, "sha256": "0" * 64, **parts})

    def run(run_id: str) -> TrainingRun:
        plain: dict[str, Any] = {
            "code_commit": None,
            "image_digest": None,
            "lock_sha256": "0",
            "parameters": {},
            "seed": 1,
        }
        ids = {"model": "m", "run_id": run_id, "experiment_id": "1", "model_files_url": ""}
        return TrainingRun(**ids, **plain, snapshot=snapshot)

    monkeypatch.setattr(registry, "training_run", run)


@pytest.fixture
def stepped(platform: Platform, settled: Path) -> Iterator[Model]:
    """A model that is released by steps, whose first version serves."""
    model = new_model(settled, release=RULES)
    model.deploy(SAME)
    yield model
    model.remove()


def accepted(model: Model, mark: str = SAME, **how: Any) -> Acceptance:
    version = model.promoted(mark, **how)
    return accept(AcceptRequest(spec=model.spec, version=version.version, context=context(version.version)))


def opened(model: Model, acceptance: Acceptance, stage: str, **more: Any) -> Stage:
    asked = {"spec": model.spec, "acceptance": acceptance, "stage": stage, "context": context(stage), **more}
    return open_stage(OpenStageRequest(**asked))


def judged(model: Model, stage: Stage) -> StageDecision:
    return judge_stage(JudgeStageRequest(spec=model.spec, stage=stage, context=context("judge")))


def told(model: Model) -> list[str | None]:
    return [each.after for each in entries.history(model.name, {Action.RELEASE})]


def released(model: Model, acceptance: Acceptance) -> StageDecision:
    decision: StageDecision | None = None
    for name in acceptance.plan:
        decision = judged(model, opened(model, acceptance, name, before=decision))
        if decision.verdict != "proceed":
            break
    assert decision is not None
    return decision


def test_a_good_version_goes_through_every_stage_and_no_request_fails(
    platform: Platform, stepped: Model
) -> None:
    with load_on(platform, stepped.name) as load:
        acceptance = accepted(stepped)
        decision = released(stepped, acceptance)
        asked = {"spec": stepped.spec, "acceptance": acceptance, "before": decision}
        rollout = promote(PromoteRequest(**asked, context=context("promote")))
        again = promote(PromoteRequest(**asked, context=context("promote")))

    assert (rollout.verdict, again.verdict) == ("deployed", "already_serving")
    assert registry.aliased_version(stepped.name) == "2"
    assert Gateway().split(stepped.name) is None
    assert told(stepped) == ["accepted", *["stage", "proceed"] * 3, "promoted"]
    assert (load.faults, load.refusals) == ([], [])
    assert record.release_of(stepped.name) is None
    for entry in entries.history(stepped.name, {Action.RELEASE}):
        if entry.after == "proceed":
            assert (
                replayed(entry).model_dump()
                == StageDecision.model_validate(entry.evidence["decision"]).model_dump()
            )


def crashing(share: float) -> str:
    wrong = f"""if text == "load" and __import__("random").random() < {share}:
            return {{{{"error": "KeyError", "status": 500}}}}
        if text == "refuse":"""
    return HANDLER.replace('if text == "refuse":', wrong)


def test_a_crashing_version_goes_back_and_what_served_answers_everything(
    platform: Platform, stepped: Model
) -> None:
    with load_on(platform, stepped.name):
        acceptance = accepted(stepped, handler=crashing(0.9))
        decision = released(stepped, acceptance)

    assert decision.verdict == "roll_back"
    assert Gateway().split(stepped.name) is None
    assert registry.aliased_version(stepped.name) == "1"
    assert told(stepped)[-1] == "roll_back"
    asked = {"spec": stepped.spec, "acceptance": acceptance, "before": decision}
    with pytest.raises(GateRefused, match="roll_back"):
        promote(PromoteRequest(**asked, context=context("promote")))


def test_a_slow_version_is_not_accepted_and_is_unloaded(platform: Platform, stepped: Model) -> None:
    rules = {**RULES, "acceptance": {"rows": 0, "requests": 5, "p95_seconds": 0.05}}
    spec = stepped.spec.model_copy(update={"release": type(stepped.spec.release).model_validate(rules)})
    slow = HANDLER.replace('if text == "refuse":', 'time.sleep(0.2)\n        if text == "refuse":')
    version = stepped.promoted(SAME, handler=slow)

    with pytest.raises(CheckFailed, match=r"Under load 95 % of \d+ answers .* 0\.05 s are allowed"):
        accept(AcceptRequest(spec=spec, version=version.version, context=context("slow")))

    assert told(stepped) == ["refused"]
    assert record.release_of(stepped.name) is None


def test_a_step_that_was_killed_does_what_is_left(platform: Platform, stepped: Model) -> None:
    acceptance = accepted(stepped)
    with pytest.MonkeyPatch.context() as killed:
        killed.setattr(Gateway, "open_split", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            opened(stepped, acceptance, "shadow")
    assert Gateway().split(stepped.name) is None

    first, second = (opened(stepped, acceptance, "shadow") for _ in range(2))

    assert first == second
    assert told(stepped) == ["accepted", "stage"]
    split = Gateway().split(stepped.name)
    assert split is not None
    assert split.release_id == acceptance.release_id


CHANGES: dict[str, dict[str, Any]] = {
    "backend": {"backend": "oip"},
    "idle_seconds": {"idle_seconds": 60},
    "workers": {"workers": 2},
}


@pytest.mark.parametrize(
    ("serves_with", "change"), [("torchserve", "backend"), ("oip", "idle_seconds"), ("torchserve", "workers")]
)
def test_what_serves_gets_the_settings_that_were_changed_without_stages_and_no_request_fails(
    platform: Platform, settled: Path, serves_with: str, change: str
) -> None:
    model = new_model(settled, release=RULES, backend=serves_with)
    version = model.deploy(SAME).stable.model_version
    asked = AcceptRequest(spec=model.spec, version=version, context=context(version))
    with pytest.raises(NothingToDo, match="serves already"):
        accept(asked)
    serving = model.spec.serving.model_copy(update=CHANGES[change])
    spec = model.spec.model_copy(update={"serving": serving})
    asked = asked.model_copy(update={"spec": spec})

    with load_on(platform, model.name) as load:
        acceptance = accept(asked)
        assert (acceptance.plan, told(model)) == ((), ["accepted"])
        promote(PromoteRequest(spec=spec, acceptance=acceptance, before=None, context=context("promote")))

    assert (load.faults, load.refusals) == ([], [])
    assert told(model) == ["accepted", "promoted"]
    route = Gateway().route(model.name)
    assert route is not None
    assert (route.backend, route.workers) == (serving.backend, serving.workers)
    archive = registry.get_version(model.name, version).archive
    assert serving_backend(serving.backend).fits(archive, serving)
    [loaded] = serving_backend(serving.backend).describe(model.name)
    assert loaded.ready == serving.workers
    with pytest.raises(NothingToDo, match="with the settings of pipeline"):
        accept(asked)
    model.remove()


def test_one_release_of_a_model_goes_on_at_a_time(platform: Platform, stepped: Model) -> None:
    accepted(stepped)

    with pytest.raises(InvalidRequest, match=r"Version 2 of .* is being released"):
        accepted(stepped)


def test_a_rollback_ends_the_release_and_leaves_what_serves(platform: Platform, stepped: Model) -> None:
    acceptance = accepted(stepped)
    stage = opened(stepped, acceptance, "canary_30")
    asked = RollbackRequest(model=stepped.name, reason="It is rude.", leaving=None, context=context("back"))

    rollouts = [rollback(asked) for _ in range(2)]

    assert {each.verdict for each in rollouts} == {"kept_previous"}
    assert {each.stable.model_version for each in rollouts} == {"1"}
    assert Gateway().split(stepped.name) is None
    with pytest.raises(GateRefused, match="It is rude"):
        judged(stepped, stage)


def test_testers_alone_meet_a_version_while_a_person_is_asked_and_nobody_once_it_is_refused(
    platform: Platform, stepped: Model
) -> None:
    asking = {**RULES, "approval": "before_canary", "shadow": {"requests": 0}}
    rules = type(stepped.spec.release).model_validate(asking)
    stepped = replace(stepped, spec=stepped.spec.model_copy(update={"release": rules}))
    acceptance = accepted(stepped)
    number = acceptance.candidate.model_version
    tester = {"X-Perennial-Version": number}
    assert platform.predict(stepped.name, "a", headers=tester).json()["model_version"] == number
    assert {platform.predict(stepped.name, "a").json()["model_version"] for _ in range(20)} == {"1"}
    no = Approval(approved=False, by="ann", at="2026-11-01T00:00:00Z", why="Not on a Friday.")

    with pytest.raises(GateRefused, match=r"no was said by ann\. Not on a Friday"):
        opened(stepped, acceptance, "canary_30", approval=no)

    assert told(stepped) == ["accepted", "rejected"]
    [*_, entry] = entries.history(stepped.name, {Action.RELEASE})
    assert (entry.actor, entry.evidence["approval"]["by"]) == ("person:ann", "ann")
    assert platform.predict(stepped.name, "a", headers=tester).status_code == 404


def test_a_split_that_nobody_follows_is_closed(
    platform: Platform, stepped: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import timedelta

    from tasks.release import open_stage as module

    monkeypatch.setattr(module, "GRACE", timedelta(days=-1))
    opened(stepped, accepted(stepped), "canary_30")

    settled = reconcile(ReconcileRequest(models=(stepped.name,), context=context("reconcile"))).settled

    assert [each.outcome for each in settled] == ["undone"]
    assert "Nobody follows the release of version 2" in settled[0].why
    assert Gateway().split(stepped.name) is None
    assert told(stepped)[-1] == "closed"


def test_the_version_before_stays_loaded_as_long_as_declared_and_comes_back_after_that(
    platform: Platform, stepped: Model, settled: Path
) -> None:
    acceptance = accepted(stepped)
    with load_on(platform, stepped.name):
        asked = {"spec": stepped.spec, "acceptance": acceptance, "before": released(stepped, acceptance)}
        promote(PromoteRequest(**asked, context=context("promote")))
    hourly = ReconcileRequest(models=(stepped.name,), thorough=True, context=context("hourly"))

    assert [each for each in reconcile(hourly).settled if each.outcome == "removed"] == []

    pipeline = settled / "models" / stepped.name / "pipeline.yaml"
    rules = {**RULES, "keep_warm_seconds": 0}
    pipeline.write_text(json.dumps(json.loads(pipeline.read_text()) | {"release": rules}))
    [removed] = [each for each in reconcile(hourly).settled if each.outcome == "removed"]
    assert "they are unloaded" in removed.why
    back = RollbackRequest(model=stepped.name, reason="It is rude.", leaving=None, context=context("back"))
    assert rollback(back).stable.model_version == "1"


def test_a_moved_alias_asks_for_a_release_by_steps(platform: Platform, stepped: Model) -> None:
    stepped.promoted(SAME)
    registry.set_champion(stepped.name, "2")

    settled = reconcile(ReconcileRequest(models=(stepped.name,), context=context("reconcile"))).settled

    assert [(each.outcome, each.version) for each in settled] == [("handed over", "2")]
    assert registry.aliased_version(stepped.name) == "1"
    assert json.dumps(told(stepped)) == "[]"


def test_a_gateway_that_has_lost_what_serves_makes_no_version_the_first(
    platform: Platform, stepped: Model
) -> None:
    Gateway().withdraw(stepped.name)

    with pytest.raises(ServingError, match="by the ledger version 1 serves"):
        accepted(stepped)

    assert told(stepped) == []


def test_what_nobody_asked_for_is_released_only_where_its_promotion_still_holds(
    platform: Platform, stepped: Model
) -> None:
    """Two versions wait their turn; the second was judged against what served before the first came."""
    first, second = (stepped.promoted(SAME).version for _ in range(2))

    def begun(version: str, run: str) -> Acceptance:
        by_itself = StepContext(actor="tests", step_key=f"release/{run}/accept", work_url="unused")
        asked: dict[str, Any] = {"spec": stepped.spec, "version": version, "context": by_itself}
        return accept(AcceptRequest(**asked, by_itself=True))

    assert begun(first, "trained").release_id == begun(first, "trained").release_id, "the same run again"
    back = RollbackRequest(model=stepped.name, reason="It is rude.", leaving=None, context=context("back"))
    rollback(back)
    with pytest.raises(GateRefused, match="was released before"):
        begun(first, "once_more")
    assert told(stepped)[-1] == "refused"
    stepped.deploy(SAME)
    with pytest.raises(GateRefused, match="was judged against"):
        begun(second, "trained")
    assert accepted_again(stepped, second).version.version == second, "a person may"


def accepted_again(model: Model, version: str) -> Acceptance:
    return accept(AcceptRequest(spec=model.spec, version=version, context=context(version)))
