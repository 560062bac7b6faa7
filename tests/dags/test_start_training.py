"""A ticket starts its training only while its request holds the model's lock."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.contracts import RetrainTicket
from tasks.monitoring import retrain
from tests.unit.monitoring.test_retrain import MODEL, ask


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs that Airflow was asked to start."""
    from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator

    runs: list[str] = []

    def start(operator: Any, context: Any) -> None:
        runs.append(operator.trigger_run_id)

    monkeypatch.setattr(TriggerDagRunOperator, "execute", start)
    return runs


def start(ticket: RetrainTicket, *, paused: bool = False) -> None:
    from plugins.operators import StartTraining

    operator = StartTraining(
        task_id="start_training", trigger_dag_id=f"train_{MODEL}", ticket=ticket.model_dump()
    )
    ti = SimpleNamespace(
        dag_id=f"drift_{MODEL}",
        run_id="1",
        task_id="start_training",
        map_index=-1,
        get_dag=lambda _: SimpleNamespace(is_paused=paused),
    )
    run = SimpleNamespace(triggering_user_name=None)
    operator.execute({"ti": ti, "dag_run": run})  # type: ignore[typeddict-item]


def test_a_ticket_that_the_pause_closed_starts_nothing_until_the_retrain_is_asked_for_again(
    home: Path, started: list[str]
) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    ticket = ask("drift/1/retrain")
    with pytest.raises(AirflowSkipException, match="Switch it on and ask again"):
        start(ticket, paused=True)

    with pytest.raises(AirflowSkipException, match=r"closed.*Clear the task that made the ticket"):
        start(ticket)
    assert (started, retrain.open_requests()) == ([], [])

    again = ask("drift/1/retrain")
    start(again)
    assert started == [again.train_run_id]
    assert not ask("drift/2/retrain", cooldown_seconds=0).granted
