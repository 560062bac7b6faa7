"""What a release does not do: unload what answers users, or go on once it is over; on the real services."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import (
    Acceptance,
    AcceptRequest,
    Action,
    Approval,
    PromoteRequest,
    ReconcileRequest,
    RollbackRequest,
    Rollout,
    StageDecision,
    StageLook,
)
from tasks.contracts.stages import Counted
from tasks.errors import GateRefused, InvalidRequest, ServingError
from tasks.ledger import entries
from tasks.release.ab import Wanted, start_ab
from tasks.release.accept import accept
from tasks.release.close import close_release
from tasks.release.promote import promote
from tasks.release.reconcile import reconcile
from tasks.release.record import release_of
from tasks.release.rollback import rollback
from tasks.serving import backend
from tasks.serving.backend import exclusive, serving_backend
from tasks.serving.gateway import Gateway
from tasks.stores import registry
from tests.services.conftest import Model, Platform
from tests.services.test_release import (
    RULES,
    SAME,
    accepted,
    context,
    judged,
    opened,
    runs,
    stepped,
    told,
)
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


def rolled_back(model: Model, leaving: str | None = None) -> Rollout:
    asked = RollbackRequest(
        model=model.name, reason="It is rude.", leaving=leaving, context=context("rollback")
    )
    return rollback(asked)


def killed(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def answer(*, yes: bool) -> Approval:
    return Approval(approved=yes, by="ann", at="2026-11-01T09:30:00Z", why="I have looked.")


def told_of_who_waits(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """An event that is set as soon as somebody else wants to hold versions."""
    asked, genuine, here = threading.Event(), backend._locked, threading.get_ident()

    def tells(name: str) -> AbstractContextManager[None]:
        if threading.get_ident() != here:
            asked.set()
        return genuine(name)

    monkeypatch.setattr(backend, "_locked", tells)
    return asked


class Clock:
    """The time of an acceptance's load, which a test lets pass; first it is looked at when that begins."""

    perf_counter = staticmethod(time.perf_counter)

    def __init__(self) -> None:
        self.looked_at = threading.Event()
        self.passed = 0.0

    def monotonic(self) -> float:
        self.looked_at.set()
        return time.monotonic() + self.passed


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


