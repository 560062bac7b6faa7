"""What starts a training by itself: the clock, or rows that joined its table; and what it says where there is
nothing to do.
"""

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
import yaml

from plugins.causes import asked_of_training, started_by, training_asked
from plugins.schedules import DAILY_LOOK, training_schedule
from tasks.settings import PROJECT, settings
from tests.dags.runs import RunDag, SetScript, asked, pause, states, xcom
from tests.unit.reviews import SPEC

if TYPE_CHECKING:
    from airflow.models import DagRun

MODEL, TABLE = "by_data", "joined"
TRAIN, DRIFT, COLLECT, INGEST = f"train_{MODEL}", f"drift_{MODEL}", f"collect_{MODEL}", f"ingest_{TABLE}"
NOTHING_NEW = {"exit": 30, "error": "3 rows have joined since."}

RunQueued = Callable[[str], "DagRun"]


@pytest.fixture
def model(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes a model on a table of its own, with what its `training` says."""
    folder = home / "models"
    shutil.copytree(PROJECT / "models" / "review_sentiment", folder / MODEL)
    monkeypatch.setenv("PERENNIAL_MODELS", str(folder))
    settings.cache_clear()

    def made(**training: Any) -> None:
        path = folder / MODEL / "pipeline.yaml"
        document = yaml.safe_load(path.read_text())
        document |= {"name": MODEL, "training": document["training"] | training}
        document["data"]["table"] = TABLE
        path.write_text(yaml.safe_dump(document))

    return made


def runs(dag_id: str) -> list[tuple[str, str]]:
    """The type and state of each run of a DAG that nobody asked for, the first one first."""
    from airflow.models import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        found = session.scalars(sa.select(DagRun).filter_by(dag_id=dag_id).order_by(DagRun.id))
        return [(str(run.run_type), str(run.state)) for run in found if run.run_type != "manual"]


def test_rows_that_join_a_table_start_one_training_and_not_one_each(
    model: Callable[..., None],
    run_dag: RunDag,
    heavy: SetScript,
    schedule: Callable[[], None],
    run_queued: RunQueued,
    home: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    model(trigger="data", schedule=None, minimum_new_rows=500)
    heavy({"count": [{}, NOTHING_NEW], "preflight": [{"exit": 10, "error": "Far enough."}]})
    run_dag(COLLECT)  # makes the DAGs known to the database
    pause(TRAIN, paused=False)
    schedule()
    assert runs(TRAIN) == []

    for _ in range(2):
        run_dag(INGEST)
    schedule()
    schedule()
    assert runs(TRAIN) == [("asset_triggered", "queued")]
    run_dag(INGEST)
    assert states(run_queued(TRAIN))["preflight"] == "failed"

    schedule()
    second = run_queued(TRAIN)
    assert set(states(second).values()) == {"skipped"}
    assert second.state == "success"
    assert "3 rows have joined since." in capfd.readouterr().out
    assert [request["minimum_new_rows"] for request in asked(home, "count")] == [500, 500]
    schedule()
    assert runs(TRAIN) == [("asset_triggered", "failed"), ("asset_triggered", "success")]


def test_by_the_clock_a_training_without_a_table_and_a_check_without_a_model_are_skipped_with_the_reason(
    model: Callable[..., None],
    run_dag: RunDag,
    heavy: SetScript,
    schedule: Callable[[], None],
    run_queued: RunQueued,
    home: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    model(trigger="both")
    no_table, no_model = ({"exit": 30, "error": f"There is no {what} yet."} for what in ("table", "model"))
    heavy({"count": [no_table, no_table], "drift": [no_model, no_model]})
    run_dag(COLLECT)
    pause(TRAIN, DRIFT, paused=False)

    schedule()
    training, check = run_queued(TRAIN), run_queued(DRIFT)

    assert (training.run_type, training.state) == ("scheduled", "success")
    assert set(states(training).values()) == {"skipped"}
    assert states(check) == {
        "collect": "success",
        "drift": "skipped",
        "approve": "skipped",
        "retrain": "skipped",
        "start_training": "skipped",
    }
    said = capfd.readouterr().out
    assert "There is no table yet." in said
    assert "There is no model yet." in said
    assert asked(home, "count")[0]["minimum_new_rows"] == 0
    schedule()
    for dag_id in (TRAIN, DRIFT):
        assert [kind for kind, _ in runs(dag_id)].count("scheduled") == 1, "the next one comes tomorrow"


def test_a_person_who_asks_for_what_cannot_be_done_is_told_by_a_failure(
    model: Callable[..., None], run_dag: RunDag, heavy: SetScript, capfd: pytest.CaptureFixture[str]
) -> None:
    model()
    heavy({"count": [{"exit": 30, "error": "There is no table yet."}], "drift": [NOTHING_NEW]})

    training, check = run_dag(TRAIN), run_dag(DRIFT)

    assert (training.state, states(training)["count"]) == ("failed", "failed")
    assert states(training)["preflight"] == "upstream_failed"
    assert (check.state, states(check)["drift"]) == ("failed", "failed")
    assert "There is no table yet." in capfd.readouterr().out
    assert xcom(training, "count") is None


@pytest.mark.parametrize(
    ("run_type", "reason", "kept"),
    [
        ("scheduled", None, "the schedule"),
        ("asset_triggered", None, "rows joined the table"),
        ("manual", None, "asked for by hand"),
        ("manual", "a first try", "a first try"),
    ],
)
def test_a_training_keeps_why_it_was_started(run_type: str, reason: str | None, kept: str) -> None:
    run: Any = {
        "params": {"reason": reason, "as_of": None, "epochs": 3},
        "dag_run": SimpleNamespace(run_type=run_type),
    }
    assert asked_of_training(run) == {"parameters": {"epochs": 3}, "reason": kept}


@pytest.mark.parametrize(
    ("run_type", "at", "by"),
    [
        ("asset_triggered", "2026-11-28T02:00:00Z", "data"),
        ("scheduled", "2026-11-28T02:00:00Z", "calendar"),
        ("scheduled", "2026-11-28T04:45:00Z", "age"),
        ("manual", "2026-11-28T02:00:00Z", "manual"),
        ("operator_triggered", "2026-11-28T02:00:00Z", "manual"),
    ],
)
def test_a_training_says_what_started_it(home: Path, run_type: str, at: str, by: str) -> None:
    aged = SPEC.training.model_copy(update={"schedule": "0 2 * * *", "maximum_age_days": 30})
    spec = SPEC.model_copy(update={"training": aged})
    when = datetime.fromisoformat(at)
    ran = SimpleNamespace(run_type=run_type, logical_date=when, run_after=when, run_id="retrain__1")
    assert started_by({"dag_run": ran}, spec) == by


@pytest.mark.parametrize(
    ("armed", "found", "by"),
    [
        ({"on_code_change": True}, None, "code"),
        ({"on_code_change": True, "maximum_age_days": 30}, "age", "age"),
        ({"on_code_change": True, "maximum_age_days": 30}, "code", "code"),
    ],
)
def test_a_look_of_each_day_says_whether_it_found_the_age_or_the_code(
    home: Path, armed: dict[str, Any], found: str | None, by: str
) -> None:
    spec = SPEC.model_copy(update={"training": SPEC.training.model_copy(update={"schedule": None, **armed})})
    when = datetime.fromisoformat("2026-11-28T04:45:00Z")
    ran = SimpleNamespace(run_type="scheduled", logical_date=when, run_after=when, run_id="scheduled__1")
    counted = SimpleNamespace(xcom_pull=lambda task_ids: {task_ids: {"look_found": found}}["count"])
    run: Any = {"dag_run": ran, "ti": counted, "params": {"reason": None, "as_of": None}}
    assert training_schedule(spec).timetables[0].expression == DAILY_LOOK
    assert training_asked(run, spec)["started_by"] == by
    assert {"age": "older than", "code": "the model's code is not"}[by] in training_asked(run, spec)["reason"]


def test_the_clock_looks_at_the_age_each_day_beside_the_schedule_or_beside_rows() -> None:
    for trigger, schedule, crons in (
        ("schedule", "0 2 * * 0", ["0 2 * * 0", DAILY_LOOK]),
        ("schedule", None, [DAILY_LOOK]),
        ("data", None, [DAILY_LOOK]),
    ):
        training = {"trigger": trigger, "schedule": schedule, "maximum_age_days": 30}
        spec = SPEC.model_copy(update={"training": SPEC.training.model_copy(update=training)})
        made = training_schedule(spec)
        clock = made.timetable if trigger == "data" else made
        assert [each.expression for each in clock.timetables] == crons
