"""`perennial silence`, and what `status` says of alerts and silences."""

import json
from datetime import UTC, datetime

import pytest

from tasks.contracts import Action
from tasks.ledger import entries
from tasks.settings import settings
from tests.unit.cli.conftest import Ask
from tests.unit.cli.test_airflow_client import LOGIN, Serve, serve

__all__ = ["serve"]

DAG = "silence_alerts"


@pytest.fixture
def written(home: object, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PERENNIAL_URL", "PERENNIAL_AIRFLOW_URL"):
        monkeypatch.delenv(name, raising=False)
    for days, of in ((1e-9, None), (2, "drift")):
        entries.record(
            model="far", actor="ann", action=Action.SILENCE, before=of or "all", after="silenced",
            why="The sale\nis on.", evidence={"of": of, "days": days},
        )  # fmt: skip


def test_the_silences_that_hold_are_listed(ask: Ask, written: None) -> None:
    answer = ask("silence", "--list")
    assert answer.code == 0
    assert [[*row[:2], *row[3:]] for row in answer.rows] == [["far", "drift", "ann", "The sale is on."]]
    [last] = json.loads(ask("silence", "far", "--list", "--json").shown)["silences"]
    left = datetime.fromisoformat(last["until"]) - datetime.now(UTC)
    assert (last["of"], left.days) == ("drift", 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--for", "2d"], "say why in a sentence"),
        (["--why", "I know."], "say how long: give it as 12h, 2d or 1w"),
        (["--for", "two days", "--why", "I know."], "'two days' is no length of time"),
        (["--for", "0d", "--why", "I know."], "'0d' is no length of time"),
        (["--for", "99999999w", "--why", "I know."], "longer than a silence may be (90d)"),
        (["--end", "--for", "2d", "--why", "I know."], "--end ends a silence, and --for begins one"),
        (["--for", "2d", "--why", "I know.", "--reason", "noise"], "'noise' is none of incident, drift,"),
    ],
)
def test_a_silence_says_how_long_of_what_and_why(
    ask: Ask, written: None, words: list[str], said: str
) -> None:
    answer = ask("silence", "far", *words)
    assert (answer.code, said in " ".join(answer.said.split())) == (2, True)


def test_a_silence_of_no_model_is_not_passed_over(ask: Ask, written: None) -> None:
    answer = ask("silence", "--for", "1d", "--why", "everything")
    assert (answer.code, "name the model or table" in " ".join(answer.said.split())) == (2, True)


def test_a_platform_elsewhere_is_asked_by_its_dag_and_its_status_tells_of_alerts(
    ask: Ask, serve: Serve, written: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    drift = entries.record(
        model="far", actor="tests", action=Action.DRIFT, before="r1", after="suggest",
        why="Amounts moved.", evidence={"decision": {"signals": []}},
    )  # fmt: skip
    history = [entry.model_dump(mode="json") for entry in entries.history("far")]
    assert history[-1]["sequence"] == drift.sequence
    slow = {"dag_id": "train_far", "run_id": "slow", "name": "far", "deadline": "2026-11-01T06:00:00Z"}
    late = [slow, {**slow, "dag_id": "train_near", "name": "near"}]
    nothing = {"task_instances": [], "dag_runs": [], "import_errors": []}
    airflow = serve(
        {
            **LOGIN,
            **{
                f"GET /api/v2/{path}": (200, nothing)
                for path in ("dags/~/dagRuns/~/taskInstances", "dags/~/dagRuns", "importErrors", "version")
            },
            "GET /api/v2/monitor/health": (200, {}),
            "GET /api/v2/dags": (200, {"dags": [{"dag_id": "train_far", "is_paused": False}]}),
            "GET /api/v2/dags/train_far/dagRuns": (200, {"dag_runs": []}),
            "GET /v1/models": (200, {"models": []}),
            "GET /perennial/ledger/entries": (200, {"entries": history}),
            "GET /perennial/ledger/late": (200, {"late": late}),
            "GET /perennial/ledger/broken?end=True": (200, {"findings": []}),
        }
    )
    monkeypatch.setenv("PERENNIAL_URL", airflow.url)
    monkeypatch.setenv("PERENNIAL_TOKEN", "good")
    settings.cache_clear()
    told = ask("status")
    assert told.code == 0, "an alert is not a fault of the platform"
    assert "Alert: far: drift, since" in told.said
    assert 'perennial train far --why "..."' in told.said
    assert "Alert: far: late, since" in told.said
    assert "The run of train_far should have ended by 2026-11-01 06:00 UTC." in told.said
    assert "train_near" not in told.said, "the platform has no such model"
    assert "Silenced: alerts about drift of far until" in told.said
    document = json.loads(ask("status", "--json").shown)
    assert [each["reason"] for each in document["alerts"]] == ["drift", "late"]
