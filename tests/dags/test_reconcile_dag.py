"""The look of each minute, and the step behind it."""

from pathlib import Path

import pytest

from plugins import housekeeping
from plugins.pages import of_airflow
from tasks.contracts import Mismatch
from tasks.errors import ServiceAway
from tasks.release import agreement, observe
from tasks.stores import mlflow_rest
from tests.dags.runs import RunDag, SetScript, asked, states


def test_what_differs_is_settled_and_a_service_that_is_away_is_waited_for(
    run_dag: RunDag, heavy: SetScript, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> list[str]:
        raise ServiceAway("MLflow does not answer.")

    actors: list[str] = []
    monkeypatch.setattr(housekeeping, "give_back_unstarted", lambda _, actor: actors.append(actor))
    monkeypatch.setattr(housekeeping, "differing_models", lambda: ["review_sentiment"])
    run = run_dag("reconcile_ledger")
    handed_over = dict.fromkeys(("handed_over", "start_release"), "skipped")
    settled = {"look": "success", "reconcile": "success", "faults": "success"}
    assert states(run) == settled | {"send_alerts": "skipped"} | handed_over
    person = f", asked for by {run.triggering_user_name}"
    assert actors == [f"airflow:reconcile_ledger/{run.run_id}/look{person}"]
    [request] = asked(home, "reconcile")
    assert (request["models"], request["thorough"]) == ([], True)

    monkeypatch.setattr(housekeeping, "differing_models", away)
    nothing = dict.fromkeys(("look", "reconcile", "faults", "send_alerts"), "skipped") | handed_over
    assert states(run_dag("reconcile_ledger")) == nothing


def test_what_differs_is_kept_for_the_pages_until_it_is_settled(
    run_dag: RunDag, heavy: SetScript, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = "ann changed MLflow's alias champion to version 2, but version 1 serves."
    found = [Mismatch(model="review_sentiment", kind="person", entry=None, why=moved)]
    monkeypatch.setattr(housekeeping, "give_back_unstarted", lambda *_: [])
    monkeypatch.setattr(mlflow_rest, "registered_models", lambda *_: [])
    monkeypatch.setattr(observe, "mismatches", lambda _: found)
    fails = {"result": {"settled": [], "faults": ["The backend does not answer."]}}
    heavy({"reconcile": [fails, {"result": {"settled": [], "faults": []}}]})

    assert states(run_dag("reconcile_ledger"))["faults"] == "failed"
    assert [(each.model, each.why) for each in agreement.disagreements()] == [("review_sentiment", moved)]
    failed = of_airflow.failed_reconciliation()
    assert failed is not None

    run = run_dag("reconcile_ledger")
    assert (states(run)["faults"], failed.run_id != run.run_id) == ("success", True)
    assert agreement.disagreements() == []
    assert of_airflow.failed_reconciliation() is None


def test_what_differs_is_settled_though_the_objectives_cannot_be_looked_at(
    run_dag: RunDag,
    heavy: SetScript,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken() -> None:
        raise LookupError("the count of a model fails")

    monkeypatch.setattr(housekeeping, "give_back_unstarted", lambda *_: [])
    monkeypatch.setattr(housekeeping, "differing_models", lambda: ["review_sentiment"])
    monkeypatch.setattr(housekeeping, "is_due", lambda *_: True)
    monkeypatch.setattr(housekeeping, "look_at_objectives", broken)

    run = run_dag("reconcile_ledger")

    assert (states(run)["look"], states(run)["reconcile"]) == ("success", "success")
    assert "the count of a model fails" in caplog.text


def test_a_release_that_was_handed_over_is_started_where_something_could_not_be_settled_too(
    run_dag: RunDag,
    heavy: SetScript,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(housekeeping, "give_back_unstarted", lambda *_: [])
    monkeypatch.setattr(housekeeping, "differing_models", lambda: ["review_sentiment"])
    said = {"outcome": "handed over", "why": "ann moved the alias.", "version": "8", "entry": 42}
    result = {"settled": [{"model": "review_sentiment", **said}], "faults": ["Staging does not answer."]}
    heavy({"reconcile": [{"result": result}]})

    run = run_dag("reconcile_ledger")

    assert (states(run)["start_release"], states(run)["faults"]) == ("success", "failed")
    assert "Staging does not answer." in capfd.readouterr().out


def test_a_release_that_was_handed_over_is_started(
    run_dag: RunDag, heavy: SetScript, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlalchemy as sa
    from airflow.models import DagRun
    from airflow.utils.session import create_session

    monkeypatch.setattr(housekeeping, "give_back_unstarted", lambda *_: [])
    monkeypatch.setattr(housekeeping, "differing_models", lambda: ["review_sentiment"])
    said = {"outcome": "handed over", "why": "ann moved the alias.", "version": "7", "entry": 41}
    other = {"model": "review_sentiment", "outcome": "undone", "why": "So."}
    heavy({"reconcile": [{"result": {"settled": [other, {"model": "review_sentiment", **said}]}}] * 2})

    runs = [run_dag("reconcile_ledger") for _ in range(2)]

    started = "release_review_sentiment", "reconciled_41"
    with create_session() as session:
        [run] = session.scalars(sa.select(DagRun).filter_by(dag_id=started[0], run_id=started[1]))
        assert run.conf == {"version": "7", "reason": "ann moved the alias."}
    assert [states(run)["start_release"] for run in runs] == ["success", "skipped"]
