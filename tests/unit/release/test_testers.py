"""While a person is asked, a release's candidate answers those who name it: on a real gateway and ledger."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks.simulated_releases import spec_of
from tasks.contracts import Counted, JudgeStageRequest, LedgerEntry, Route, Stage, StageDecision, StageLook
from tasks.release.judge_stage import judge_stage
from tasks.release.open_stage import split_of
from tasks.release.record import record
from tasks.release.testers import let_testers_in
from tasks.serving.gateway import Gateway
from tasks.settings import settings
from tests.unit.gateway.models import STEPS, route, serving
from tests.unit.gateway.processes import Gateway as Process
from tests.unit.gateway.processes import running
from tests.unit.reviews import context

STABLE, CANDIDATE = (Route.model_validate(route(number)) for number in ("1", "2"))
LATER = datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture
def process(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    """A gateway whose stable version is 1; version 2 is loaded beside it."""
    with serving() as models:
        for number in ("1", "2"):
            models.add(number, int(number))
        with running(models, home, f"sqlite:///{home / 'gateway.db'}", workers=1) as process:
            process.put(route("1"))
            monkeypatch.setenv("PERENNIAL_GATEWAY_URL", process.url)
            monkeypatch.setenv("PERENNIAL_GATEWAY_TOKEN", STEPS["Authorization"].removeprefix("Bearer "))
            settings.cache_clear()
            yield process


def decided(after: str, at: str, **evidence: Any) -> LedgerEntry:
    routes = {"release_id": "r1", "stable": STABLE, "candidate": CANDIDATE}
    return record(**routes, actor="tests", after=after, at=at, why="So.", until=LATER, **evidence)


def answers(process: Process) -> tuple[set[str], int | str]:
    """Which versions answer who names none, and what a tester gets."""
    tester = process.predict(**{"X-Perennial-Version": "2"})
    others = {process.predict().json()["model_version"] for _ in range(20)}
    return others, tester.json()["model_version"] if tester.ok else tester.status_code


def test_testers_alone_reach_a_candidate_that_was_accepted_until_the_release_ends(process: Process) -> None:
    assert answers(process) == ({"1"}, 404)
    accepted = decided("accepted", "accepted")

    assert let_testers_in(Gateway(), accepted)
    assert let_testers_in(Gateway(), accepted), "the same step once more"
    assert answers(process) == ({"1"}, "2")

    Gateway().close_split("m")
    decided("rejected", "approval")
    assert not let_testers_in(Gateway(), accepted), "what is over is not opened again"
    assert answers(process) == ({"1"}, 404)


def stage() -> Stage:
    now = datetime.now(UTC)
    shares = {"number": 0, "stages": 2, "share": 0.5, "shadow_share": 0.0, "slow_after_seconds": None}
    times = {"opened_at": now, "until": LATER, "ledger_hash": "s1"}
    about = {"release_id": "r1", "model": "m", "name": "canary_50", "kind": "canary"}
    return Stage(**about, **shares, **times, stable=STABLE, candidate=CANDIDATE)


def test_testers_alone_reach_a_candidate_whose_stage_went_well_and_of_which_a_person_is_asked_next(
    process: Process, home: Path
) -> None:
    rules = {"mode": "canary", "steps": [0.5, 1.0], "shadow": {"requests": 0}, "approval": "before_full"}
    spec = spec_of()
    release = type(spec.release).model_validate(rules)
    judged, look = stage(), StageLook(at=LATER, seconds=1, candidate=Counted(), stable=Counted())
    said = StageDecision(
        release_id="r1", model="m", stage="canary_50", verdict="proceed", why="So.", checks=(), look=look
    )
    Gateway().open_split(split_of(judged))
    decided("proceed", "canary_50", judges="s1", decision=said.model_dump(mode="json"), stays_open=False)
    asked = {"context": context(home, "judge"), "stage": judged, "stays_open": False}
    request = JudgeStageRequest(spec=spec.model_copy(update={"release": release}), **asked)

    judge_stage(request)
    assert answers(process) == ({"1"}, "2")

    decided("stage", "canary_100")
    judge_stage(request)
    assert Gateway().split("m") is None, "an older decision that is made once more opens nothing"
