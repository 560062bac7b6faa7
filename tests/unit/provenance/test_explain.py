"""The step that explains, and the words of the command that ask a platform elsewhere by it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import Explained, ExplainRequest, StepContext
from tasks.provenance.explain import explain
from tests.unit.cli.conftest import Ask, ask
from tests.unit.cli.test_airflow_client import LOGIN, Serve, serve
from tests.unit.provenance.conftest import POISON, POISONED
from tests.unit.provenance.world import MODEL, World

DAG = "GET /api/v2/dags/explain_subject"
RUN = f"{DAG}/dagRuns/one"

__all__ = ["ask", "serve"]


@pytest.fixture(scope="module")
def explained(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Explained]:
    """What the step says of an answer and of a batch."""
    context = StepContext(actor="tests", step_key="explain", work_url=str(tmp_path_factory.mktemp("work")))
    return {
        subject: explain(ExplainRequest(context=context, subject=subject)) for subject in (POISONED, POISON)
    }


@pytest.fixture
def elsewhere(
    serve: Serve, explained: dict[str, Explained], monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """A platform at an address, here a small server; the form of each run that was started there."""
    started: dict[str, Any] = {}

    def start(_airflow: object, dag_id: str, conf: dict[str, Any], **_: object) -> str:
        started[dag_id] = conf
        answers[f"{RUN}/taskInstances/explain/xcomEntries/return_value"] = (
            200,
            {"value": explained[started["explain_subject"]["subject"]].model_dump_json()},
        )
        return "one"

    decided = "GET /api/v2/dags/decide_batch_model"
    answers: dict[str, Any] = {
        **LOGIN,
        "GET /api/v2/dags": (200, {"dags": [{"dag_id": f"train_{MODEL}"}], "total_entries": 1}),
        f"{DAG}/details": (200, {"is_paused": False, "params": {"subject": None}}),
        RUN: (200, {"state": "success"}),
        f"{decided}/details": (
            200,
            {"is_paused": False, "params": dict.fromkeys(("model", "batch_id", "decision", "reason"))},
        ),
        f"{decided}/dagRuns/one": (200, {"state": "success"}),
        f"{decided}/dagRuns/one/taskInstances/decide_batch/xcomEntries/return_value": (
            200,
            {"value": json.dumps({"before": "quarantined", "after": "confirmed"})},
        ),
    }
    monkeypatch.setattr("cli.airflow.Airflow.start", start)
    monkeypatch.setenv("PERENNIAL_URL", serve(answers).url)
    monkeypatch.setenv("PERENNIAL_TOKEN", "good")
    monkeypatch.setenv("PERENNIAL_HOME", "/nowhere")
    return started


def test_the_step_says_what_the_command_says_and_writes_the_page(explained: dict[str, Explained]) -> None:
    found = explained[POISONED]
    assert found.explanation.why[0].startswith("2026-01-05 12:00:00 UTC: review_sentiment answered 1")
    assert Path(found.report_url).read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_platform_elsewhere_says_why_through_its_dag(
    ask: Ask, elsewhere: dict[str, Any], explained: dict[str, Explained], tmp_path: Path
) -> None:
    told = ask("why", POISONED, columns=160)
    assert (told.code, elsewhere["explain_subject"]) == (0, {"subject": POISONED})
    assert told.shown.startswith(explained[POISONED].explanation.why[0][:50])
    assert ask("why", POISONED, "--html", str(tmp_path / "why.html")).code == 0
    assert (tmp_path / "why.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    shown = json.loads(ask("lineage", POISONED, "--json").shown)
    assert shown["lineage"]["run_id"] == explained[POISONED].explanation.lineage.run_id


def test_the_rows_of_a_platform_elsewhere_are_written_on_its_own_machine(
    ask: Ask, elsewhere: dict[str, Any], tmp_path: Path
) -> None:
    told = ask("lineage", POISONED, "--rows", str(tmp_path / "rows.parquet"))
    assert (told.code, "Ask on its own machine" in " ".join(told.said.split())) == (20, True)
    assert not elsewhere


def test_a_batch_of_a_platform_elsewhere_is_found_by_its_file(ask: Ask, elsewhere: dict[str, Any]) -> None:
    told = ask("decide", MODEL, POISON, "confirm", "--why", "Its labels are inverted.")
    assert (told.code, told.shown) == (
        0,
        f"{MODEL} has the batch {POISON} as confirmed; it was quarantined.\n",
    )
    assert elsewhere["decide_batch_model"]["batch_id"] == POISON
    refused = ask("decide", MODEL, POISONED, "confirm", "--why", "No.")
    assert (refused.code, "only a batch can be decided on" in " ".join(refused.said.split())) == (20, True)
