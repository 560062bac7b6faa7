"""The operator that runs a step, in the DAG that has only
one: what it makes of every end that a step can come to.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from plugins import verbs
from tasks.settings import settings
from tests.dags.runs import RunDag, SetScript, asked, states, tries

COLLECT = "collect_review_sentiment"


@pytest.mark.parametrize(
    ("runner", "is_docker_s"), [("process", False), ("docker", True), ("kubernetes", False)]
)
def test_the_setting_chooses_the_operator(
    home: Path, monkeypatch: pytest.MonkeyPatch, runner: str, is_docker_s: bool
) -> None:
    from airflow.providers.docker.operators.docker import DockerOperator

    from plugins.operators import StepOperator, step_operator

    monkeypatch.setenv("PERENNIAL_RUNNER", runner)
    settings.cache_clear()
    chosen = step_operator()

    assert issubclass(chosen, StepOperator)
    assert issubclass(chosen, DockerOperator) is is_docker_s


def test_the_step_is_asked_for_its_model_and_knows_who_asks(
    run_dag: RunDag, heavy: SetScript, home: Path
) -> None:
    run = run_dag(COLLECT)

    assert run.state == "success"
    [request] = asked(home, "collect")
    assert request["spec"]["name"] == "review_sentiment"
    assert request["context"]["step_key"] == f"{COLLECT}/{run.run_id}/collect"


def test_what_the_step_prints_is_in_the_log_of_the_task(
    run_dag: RunDag, heavy: SetScript, capfd: pytest.CaptureFixture[str]
) -> None:
    run_dag(COLLECT)
    assert "collect says hello" in capfd.readouterr().out


@pytest.mark.parametrize("exit_code", [10, 20])
def test_a_check_that_said_no_and_a_wrong_request_are_final(
    run_dag: RunDag, heavy: SetScript, capfd: pytest.CaptureFixture[str], exit_code: int
) -> None:
    heavy({"collect": [{"exit": exit_code, "error": "This cannot be."}]})

    run = run_dag(COLLECT)

    assert run.state == "failed"
    assert tries(run) == {"collect": 1}
    assert "This cannot be." in capfd.readouterr().out


def test_a_fault_is_tried_three_times_in_all(run_dag: RunDag, heavy: SetScript) -> None:
    heavy({"collect": [{"exit": 1, "error": "No answer."}, {"exit": 3, "error": ""}, {"killed": True}]})

    run = run_dag(COLLECT)

    assert run.state == "failed"
    assert tries(run) == {"collect": 3}


@pytest.mark.parametrize(
    "lies", ['{"model": "x"}', "not JSON", ""], ids=["fields missing", "not JSON", "an empty file"]
)
def test_a_result_that_breaks_its_contract_is_final(
    run_dag: RunDag, heavy: SetScript, capfd: pytest.CaptureFixture[str], lies: str
) -> None:
    heavy({"collect": [{"lies": lies}]})

    run = run_dag(COLLECT)

    assert run.state == "failed"
    assert tries(run) == {"collect": 1}
    assert "breaks its contract" in capfd.readouterr().out


def test_a_step_that_takes_too_long_is_killed_and_tried_again(
    run_dag: RunDag, heavy: SetScript, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verbs, "STEP_LIMIT", timedelta(seconds=3))
    heavy({"collect": [{"sleeps": 600}]})

    run = run_dag(COLLECT)

    assert run.state == "success"
    assert tries(run) == {"collect": 2}


def test_a_result_that_airflow_did_not_hear_of_is_taken_and_one_that_it_heard_of_is_not(
    run_dag: RunDag, heavy: SetScript, home: Path
) -> None:
    once = datetime(2026, 1, 3, tzinfo=UTC)
    run_dag(COLLECT, at=once)
    [heard] = (home / "runs").glob("*/*/*/result.heard")
    heard.unlink()

    assert run_dag(COLLECT, at=once).state == "success"
    assert len(asked(home, "collect")) == 1

    assert run_dag(COLLECT, at=once).state == "success"
    assert len(asked(home, "collect")) == 2


def test_a_missing_environment_is_final_and_says_what_to_do(
    run_dag: RunDag, heavy: SetScript, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (home / "envs" / "ml" / "bin" / "python").unlink()

    run = run_dag(COLLECT)

    assert states(run) == {"collect": "failed"}
    assert tries(run) == {"collect": 1}
    assert "make setup" in capfd.readouterr().out
