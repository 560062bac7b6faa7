"""The Cloud Run DAG from end to end: real child processes, the heavy work behind them scripted; the tasks
between them ask a stand-in of Google behind its own clients.
"""

# ruff: noqa: F811 - fixtures are imported by their names

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from plugins.cloud_run import ask
from tasks.contracts import Action
from tasks.ledger import entries
from tasks.settings import PROJECT, settings
from tests.dags.runs import RunDag, SetScript, asked, states, xcom
from tests.dags.test_dag_files import ON_CLOUD_RUN
from tests.services.cloud_run import CloudRun, standing_in
from tests.services.guarded import Key, connect, guarded, key, private_key  # noqa: F401 - fixtures

MODEL = "review_sentiment"
CLOUD_RUN = f"cloud_run_{MODEL}"


@pytest.fixture
def cloud(home: Path, heavy: SetScript, key: Key, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudRun]:
    folder = home / "models"
    shutil.copytree(PROJECT / "models" / MODEL, folder / MODEL)
    monkeypatch.setenv("PERENNIAL_MODELS", str(folder))
    settings.cache_clear()
    path = folder / MODEL / "pipeline.yaml"
    path.write_text(
        yaml.safe_dump(yaml.safe_load(path.read_text()) | {"release": {"cloud_run": ON_CLOUD_RUN}})
    )
    connect(monkeypatch, keyfile_dict=key)
    monkeypatch.setattr(ask, "GIVE_UP_SECONDS", 0.1)
    with standing_in(monkeypatch, "a token of the tests") as made:
        made.addresses[""] = "http://127.0.0.1:9"  # where nothing ever answers
        yield made


def decided() -> str:
    """What the step that judges would have written."""
    plan = {"service": "projects/p/locations/r/services/s", "revision": "s-v2-1"}
    entry = entries.record(
        model=MODEL,
        actor="tests",
        action=Action.CLOUD_RUN,
        before=None,
        after="serves",
        why="It is ready.",
        evidence={"plan": plan},
    )
    return entry.entry_hash


def test_a_revision_is_made_judged_by_what_was_seen_of_it_and_led_to(
    run_dag: RunDag, cloud: CloudRun, heavy: SetScript, home: Path
) -> None:
    heavy({"judge_cloud_run": [{"result": {"ledger_hash": decided()}}]})

    run = run_dag(CLOUD_RUN, {"to": "previous", "reason": "It is slow."})

    assert run.state == "success", states(run)
    [plan] = asked(home, "plan_cloud_run")
    assert (plan["to"], plan["reason"]) == ("previous", "It is slow.")
    [judged] = asked(home, "judge_cloud_run")
    assert judged["seen"]["state"] == "ready"
    assert "does not answer at http://127.0.0.1:9" in judged["seen"]["fault"]
    assert cloud.serving == {"s-v2-1": 100}
    assert xcom(run, "move_traffic") == {"s-v2-1": 100}
    [closed] = asked(home, "close_cloud_run")
    assert closed["serving"] == {"s-v2-1": 100}


def test_traffic_is_not_moved_by_a_decision_that_the_ledger_does_not_have(
    run_dag: RunDag, cloud: CloudRun
) -> None:
    run = run_dag(CLOUD_RUN)

    assert states(run)["move_traffic"] == "failed"
    assert cloud.tags == {"candidate": ""}, "it still has its address alone"
