"""The training DAG from end to end: real child processes, the heavy work behind them scripted."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from plugins import verbs
from tests.dags.runs import RunDag, SetScript, asked, states, tries, xcom

TRAIN = "train_review_sentiment"
CHECKED = ("count", "preflight", "check_labels", "quarantine")
JUDGED = (
    *CHECKED,
    "report_quarantined",
    "snapshot",
    "validate",
    "train",
    "package",
    "champion",
    "evaluate",
    "gate",
)
RELEASED = ("register", "describe", "deploy", "calibrate")


def all_in(state: str, *tasks: str) -> dict[str, str]:
    return dict.fromkeys(tasks, state)


def test_a_promoted_candidate_is_registered_and_deployed(
    run_dag: RunDag, heavy: SetScript, home: Path
) -> None:
    from plugins.pages.of_airflow import training_of

    conf = {"reason": "to see it run", "epochs": 3, "as_of": "2026-01-01T00:00:00Z"}
    run = run_dag(TRAIN, conf, at=datetime(2026, 1, 1, tzinfo=UTC))

    assert run.state == "success"
    assert states(run) == all_in("success", *JUDGED, *RELEASED)
    [request] = asked(home, "train")
    assert request["reason"] == "to see it run"
    assert request["parameters"]["epochs"] == 3
    assert request["snapshot"]["as_of"] == "2026-01-01T00:00:00Z"
    person = run.triggering_user_name
    assert request["context"]["actor"] == f"airflow:{TRAIN}/{run.run_id}/train, asked for by {person}"
    assert request["context"]["work_url"].startswith(str(home / "runs" / TRAIN))
    assert xcom(run, "train", "_link_MLflowRunLink") == "http://127.0.0.1:5000/#/experiments/7/runs/run-1"
    assert xcom(run, "gate", "_link_MLflowRunLink") == "http://127.0.0.1:5000/#/experiments/7/runs/run-1"
    folder = request["context"]["work_url"].removeprefix(str(home / "runs")).removesuffix("/train")
    assert (
        xcom(run, "validate", "_link_ValidationReportLink")
        == f"/prefix/perennial/runs{folder}/validate/report.html"
    )
    assert (
        xcom(run, "evaluate", "_link_EvaluationReportLink")
        == f"/prefix/perennial/runs{folder}/evaluate/evaluation.html"
    )
    shown = training_of("review_sentiment")
    assert shown is not None
    assert (shown.run_id, shown.curves.run_id) == (run.run_id, "run-1")
    assert shown.curves.curves[0].points == ((1, 0.5), (2, 0.25))


def test_a_batch_whose_labels_seem_wrong_fails_the_run_and_the_training_goes_on_without_it(
    run_dag: RunDag, heavy: SetScript, home: Path
) -> None:
    findings = {"batch_id": "b7", "rows": 300, "history_rows": 900}
    bad = {"findings": findings, "state": "quarantined", "why": "The batch b7 is quarantined."}
    heavy({"check_labels": [{"result": {"verdicts": [bad]}}]})

    run = run_dag(TRAIN)

    assert run.state == "failed"
    others = [task for task in JUDGED if task != "report_quarantined"]
    assert states(run) == all_in("success", *others, *RELEASED) | {"report_quarantined": "failed"}
    [request] = asked(home, "quarantine")
    assert request["check"]["verdicts"][0]["why"] == "The batch b7 is quarantined."
    assert asked(home, "snapshot")[0]["label_check"] == request["check"]


def test_what_the_gate_does_not_promote_is_not_released_and_the_run_succeeds(
    run_dag: RunDag, heavy: SetScript, capfd: pytest.CaptureFixture[str]
) -> None:
    heavy({"gate": [{"result": {"verdict": "hold", "why": "It is no better than the champion."}}]})

    run = run_dag(TRAIN)

    assert run.state == "success"
    assert states(run) == all_in("success", *JUDGED) | all_in("skipped", *RELEASED)
    assert xcom(run, "gate")["why"] == "It is no better than the champion."
    assert "The gate says hold: It is no better than the champion." in capfd.readouterr().out


def test_a_held_candidate_is_judged_again_on_newer_rows_without_a_training(
    run_dag: RunDag, heavy: SetScript, home: Path
) -> None:
    run = run_dag("judge_again_review_sentiment")

    again = ("held", "snapshot", "validate", "take_up", "package", "champion", "evaluate", "gate")
    assert states(run) == all_in("success", *again, *RELEASED)
    [asked_for] = asked(home, "take_up")
    assert asked_for["held"]["entry"] == 7
    assert asked(home, "evaluate")[0]["run"] == xcom(run, "take_up")
    assert asked(home, "train") == []


def test_a_persons_answer_to_a_label_incident_is_asked_for_as_it_was_given(
    run_dag: RunDag, heavy: SetScript, home: Path
) -> None:
    said = {"model": "review_sentiment", "answer": "the_world", "reason": "The shop changed its scale."}

    assert run_dag("label_incident_model", said).state == "success"

    [request] = asked(home, "label_incident")
    assert {name: request[name] for name in said} == said


def test_a_breaker_is_closed_for_the_reason_that_a_person_gave(
    run_dag: RunDag, heavy: SetScript, home: Path
) -> None:
    said = {"model": "review_sentiment", "reason": "The labels were late."}

    assert run_dag("close_breaker_model", said).state == "success"

    [request] = asked(home, "close_breaker")
    assert {name: request[name] for name in said} == said


@pytest.mark.parametrize("verdict", ["hold", "reject", "something new"])
def test_only_a_promotion_is_released(verdict: str) -> None:
    assert (
        verbs.not_promoted({"decision": {"verdict": verdict, "why": "So."}})
        == f"The gate says {verdict}: So."
    )
    assert verbs.not_promoted({"decision": {"verdict": "promote", "why": "So."}}) is None


@pytest.mark.parametrize(
    ("conf", "sentence"),
    [
        ({"epoch": 3}, "There is no parameter epoch. Known: as_of, batch_size, "),
        ({"as_of": "2999-01-01T00:00:00Z"}, "as_of is 2999-01-01T00:00:00Z, which lies in the future"),
    ],
)
def test_a_run_that_asks_for_what_there_is_not_fails_in_its_first_task(
    run_dag: RunDag,
    heavy: SetScript,
    home: Path,
    capfd: pytest.CaptureFixture[str],
    conf: dict[str, Any],
    sentence: str,
) -> None:
    run = run_dag(TRAIN, conf)

    assert states(run) == all_in("failed", "count") | all_in("upstream_failed", *JUDGED[1:], *RELEASED)
    assert tries(run)["count"] == 1
    assert sentence in capfd.readouterr().out
    assert asked(home, "count") == []


def test_a_training_that_is_killed_is_tried_again_with_the_same_request(
    run_dag: RunDag, heavy: SetScript, home: Path
) -> None:
    heavy({"train": [{"killed": True}, {"exit": 1, "error": "MLflow does not answer."}]})

    run = run_dag(TRAIN)

    assert run.state == "success"
    assert tries(run)["train"] == 3
    first, second, third = asked(home, "train")
    assert first == second == third


def test_a_card_that_cannot_be_written_reddens_the_run_and_the_release_goes_on(
    run_dag: RunDag, heavy: SetScript, home: Path
) -> None:
    heavy({"describe": [{"exit": 20, "error": "The version is another model's."}]})

    run = run_dag(TRAIN)

    assert run.state == "failed"
    assert states(run) == all_in("success", *JUDGED, *RELEASED) | {"describe": "failed"}
    [request] = asked(home, "describe")
    assert request["version"]["version"] == "1"
    assert request["energy"]["processor_watts"] == 10


def test_a_refusal_is_final_and_its_evidence_is_linked(
    run_dag: RunDag, heavy: SetScript, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    report = str(home / "runs" / "report.html")
    heavy(
        {
            "validate": [
                {"exit": 10, "error": "12 of 30 rows break the suite.", "evidence": {"report_url": report}}
            ]
        }
    )

    run = run_dag(TRAIN)

    assert run.state == "failed"
    assert tries(run)["validate"] == 1
    at = JUDGED.index("validate")
    upstream = all_in("success", *JUDGED[:at])
    downstream = all_in("upstream_failed", *JUDGED[at + 1 :], *RELEASED)
    assert states(run) == upstream | {"validate": "failed"} | downstream
    assert "12 of 30 rows break the suite." in capfd.readouterr().out
    assert xcom(run, "validate", "_link_ValidationReportLink") == "/prefix/perennial/runs/report.html"
