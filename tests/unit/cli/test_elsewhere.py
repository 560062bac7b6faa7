"""A platform elsewhere: which addresses are told of it, and what cannot be known of it."""

import json

import pytest

from cli.place import Place
from tasks.contracts import Action
from tasks.ledger import entries
from tasks.settings import settings
from tests.unit.cli.conftest import Ask
from tests.unit.cli.test_airflow_client import LOGIN, Serve, serve

__all__ = ["serve"]


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, home: object) -> None:
    for name in ("GATEWAY_URL", "MLFLOW_URL", "AIRFLOW_PASSWORD", "PUBLIC_URL"):
        monkeypatch.delenv(f"PERENNIAL_{name}", raising=False)
    monkeypatch.setenv("PERENNIAL_URL", "https://models.example.org")
    monkeypatch.setenv("PERENNIAL_TOKEN", "good")
    settings.cache_clear()


@pytest.mark.parametrize(
    ("variables", "addresses"),
    [
        ({}, ["https://models.example.org/mlflow/", "https://models.example.org/v1/models"]),
        (
            {"GATEWAY_URL": "https://gateway.example.org/", "MLFLOW_URL": "https://mlflow.example.org"},
            ["https://mlflow.example.org", "https://gateway.example.org/v1/models"],
        ),
        (
            {"MLFLOW_PAGES": "https://pages.example.org"},
            ["https://pages.example.org", "https://models.example.org/v1/models"],
        ),
    ],
)
def test_open_says_the_addresses_that_are_named(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], addresses: list[str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"PERENNIAL_{name}", value)
    settings.cache_clear()
    airflow, models, *others = json.loads(ask("open", "--json").shown)["pages"]
    assert (airflow["address"], airflow["user"]) == ("https://models.example.org/", ""), "a token is nobody's"
    assert models["address"] == "https://models.example.org/perennial/models/"
    assert [each["address"] for each in others] == addresses


def test_the_services_behind_a_proxy_here_are_told_by_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PERENNIAL_URL")
    monkeypatch.setenv("PERENNIAL_PUBLIC_URL", "https://here.example.org/")
    monkeypatch.setenv("PERENNIAL_GATEWAY_URL", "http://gateway:8000")
    settings.cache_clear()
    place = Place()
    assert (place.gateway_url, place.mlflow_url) == (
        "https://here.example.org",
        "https://here.example.org/mlflow/",
    )


def test_what_cannot_be_known_of_its_models_is_said(
    ask: Ask, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    dags = [{"dag_id": "train_far", "is_paused": False}]
    airflow = serve(
        {**LOGIN, "GET /api/v2/dags": (200, {"dags": dags}), "GET /v1/models": (200, {"models": []})}
    )
    monkeypatch.setenv("PERENNIAL_URL", airflow.url)
    told = ask("models")
    assert [row[:3] for row in told.rows] == [["far", "-", "-"]]
    assert "TASK, TABLES, TRAINS, OWNER and ABOUT are in the files of the models" in told.said


def test_status_tells_of_an_altered_ledger_and_of_a_batch_that_waits_for_a_person(
    ask: Ask, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    quarantined = entries.record(
        model="far", actor="tests", action=Action.BATCH, before="b7", after="quarantined",
        why="It is poison.", evidence={},
    )  # fmt: skip
    waiting = {"entries": [quarantined.model_dump(mode="json")]}
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
            "GET /perennial/ledger/entries": (200, waiting),
            "GET /perennial/ledger/late": (200, {"late": []}),
            "GET /perennial/ledger/broken?end=True": (
                200,
                {"findings": ["Entry 3 of the ledger is changed."]},
            ),
        }
    )
    monkeypatch.setenv("PERENNIAL_URL", airflow.url)
    told = ask("status")
    assert (told.code, [row[0] for row in told.rows]) == (3, ["far"])
    assert "Wrong: Entry 3 of the ledger is changed." in told.said
    assert 'perennial decide far b7 release --why "...", or confirm in place of release' in told.said
