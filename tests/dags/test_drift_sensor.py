"""The sensor that waits for a drift check, in DAGs that Airflow runs, with its trigger behind it."""

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from plugins.sensors.drift import VERDICTS, DriftSensor
from plugins.triggers.drift import DriftTrigger
from tasks.contracts import Action, LedgerEntry
from tasks.ledger import entries
from tests.dags.runs import states, xcom

if TYPE_CHECKING:
    from airflow.models import DagRun

MODEL = "review_sentiment"
EXAMPLE = Path(__file__).parent / "examples" / "after_drift.py"
RunSensor = Callable[..., "DagRun"]


def judge(verdict: str, model: str = MODEL) -> LedgerEntry:
    """What a drift check writes, as far as the sensor reads it."""
    why = f"The check says {verdict}."
    decision = {"model": model, "verdict": verdict, "why": why, "at": datetime.now(UTC)}
    return entries.record(
        model=model, actor="tests", action=Action.DRIFT, before="r1", after=verdict, why=why,
        evidence={"decision": decision},
    )  # fmt: skip


@pytest.fixture
def run_sensor(airflow_database: None, home: Path, monkeypatch: pytest.MonkeyPatch) -> RunSensor:
    """Runs a DAG of one sensor, or the example of the documents."""
    from airflow.dag_processing import dagbag
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.05)))

    def run(**arguments: Any) -> "DagRun":
        file = EXAMPLE
        if arguments:
            file = home / "own.py"
            told = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
            file.write_text(
                "import datetime\n"
                "from airflow.sdk import DAG\nfrom plugins.sensors.drift import DriftSensor\n"
                f"with DAG('own'):\n    DriftSensor(task_id='wait', {told})\n"
            )
        bag = dagbag.DagBag(str(file))
        assert not bag.import_errors
        DagBundlesManager().sync_bundles_to_db()
        dagbag.sync_bag_to_db(bag, "dags-folder", None)
        [dag] = bag.dags.values()
        with monkeypatch.context() as patched:  # the DAG is no file of the project's folder
            patched.setattr(dagbag, "BundleDagBag", lambda **_: None)
            patched.setattr(dagbag, "sync_bag_to_db", lambda *_: None)
            return dag.test()

    return run


def later(act: Callable[[], Any], seconds: float = 2.0) -> threading.Timer:
    timer = threading.Timer(seconds, act)
    timer.start()
    return timer


def test_the_example_of_the_documents_goes_on_with_the_verdict_that_comes(run_sensor: RunSensor) -> None:
    judge("retrain")  # of before the run: not what is waited for
    timers = [later(lambda: judge("quiet")), later(lambda: judge("incident"), 3)]

    run = run_sensor()

    assert states(run) == {"drifted": "success", "tell": "success"}
    decision = xcom(run, "drifted")
    assert (decision["verdict"], decision["entry"]) == ("incident", 3)
    assert entries.find(decision["ledger_hash"]).sequence == 3
    assert xcom(run, "tell") == f"{MODEL}: The check says incident."
    assert [timer.join() for timer in timers]


@pytest.mark.parametrize("since", [1, "1", datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00Z"])
def test_a_verdict_that_is_there_already_is_taken_at_once_and_the_oldest_counts(
    run_sensor: RunSensor, since: Any
) -> None:
    judge("quiet")
    judge("retrain", model="another")
    judge("wait")
    judge("quiet")
    run = run_sensor(model=MODEL, verdicts=("wait", "quiet"), since=since)
    assert xcom(run, "wait")["entry"] == (3 if since in (1, "1") else 1)


def test_what_did_not_come_in_time_is_said_with_what_came_instead(
    run_sensor: RunSensor, capfd: pytest.CaptureFixture[str]
) -> None:
    timer = later(lambda: judge("quiet"), 0.5)
    run = run_sensor(model=MODEL, verdicts=("retrain",), timeout=2, poll_interval=0.2, since=0)
    assert states(run) == {"wait": "failed"}
    said = capfd.readouterr().out
    assert f"No drift check of {MODEL} said retrain within 2 s. Its checks said quiet. The DAG drift_" in said
    timer.join()

    assert states(run_sensor(model=MODEL, timeout=0.3, soft_fail=True, since=1)) == {"wait": "skipped"}
    assert f"No drift check of {MODEL} ended within 0.3 s. There was none." in capfd.readouterr().out


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"model": "review_sentimant"}, "Do you mean review_sentiment?"),
        ({"model": "taxi"}, "There are: "),
        ({"model": MODEL, "since": "yesterday"}, "since is 'yesterday': give a time with its zone"),
        ({"model": MODEL, "since": "2026-01-01T00:00:00"}, "a time without a zone"),
    ],
)
def test_what_is_waited_for_in_vain_is_refused(
    run_sensor: RunSensor, capfd: pytest.CaptureFixture[str], wrong: dict[str, Any], told: str
) -> None:
    assert states(run_sensor(**wrong)) == {"wait": "failed"}
    assert told in capfd.readouterr().out


def test_a_verdict_that_no_check_gives_is_refused_where_the_dag_is_read() -> None:
    assert {"quiet", "incident", "retrain"} <= set(VERDICTS)
    with pytest.raises(ValueError, match=r"verdicts: drift is none\. Give some of quiet, "):
        DriftSensor(task_id="wait", model=MODEL, verdicts=("drift",))
    with pytest.raises(ValueError, match="'quiet' is none"):
        DriftSensor(task_id="wait", model=MODEL, verdicts="quiet")


def test_a_triggerer_that_starts_anew_goes_on_with_what_was_serialised(home: Path) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=20)).isoformat()
    path, arguments = DriftTrigger(MODEL, ["wait"], 0, soon, 0.05).serialize()
    assert path == f"{DriftTrigger.__module__}.{DriftTrigger.__qualname__}"

    async def killed_and_started_again() -> Any:
        first = asyncio.ensure_future(anext(DriftTrigger(**arguments).run()))
        await asyncio.sleep(0.2)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await asyncio.to_thread(judge, "wait")
        return await asyncio.wait_for(anext(DriftTrigger(**arguments).run()), timeout=5)

    event = asyncio.run(killed_and_started_again())
    assert entries.find(event.payload["entry_hash"]).after == "wait"


def test_a_ledger_that_is_away_is_asked_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.errors import DatabaseAway
    from tasks.stores import database

    judge("wait")
    soon = (datetime.now(UTC) + timedelta(seconds=20)).isoformat()
    trigger, there = DriftTrigger(MODEL, [], 0, soon, 0.05), database.engine
    tries = 0

    def away() -> Any:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise DatabaseAway("The database does not answer.")
        return there()

    monkeypatch.setattr("tasks.ledger.awaited.engine", away)
    assert asyncio.run(asyncio.wait_for(anext(trigger.run()), timeout=5)).payload["entry_hash"]
    assert tries == 3
