"""`perennial reproduce` where a platform runs: by its DAG, which fails where another model comes of it."""

from typing import Any

import pytest

from cli.asked import RunFailed
from cli.reproduce import _by_airflow
from tests.unit.cli.conftest import Ask
from tests.unit.cli.test_airflow_client import LOGIN, Serve, serve
from tests.unit.reproduced import reproduction

DAG = "GET /api/v2/dags/reproduce_m"
CONF = {"version": "3", "code": "recorded"}

__all__ = ["serve"]


def airflow(state: str, task: str, result: tuple[int, Any]) -> dict[str, Any]:
    """The answers of an Airflow whose run ended in `state`; the result is of the step `task`."""
    runs = f"{DAG}/dagRuns/one"
    return {
        **LOGIN,
        f"{DAG}/details": (200, {"is_paused": False, "params": dict.fromkeys(CONF)}),
        "POST /api/v2/dags/reproduce_m/dagRuns": (200, {}),
        runs: (200, {"state": state}),
        f"{runs}/taskInstances": (200, {"task_instances": []}),
        f"{runs}/taskInstances/{task}/xcomEntries/return_value": result,
    }


@pytest.mark.parametrize(
    ("state", "task", "verdict"), [("success", "attest", "identical"), ("failed", "reproduce", "different")]
)
def test_the_comparison_is_told_whether_the_dag_fails_or_not(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, state: str, task: str, verdict: str
) -> None:
    monkeypatch.setattr("cli.airflow.Airflow.start", lambda *_: "one")
    found = reproduction(verdict=verdict)

    told = _by_airflow(
        serve(airflow(state, task, (200, {"value": found.model_dump_json()}))), "m", CONF, unpause=False
    )

    assert told == found


def test_a_step_that_failed_is_no_comparison(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.airflow.Airflow.start", lambda *_: "one")
    with pytest.raises(RunFailed, match="reproduce_m failed"):
        _by_airflow(serve(airflow("failed", "reproduce", (404, {}))), "m", CONF, unpause=False)


def test_what_is_no_number_of_a_version_is_refused(ask: Ask, ledger: None) -> None:
    for version in ("0", "-1", "latest", "1.0", "²"):
        assert ask("reproduce", "review_sentiment", "--", version).code == 2
