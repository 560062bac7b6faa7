"""A model joins the running platform and leaves it; a regression and a multiclass one go round the loop.

The trainings run beside each other: what a test waits for has been at work since the tests before it.
"""

import json
import sqlite3
from typing import Any

import pytest

from embedded.platform import Platform
from tasks.ledger import entries
from tasks.stores import registry
from tests.system.conftest import ask, wait_for_run, wait_for_success, wait_until
from tests.system.loop import MULTICLASS, NEW, REGRESSION, Loop

WORSE = {"epochs": 1, "learning_rate": 0.0001}
TRUTH: dict[str, Any] = {REGRESSION: 25, MULTICLASS: "0"}
STALE_SECONDS = 200  # Airflow looks for DAGs that have left their file about once a minute

pytestmark = [pytest.mark.platform, pytest.mark.timeout(1500)]


def test_a_model_that_was_just_made_trains_and_serves_without_an_edit(loop: Loop) -> None:
    wait_for_success(loop.airflow, f"train_{NEW}", loop.first[NEW])

    answer = loop.predict(NEW)

    assert answer.status_code == 200, answer.text
    judged = loop.result(NEW, "package")["example_prediction"]["prediction"]
    assert nearly(answer.json()["predictions"][0]["prediction"], judged)
    loop.models.joinpath(NEW).rename(
        loop.left
    )  # it is not needed any more: the last test looks what is left of it


@pytest.mark.parametrize("model", [REGRESSION, MULTICLASS])
def test_a_model_of_another_task_goes_round_the_loop(loop: Loop, model: str) -> None:
    wait_for_success(loop.airflow, f"train_{model}", loop.first[model])
    if model == MULTICLASS:  # of a regression the gate's own tests refuse one
        loop.worse = loop.train(model, **WORSE)

    answer = loop.predict(model)

    assert loop.result(model, "gate")["verdict"] == "promote"
    assert answer.status_code == 200, answer.text
    assert answer.json()["run_id"] == loop.result(model, "train")["run_id"]
    assert answer.json()["model_version"] == loop.result(model, "deploy")["stable"]["model_version"]
    (prediction,) = answer.json()["predictions"]
    judged = loop.result(model, "package")["example_prediction"]
    assert nearly(prediction["prediction"], judged["prediction"])
    accepted = loop.tell(model, prediction["prediction_id"], TRUTH[model])
    assert accepted.ok, accepted.text


def test_a_worse_candidate_is_refused_and_what_serves_goes_on_serving(loop: Loop) -> None:
    model = MULTICLASS
    states = wait_for_run(loop.airflow, f"train_{model}", loop.worse)

    decision = loop.airflow.result(f"train_{model}", loop.worse, "gate")
    assert decision["verdict"] == "reject", decision["why"]
    assert (states["gate"], states["register"], states["deploy"]) == ("success", "skipped", "skipped")
    assert loop.predict(model).json()["run_id"] == loop.result(model, "train")["run_id"]


def test_a_person_at_a_shell_sees_what_serves_and_why_and_is_told_why_nothing_goes_back(
    loop: Loop, inside: Platform
) -> None:
    served = loop.predict(MULTICLASS).json()

    document = json.loads(ask(inside, "status", "--json").stdout)
    refused = ask(inside, "rollback", MULTICLASS, "--why", "It is rude.")
    here = json.loads(ask(inside, "why", MULTICLASS, "--json").stdout)
    remote = {"PERENNIAL_URL": inside.addresses.airflow, "PERENNIAL_TOKEN": inside.airflow_token()}
    with pytest.MonkeyPatch.context() as patched:
        for name, value in remote.items():
            patched.setenv(name, value)
        verified = ask(inside, "ledger", MULTICLASS, "--verify", "--json")
        there = ask(inside, "why", MULTICLASS, "--json")

    standing = next(each for each in document["models"] if each["model"] == MULTICLASS)
    assert (standing["serving"]["run_id"], standing["faults"]) == (served["run_id"], [])
    assert standing["why"].startswith(f"Version {served['model_version']} is loaded")
    assert inside.home.name in document["platform"]
    assert refused.returncode == 20
    assert "There is nothing to roll" in refused.stderr
    assert verified.returncode == 0, verified.stderr
    assert there.returncode == 0, there.stderr
    told_there = json.loads(there.stdout)
    assert [told_there[part] for part in ("why", "gate")] == [here[part] for part in ("why", "gate")]
    told = [entry["entry_hash"] for entry in json.loads(verified.stdout)["entries"]]
    assert told == [entry.entry_hash for entry in entries.history(MULTICLASS)]


def test_a_model_that_was_removed_leaves_with_its_dags_and_its_watcher_and_its_records_stay(
    loop: Loop, inside: Platform
) -> None:
    served = loop.predict(NEW)
    assert served.status_code == 200, "it serves until somebody withdraws it"
    version = served.json()["model_version"]

    asked = ask(inside, "withdraw", NEW, "--why", "The test is over.")

    assert (asked.returncode, asked.stdout) == (0, f"{NEW}: version {version} serves no longer.\n"), (
        asked.stderr
    )
    assert loop.predict(NEW).status_code == 404
    withdrawn = next(entry for entry in entries.history(NEW) if entry.action == "withdraw")
    assert (withdrawn.before, withdrawn.after, withdrawn.why) == (version, None, "The test is over.")
    assert registry.aliased_version(NEW) is None
    assert registry.get_version(NEW, version).run_id == served.json()["run_id"]
    families = ("ingest", "train", "judge_again", "release", "predict_batch", "drift", "collect")
    gone = {f"{family}_{NEW}" for family in families}
    wait_until(
        lambda: not gone & loop.airflow.dag_ids(), "the end of its DAGs", timeout_seconds=STALE_SECONDS
    )
    loop.airflow.call("DELETE", f"/dags/ingest_{NEW}")
    wait_until(
        lambda: f"files for {NEW}" not in watchers(inside),
        "the end of its watcher",
        timeout_seconds=STALE_SECONDS,
    )
    assert "files for weather" in watchers(inside)


def nearly(said: Any, judged: Any) -> bool:
    """Whether two answers are the same label, or the same number but for its last digits."""
    return bool(said == (judged if isinstance(judged, str) else pytest.approx(judged, rel=1e-3)))


def watchers(platform: Platform) -> set[str]:
    """The watchers that Airflow's triggerer runs."""
    (database,) = platform.home.glob("**/airflow.db")
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        rows = connection.execute("SELECT name FROM asset_watcher").fetchall()
    return {name for (name,) in rows}
