"""What `perennial status` says of objectives: a line each, and what is wrong with them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.contracts import Estimate, ModelFigures, Objective
from tasks.monitoring.slo import figures
from tasks.settings import settings
from tests.unit.cli.conftest import Ask
from tests.unit.cli.test_airflow_client import LOGIN, Serve, serve

__all__ = ["serve"]


def objective(**changes: Any) -> Objective:
    fields: dict[str, Any] = {
        "name": "availability",
        "promise": "99.9 % of the requests are answered",
        "target": 0.999,
        "window_days": 30,
        "total": 1000,
        "good": 1000,
        "value": Estimate(value=1, low=1, high=1),
        "budget_left": 0.75,
        "burning": "no",
        "burns": (),
        "kept": "kept",
        "why": "100 % of 1000 requests were answered. 75% of the budget of 30 days is left.",
    }
    return Objective.model_validate(fields | changes)


def looked(*objectives: Objective, minutes_ago: float = 1, model: str = "far") -> ModelFigures:
    unknown = dict.fromkeys(
        ("serving_since", "promoted_at", "state", "checked_at", "accuracy", "latency_seconds")
    )
    return ModelFigures(
        model=model, at=datetime.now(UTC) - timedelta(minutes=minutes_ago), model_version="1", labelled=0,
        objectives=objectives, **unknown,
    )  # fmt: skip


@pytest.fixture
def elsewhere(serve: Serve, monkeypatch: pytest.MonkeyPatch, home: object) -> Any:
    """A platform elsewhere, whose Airflow gives these figures."""

    def at(*kept: ModelFigures) -> None:
        nothing = {"task_instances": [], "dag_runs": [], "import_errors": []}
        paths = ("dags/~/dagRuns/~/taskInstances", "dags/~/dagRuns", "importErrors", "version")
        airflow = serve(
            {
                **LOGIN,
                **{f"GET /api/v2/{path}": (200, nothing) for path in paths},
                "GET /api/v2/monitor/health": (200, {}),
                "GET /api/v2/dags": (200, {"dags": [{"dag_id": "train_far", "is_paused": False}]}),
                "GET /api/v2/dags/train_far/dagRuns": (200, {"dag_runs": []}),
                "GET /v1/models": (200, {"models": []}),
                "GET /perennial/ledger/entries": (200, {"entries": []}),
                "GET /perennial/ledger/broken?end=True": (200, {"findings": []}),
                "GET /perennial/ledger/figures": (
                    200,
                    {"figures": [each.model_dump(mode="json") for each in kept]},
                ),
            }
        )
        monkeypatch.setenv("PERENNIAL_URL", airflow.url)
        monkeypatch.setenv("PERENNIAL_TOKEN", "good")
        settings.cache_clear()

    return at


def test_each_objective_is_a_line_with_what_is_left_of_its_budget(ask: Ask, elsewhere: Any) -> None:
    elsewhere(looked(objective(), objective(name="latency", promise="99 % come within 0.1 s")))
    told = ask("status")
    assert told.code == 0
    lines = [line for line in told.said.splitlines() if line.startswith("Objective: far: ")]
    assert lines == [
        "Objective: far: 99.9 % of the requests are answered. 100 % of 1000 requests were answered. "
        "75% of the budget of 30 days is left.",
        "Objective: far: 99 % come within 0.1 s. 100 % of 1000 requests were answered. "
        "75% of the budget of 30 days is left.",
    ]
    [known] = json.loads(ask("status", "--json").shown)["figures"]
    assert [each["budget_left"] for each in known["objectives"]] == [0.75, 0.75]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"kept": "missed", "budget_left": -1},
            "Wrong: far misses its objective that 99.9 % of the",
        ),
        ({"burning": "fast"}, "Wrong: far is about to miss its objective that 99.9 % of the"),
    ],
)
def test_what_is_missed_or_burns_fast_is_wrong(
    ask: Ask, elsewhere: Any, changes: dict[str, Any], told: str
) -> None:
    elsewhere(looked(objective(**changes)))
    answer = ask("status")
    assert (answer.code, told in answer.said) == (3, True)


def test_what_burns_slowly_is_no_reason_to_get_up(ask: Ask, elsewhere: Any) -> None:
    elsewhere(looked(objective(burning="slowly")))
    assert ask("status").code == 0


def test_a_look_of_long_ago_is_told_as_such(ask: Ask, elsewhere: Any) -> None:
    elsewhere(looked(objective(), minutes_ago=40))
    assert "does reconcile_ledger run?)" in ask("status").said


def test_a_ledger_that_is_here_is_read_here(home: object) -> None:
    from cli.place import Place

    figures.keep(looked(objective()))
    [found] = Place().figures()
    assert found.objectives == (objective(),)