def test_a_release_that_is_ended_while_its_promotion_waits_is_not_promoted(
    platform: Platform, stepped: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    acceptance = accepted(stepped)
    opened(stepped, acceptance, LAST)
    with ThreadPoolExecutor(1) as others, exclusive(stepped.name):
        waits = told_of_who_waits(monkeypatch)
        promotion = others.submit(promoted, stepped, acceptance)
        assert waits.wait(60), "it has looked at all that it looks at before it holds the versions"
        close_release(Gateway(), stepped.name, "a person", "It is rude.")

    with pytest.raises(GateRefused, match=r"is over: .* It is rude"):
        promotion.result()

    assert serving(platform, stepped) == (200, "1")
    assert told(stepped) == ["accepted", "stage", "closed"]


def test_a_rollback_goes_back_where_the_promotion_had_switched_and_was_killed(
    platform: Platform, stepped: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    acceptance = accepted(stepped)
    opened(stepped, acceptance, LAST)
    with monkeypatch.context() as patched:
        patched.setattr(registry, "set_champion", killed)
        with pytest.raises(KeyboardInterrupt):
            promoted(stepped, acceptance)
    assert serving(platform, stepped) == (200, "2")

    rollouts = [rolled_back(stepped) for _ in range(2)]

    assert [each.verdict for each in rollouts] == ["rolled_back"] * 2
    assert {each.stable.model_version for each in rollouts} == {"1"}
    assert serving(platform, stepped) == (200, "1")
    assert registry.aliased_version(stepped.name) == "1"
    assert len(entries.history(stepped.name, {Action.ROLLBACK})) == 1
    with pytest.raises(GateRefused, match="is over"):
        promoted(stepped, acceptance)


def test_a_promotion_is_written_down_before_anybody_else_holds_the_versions(
    platform: Platform, stepped: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.release import deploy

    acceptance = accepted(stepped)
    opened(stepped, acceptance, LAST)
    with monkeypatch.context() as patched:
        patched.setattr(deploy, "retire_all_but", killed)
        with pytest.raises(KeyboardInterrupt):
            promoted(stepped, acceptance)
    assert told(stepped) == ["accepted", "stage", "promoted"]

    assert promoted(stepped, acceptance).verdict == "already_serving"
    assert told(stepped) == ["accepted", "stage", "promoted"]


def test_who_said_yes_to_production_is_in_the_ledger_before_the_version_serves(
    platform: Platform, stepped: Model
) -> None:
    acceptance = accepted(stepped)
    promoted(stepped, acceptance, approval=answer(yes=True))

    [*_, switch] = entries.history(stepped.name, {Action.DEPLOY})
    [*_, end] = entries.history(stepped.name, {Action.RELEASE})
    assert (switch.after, end.after) == ("2", "promoted")
    assert switch.evidence["release_id"] == acceptance.release_id
    for entry in (switch, end):
        assert entry.evidence["approval"]["by"] == "ann"
        assert entry.why.endswith("Approved by ann at 2026-11-01 09:30 UTC. I have looked.")


def test_a_rollback_that_was_killed_before_the_split_was_closed_closes_it_when_it_is_tried_again(
    platform: Platform, stepped: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(stepped, accepted(stepped), "canary_30")
    with monkeypatch.context() as patched:
        patched.setattr(Gateway, "close_split", killed)
        with pytest.raises(KeyboardInterrupt):
            rolled_back(stepped)
    assert Gateway().split(stepped.name) is not None

    assert rolled_back(stepped).verdict == "kept_previous"

    assert Gateway().split(stepped.name) is None
    assert told(stepped) == ["accepted", "stage", "closed"]
    [*_, closed] = entries.history(stepped.name, {Action.RELEASE})
    done = entries.history(stepped.name, {Action.DONE})
    assert closed.entry_hash in {each.evidence["completes"] for each in done}


def test_a_rollback_that_names_neither_what_serves_nor_the_candidate_ends_nothing(
    platform: Platform, stepped: Model
) -> None:
    opened(stepped, accepted(stepped), "canary_30")

    with pytest.raises(InvalidRequest, match=r"version 3 was to be left, but version 1 serves now, .* 2 is"):
        rolled_back(stepped, leaving="3")

    assert told(stepped) == ["accepted", "stage"]
    assert Gateway().split(stepped.name) is not None
    assert rolled_back(stepped, leaving="2").verdict == "kept_previous"


def test_a_no_that_comes_after_the_end_of_its_release_ends_no_comparison(
    platform: Platform, stepped: Model
) -> None:
    acceptance = accepted(stepped)
    rolled_back(stepped)
    start_ab(stepped.spec, Wanted("2", 0.5, 100), "tests", "Which is better?")
    split = Gateway().split(stepped.name)

    with pytest.raises(GateRefused, match=r"is over: .* It is rude"):
        opened(stepped, acceptance, "canary_30", approval=answer(yes=False))

    assert split is not None
    assert Gateway().split(stepped.name) == split
    assert told(stepped) == ["accepted", "closed"]


def test_a_no_that_was_killed_before_the_split_was_closed_closes_it_when_it_is_tried_again(
    platform: Platform, stepped: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    acceptance = accepted(stepped)
    opened(stepped, acceptance, "canary_30")
    no = {"approval": answer(yes=False)}
    with monkeypatch.context() as patched:
        patched.setattr(Gateway, "close_split", killed)
        with pytest.raises(KeyboardInterrupt):
            opened(stepped, acceptance, LAST, **no)

    with pytest.raises(GateRefused, match="no was said by ann"):
        opened(stepped, acceptance, LAST, **no)

    assert Gateway().split(stepped.name) is None
    assert told(stepped) == ["accepted", "stage", "rejected"]


def test_a_stage_whose_split_is_gone_ends_its_release(platform: Platform, stepped: Model) -> None:
    stage = opened(stepped, accepted(stepped), "canary_30")
    platform.internal("DELETE", f"/splits/{stepped.name}")

    with pytest.raises(GateRefused, match="does not divide the requests any more"):
        judged(stepped, stage)

    assert told(stepped) == ["accepted", "stage", "closed"]
    assert release_of(stepped.name) is None


def test_a_rollback_waits_for_no_acceptance_and_what_is_tested_stays_loaded(
    platform: Platform, stepped: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr("tasks.release.acceptance.time", clock)
    stepped.deploy(SAME)
    rules = {**RULES, "acceptance": {"rows": 0, "requests": 100_000, "connections": 1, "seconds": 120}}
    spec = stepped.spec.model_copy(update={"release": type(stepped.spec.release).model_validate(rules)})
    version = stepped.promoted(SAME)
    archive = version.archive
    with ThreadPoolExecutor(1) as others:
        acceptance = others.submit(accept, AcceptRequest(spec=spec, version="3", context=context("accept")))
        assert clock.looked_at.wait(60), "it is loaded, and asked"

        assert rolled_back(stepped).stable.model_version == "1"
        reconcile(ReconcileRequest(models=(stepped.name,), thorough=True, context=context("hourly")))
        assert not acceptance.done()
        clock.passed = 120

    stable = acceptance.result().stable
    assert stable is not None
    assert stable.model_version == "1"
    assert [check.check for check in acceptance.result().checks] == ["ready", "smoke test", "load"]
    assert serving_backend("torchserve").ready(stepped.name, archive.version, archive.sha256)
