"""The release DAG from end to end: real child processes, the heavy work behind them scripted, and a person's
answers by Airflow's REST API.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tasks.settings import PROJECT, settings
from tests.dags.runs import RunDag, SetScript, answering, asked, states, xcom

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

MODEL = "review_sentiment"
RELEASE, TRAIN = f"release_{MODEL}", f"train_{MODEL}"
VERSION = {"version": "2", "reason": "to see it run"}
FIRST = {"accept": [{"result": {"stable": None, "plan": []}}]}
OTHER_SETTINGS = {"accept": [{"result": {"plan": []}}]}

SetRelease = Callable[[dict[str, Any]], None]


def of_stage(name: str, *, asked_before: bool = False) -> tuple[str, ...]:
    question = (f"ask_before_{name}",) if asked_before else ()
    return (*question, f"open_{name}", f"watch_{name}", f"judge_{name}")


def all_in(state: str, *tasks: str) -> dict[str, str]:
    return dict.fromkeys(tasks, state)


PROMOTED = ("promote", "calibrate")


@pytest.fixture
def set_release(home: Path, heavy: SetScript, monkeypatch: pytest.MonkeyPatch) -> SetRelease:
    """Gives the first model, in a models folder of its own, these rules of release."""
    folder = home / "models"
    shutil.copytree(PROJECT / "models" / MODEL, folder / MODEL)
    monkeypatch.setenv("PERENNIAL_MODELS", str(folder))
    monkeypatch.setenv("PERENNIAL_GATEWAY_URL", "http://127.0.0.1:9")  # where nothing ever answers
    settings.cache_clear()
    path = folder / MODEL / "pipeline.yaml"

    def write(rules: dict[str, Any]) -> None:
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"release": rules}))

    write({"mode": "canary", "steps": [0.1, 1.0]})
    return write


def test_a_version_that_every_stage_says_yes_to_is_promoted(
    run_dag: RunDag, set_release: SetRelease, home: Path
) -> None:
    run = run_dag(RELEASE, VERSION, alone=True)

    each = [task for name in ("shadow", "canary_10", "canary_100") for task in of_stage(name)]
    assert states(run) == all_in("success", "accept", *each, *PROMOTED)
    [accept] = asked(home, "accept")
    assert (accept["version"], accept["reason"]) == ("2", "to see it run")
    first, second, third = asked(home, "open_stage")
    assert [each["stage"] for each in (first, second, third)] == ["shadow", "canary_10", "canary_100"]
    assert (first["before"], second["before"]["stage"], third["before"]["stage"]) == (
        None,
        "shadow",
        "canary_10",
    )
    assert [each["stays_open"] for each in asked(home, "judge_stage")] == [True] * 3
    assert xcom(run, "watch_shadow") == "over"
    [promote] = asked(home, "promote")
    assert promote["before"]["stage"] == "canary_100"
    assert asked(home, "calibrate")[0]["run"]["run_id"] == "run-2"


@pytest.mark.parametrize("verdict", ["roll_back", "hold"])
def test_a_version_that_a_stage_stops_fails_the_run_with_the_reason_and_is_not_promoted(
    run_dag: RunDag,
    set_release: SetRelease,
    heavy: SetScript,
    home: Path,
    capfd: pytest.CaptureFixture[str],
    verdict: str,
) -> None:
    heavy({"judge_stage": [{}, {"result": {"verdict": verdict, "why": "It answers wrongly."}}]})

    run = run_dag(RELEASE, VERSION, alone=True)

    after = all_in("upstream_failed", *of_stage("canary_100"), *PROMOTED)
    opened = all_in("success", "accept", *of_stage("shadow"), *of_stage("canary_10")[:2])
    assert states(run) == opened | {"judge_canary_10": "failed"} | after
    assert f"The stage canary_10 says {verdict}: It answers wrongly." in capfd.readouterr().out
    assert len(asked(home, "judge_stage")) == 2, "what was decided is final: it is not tried again"
    assert asked(home, "promote") == []


def test_a_first_model_has_no_stages_and_is_promoted(
    run_dag: RunDag, set_release: SetRelease, heavy: SetScript, home: Path
) -> None:
    set_release({"mode": "canary", "steps": [1.0]})
    heavy(FIRST)

    run = run_dag(RELEASE, VERSION, alone=True)

    skipped = (*of_stage("shadow"), *of_stage("canary_100"))
    assert states(run) == all_in("success", "accept", *PROMOTED) | all_in("skipped", *skipped)
    assert asked(home, "promote")[0]["before"] is None
    assert asked(home, "open_stage") == []


def test_a_version_that_serves_and_gets_other_settings_has_no_stages(
    run_dag: RunDag, set_release: SetRelease, heavy: SetScript, home: Path
) -> None:
    set_release({"mode": "canary", "steps": [1.0]})
    heavy(OTHER_SETTINGS)

    run = run_dag(RELEASE, VERSION, alone=True)

    skipped = (*of_stage("shadow"), *of_stage("canary_100"))
    assert states(run) == all_in("success", "accept", *PROMOTED) | all_in("skipped", *skipped)
    assert asked(home, "open_stage") == []


@pytest.mark.parametrize("when", ["before_canary", "before_full"])
def test_a_person_is_asked_of_a_first_model_too(
    user: "TestClient", run_dag: RunDag, set_release: SetRelease, heavy: SetScript, home: Path, when: str
) -> None:
    set_release({"mode": "canary", "steps": [0.1, 1.0], "shadow": {"requests": 0}, "approval": when})
    heavy(FIRST)

    with answering(user, {"chosen_options": ["Approve"], "params_input": {"why": "It looks well."}}):
        run = run_dag(RELEASE, VERSION, alone=True)

    first = when == "before_canary"
    stages = (*of_stage("canary_10", asked_before=first), *of_stage("canary_100", asked_before=not first))
    asked_then = all_in("success", "accept", "ask_before_production", *PROMOTED)
    assert states(run) == asked_then | all_in("skipped", *stages)
    [request] = asked(home, "promote")
    assert (request["approval"]["approved"], request["approval"]["by"]) == (True, "admin")


def test_copies_alone_end_without_a_promotion(run_dag: RunDag, set_release: SetRelease, home: Path) -> None:
    set_release({"mode": "shadow_only"})

    assert states(run_dag(RELEASE, VERSION, alone=True)) == all_in("success", "accept", *of_stage("shadow"))
    assert asked(home, "promote") == []


def test_blue_green_has_one_stage(run_dag: RunDag, set_release: SetRelease) -> None:
    set_release({"mode": "blue_green"})

    run = run_dag(RELEASE, VERSION, alone=True)

    assert states(run) == all_in("success", "accept", *of_stage("canary_100"), *PROMOTED)


def test_a_version_that_is_not_accepted_meets_nobody(
    run_dag: RunDag, set_release: SetRelease, heavy: SetScript, home: Path
) -> None:
    set_release({"mode": "blue_green"})
    heavy({"accept": [{"exit": 10, "error": "Deployed, it answers 3 of 100 frozen rows otherwise."}]})

    after = all_in("upstream_failed", *of_stage("canary_100"), *PROMOTED)
    assert states(run_dag(RELEASE, VERSION, alone=True)) == {"accept": "failed"} | after
    assert len(asked(home, "accept")) == 1


def test_a_person_sees_the_evidence_and_what_they_say_opens_the_stage(
    user: "TestClient", run_dag: RunDag, set_release: SetRelease, home: Path
) -> None:
    set_release({"mode": "canary", "steps": [0.1, 1.0], "approval": "before_full", "shadow": {"requests": 0}})

    said = {"chosen_options": ["Approve"], "params_input": {"why": "It looks well."}}
    with answering(user, said) as questions:
        run = run_dag(RELEASE, VERSION, alone=True)

    assert questions[0]["subject"] == f"Does the release of {MODEL} go on with canary_100?"
    body = questions[0]["body"]
    assert "Deployed, version 2 passed 1 check." in body
    assert "- load: 95 % took at most 0.01 s" in body
    assert "Stage canary_10: proceed. Every check has passed." in body
    assert "the declared default counts: refuse" in body
    assert "but requests that name version 2 (header `X-Perennial-Version: 2`)" in body
    each = (*of_stage("canary_10"), *of_stage("canary_100", asked_before=True))
    not_asked = {"ask_before_production": "skipped"}
    assert states(run) == all_in("success", "accept", *each, *PROMOTED) | not_asked
    before, full = asked(home, "open_stage")
    assert before["approval"] is None
    answer = {name: full["approval"][name] for name in ("approved", "by", "why")}
    assert answer == {"approved": True, "by": "admin", "why": "It looks well."}
    assert [each["stays_open"] for each in asked(home, "judge_stage")] == [False, True]


def test_what_a_person_refuses_is_told_to_the_step_that_ends_the_release(
    user: "TestClient", run_dag: RunDag, set_release: SetRelease, heavy: SetScript, home: Path
) -> None:
    set_release({"mode": "blue_green", "approval": "before_canary"})
    heavy({"open_stage": [{"exit": 10, "error": "No was said by admin."}]})

    with answering(user, {"chosen_options": ["Reject"], "params_input": {"why": "Not on a Friday."}}):
        run = run_dag(RELEASE, VERSION, alone=True)

    [request] = asked(home, "open_stage")
    answer = {name: request["approval"][name] for name in ("approved", "by", "why")}
    assert answer == {"approved": False, "by": "admin", "why": "Not on a Friday."}
    after = all_in("upstream_failed", *of_stage("canary_100")[1:], *PROMOTED)
    assert states(run) == {
        "accept": "success",
        "ask_before_production": "skipped",
        "ask_before_canary_100": "success",
        "open_canary_100": "failed",
        **after,
    }


def test_a_release_as_far_as_an_environment_ends_there(
    run_dag: RunDag, set_release: SetRelease, home: Path
) -> None:
    set_release(
        {"mode": "canary", "steps": [1.0], "environments": ["dev", "staging"], "approval": "before_full"}
    )

    run = run_dag(RELEASE, VERSION | {"environment": "staging"}, alone=True)

    stages = (*of_stage("shadow"), *of_stage("canary_100", asked_before=True))
    ends = all_in("skipped", "accept", "ask_before_production", *stages, *PROMOTED)
    assert states(run) == all_in("success", "enter_dev", "enter_staging") | ends
    assert run.state == "success"
    entered = [(each["environment"], each["version"], each["reason"]) for each in asked(home, "enter")]
    assert entered == [("dev", "2", "to see it run"), ("staging", "2", "to see it run")]


def test_what_an_environment_refuses_comes_no_further(
    run_dag: RunDag, set_release: SetRelease, heavy: SetScript, home: Path
) -> None:
    set_release({"environments": ["dev", "staging"]})
    heavy({"enter": [{}, {"exit": 10, "error": "Under load it is slow."}]})

    run = run_dag(RELEASE, VERSION, alone=True)

    after = all_in("upstream_failed", "accept", *PROMOTED)
    assert states(run) == {"enter_dev": "success", "enter_staging": "failed"} | after
    assert len(asked(home, "enter")) == 2, "what was refused is not tried again"


def test_a_person_says_yes_between_staging_and_a_production_without_stages(
    user: "TestClient", run_dag: RunDag, set_release: SetRelease, home: Path
) -> None:
    set_release({"environments": ["dev"], "approval": "before_full"})

    with answering(
        user, {"chosen_options": ["Approve"], "params_input": {"why": "It looks well."}}
    ) as questions:
        run = run_dag(RELEASE, VERSION, alone=True)

    assert states(run) == all_in("success", "enter_dev", "accept", "ask_before_production", *PROMOTED)
    assert questions[0]["subject"] == f"Does the release of {MODEL} go on to production?"
    [request] = asked(home, "promote")
    assert (request["approval"]["approved"], request["approval"]["by"]) == (True, "admin")


@pytest.mark.parametrize(("unanswered", "counts"), [("approve", True), ("refuse", False)])
def test_where_nobody_answers_the_declared_default_counts(
    airflow_database: None, unanswered: Any, counts: bool
) -> None:
    from datetime import UTC, datetime

    from plugins.approval import APPROVE, REJECT
    from plugins.release_approval import AskBeforeStage
    from plugins.watch_forms import answer_form
    from tasks.spec.release import ApprovalSpec

    rules = ApprovalSpec(when="before_full", seconds=60, unanswered=unanswered)
    task = AskBeforeStage(
        task_id="ask",
        subject="?",
        approval=rules,
        acceptance={},
        decision=None,
        asked_of="any",
        params=answer_form(),
    )
    chosen = [APPROVE if counts else REJECT]
    event = {"chosen_options": chosen, "params_input": {}, "responded_at": datetime(2026, 1, 1, tzinfo=UTC)}

    said = task.execute_complete({}, {**event, "responded_by_user": None, "timedout": True})

    assert (task.defaults, said["approved"], said["by"]) == (chosen, counts, None)


@pytest.mark.parametrize("version", ["", "0", "02", "newest"])
def test_a_release_of_what_is_no_version_cannot_be_asked_for(
    run_dag: RunDag, set_release: SetRelease, home: Path, version: str
) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError, match="Invalid input for param version"):
        run_dag(RELEASE, {"version": version}, alone=True)

    assert not (home / "calls").exists()


def test_a_training_starts_the_release_by_stages_of_what_the_gate_promoted(
    run_dag: RunDag, set_release: SetRelease, home: Path
) -> None:
    import sqlalchemy as sa
    from airflow.models import DagRun
    from airflow.utils.session import create_session

    run = run_dag(TRAIN)

    assert states(run)["start_release"] == "success"
    assert not {"deploy", "calibrate"} & set(states(run))
    with create_session() as session:
        started = session.scalars(
            sa.select(DagRun).filter_by(dag_id=RELEASE, run_id=f"{run.run_id}_released")
        ).one()
        assert started.conf == {"version": "1", "reason": "The gate promoted it."}


def test_what_the_gate_holds_starts_no_release(
    run_dag: RunDag, set_release: SetRelease, heavy: SetScript
) -> None:
    heavy({"gate": [{"result": {"verdict": "hold", "why": "It is no better."}}]})

    assert states(run_dag(TRAIN))["start_release"] == "skipped"
