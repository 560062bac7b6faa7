"""`perennial triggers`: what the files, the ledger and Airflow say together, here and elsewhere."""

import json

import pytest

from tasks.settings import settings
from tests.unit.cli.conftest import Ask
from tests.unit.cli.test_airflow_client import LOGIN, Serve, serve

__all__ = ["serve"]

MODEL = "review_sentiment"


def dag(dag_id: str, *, paused: bool = False) -> dict[str, object]:
    return {"dag_id": dag_id, "is_paused": paused, "next_dagrun_run_after": "2026-11-29T02:00:00Z"}


def test_here_each_trigger_says_when_airflow_looks_next_and_that_its_dag_is_paused(
    ask: Ask, serve: Serve, home: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    dags = [dag(f"train_{MODEL}"), dag(f"drift_{MODEL}", paused=True)]
    airflow = serve({**LOGIN, "GET /api/v2/dags": (200, {"dags": dags})})
    monkeypatch.delenv("PERENNIAL_URL", raising=False)
    monkeypatch.setenv("PERENNIAL_AIRFLOW_URL", airflow.url)
    monkeypatch.setenv("PERENNIAL_TOKEN", "good")
    settings.cache_clear()

    answer = ask("triggers", MODEL)

    assert answer.code == 0
    rows = {row[1]: row for row in answer.rows}
    assert rows["calendar"][2:4] == ["yes", "2026-11-29 02:00:00Z"]
    assert rows["manual"][2:4] == ["yes", "-"]
    assert rows["drift"][3] == "-"
    assert rows["drift"][4].startswith(f"The DAG drift_{MODEL} is paused.")
    assert rows["code"][2] == "no"


def test_elsewhere_its_dag_says_what_only_the_platform_sees(
    ask: Ask, serve: Serve, home: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.airflow.datetime", _Clock)
    run = "/api/v2/dags/show_triggers/dagRuns/manual__now"
    found = {
        "models": [
            {
                "model": "far",
                "triggers": [
                    {"trigger": "data", "armed": True, "dag_id": "train_far", "by": "rows that join",
                     "waits_for": "3,214 of 10,000 new rows."},
                ],
            }
        ]
    }  # fmt: skip
    airflow = serve(
        {
            **LOGIN,
            "GET /api/v2/dags": (200, {"dags": [dag("train_far", paused=True)]}),
            "GET /api/v2/dags/show_triggers/details": (200, {"params": {"model": {}}, "is_paused": False}),
            "POST /api/v2/dags/show_triggers/dagRuns": (200, {"dag_run_id": "manual__now"}),
            f"GET {run}": (200, {"state": "success"}),
            f"GET {run}/taskInstances/triggers/xcomEntries/return_value": (200, {"value": json.dumps(found)}),
        }
    )
    monkeypatch.setenv("PERENNIAL_URL", airflow.url)
    monkeypatch.setenv("PERENNIAL_TOKEN", "good")
    settings.cache_clear()
    answer = ask("triggers", "far", "--json")
    [told] = json.loads(answer.shown)["models"]
    [trigger] = told["triggers"]
    assert (told["model"], trigger["waits_for"]) == ("far", "3,214 of 10,000 new rows.")
    assert trigger["against"] == ["The DAG train_far is paused."]


class _Clock:
    """A run's id is the time at which it is asked for."""

    @staticmethod
    def now(_zone: object) -> "_Clock":
        return _Clock()

    def isoformat(self) -> str:
        return "now"
