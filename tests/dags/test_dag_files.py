"""The DAG files as Airflow reads them: what they make, how fast, and what a
broken model does to the others.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tasks.settings import PROJECT, settings

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

FILES = sorted((PROJECT / "dags").glob("*.py"))
FAMILIES = ("train", "judge_again", "release", "drift", "collect", "predict_batch", "reproduce")
"""Of DAGs, of which each model has one."""
HEAVY = {
    "pandas",
    "numpy",
    "pyarrow",
    "torch",
    "mlflow",
    "great_expectations",
    "evidently",
    "deltalake",
    "duckdb",
    "sklearn",
    "airflow.providers.google.cloud.hooks.cloud_run",
    "google.cloud.run_v2",
}


@pytest.fixture
def models(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder that a test may break: the first model, and a copy of it on a table of its own."""
    folder = home / "models"
    for name in ("review_sentiment", "second"):
        shutil.copytree(PROJECT / "models" / "review_sentiment", folder / name)
    change(folder, "second", name="second", data={"table": "others"})
    monkeypatch.setenv("PERENNIAL_MODELS", str(folder))
    settings.cache_clear()
    return folder


def change(models: Path, model: str, **changes: Any) -> None:
    """Change fields of a model's pipeline.yaml; a mapping changes only the keys that it has."""
    path = models / model / "pipeline.yaml"
    document = yaml.safe_load(path.read_text())
    for field, value in changes.items():
        document[field] = document[field] | value if isinstance(value, dict) else value
    path.write_text(yaml.safe_dump(document))


def parse(airflow_database: None) -> "DagBag":
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(str(PROJECT / "dags"))


def test_every_shipped_file_loads_and_makes_the_dags_of_every_model(shipped_dags: "DagBag") -> None:
    assert shipped_dags.import_errors == {}
    names = {path.parent.name for path in (PROJECT / "models").glob("*/pipeline.yaml")}
    assert {f"{family}_{name}" for family in FAMILIES for name in names} <= set(shipped_dags.dags)
    assert "ingest_reviews" in shipped_dags.dags


def test_each_dag_is_the_graph_that_its_file_tells(shipped_dags: "DagBag") -> None:
    def edges(dag_id: str) -> set[tuple[str, str]]:
        tasks = shipped_dags.dags[dag_id].tasks
        return {(task.task_id, after) for task in tasks for after in task.downstream_task_ids}

    assert edges("ingest_reviews") == {("ingest", "publish"), ("ingest", "report_refused")}
    assert edges("collect_review_sentiment") == set()
    assert edges("predict_batch_review_sentiment") == set()
    assert edges("drift_review_sentiment") == {
        ("collect", "drift"),
        ("drift", "approve"),
        ("drift", "retrain"),
        ("approve", "retrain"),
        ("retrain", "start_training"),
    }
    assert edges("reproduce_review_sentiment") == {("champion", "reproduce"), ("reproduce", "attest")}
    chain = [
        "count",
        "preflight",
        "check_labels",
        "quarantine",
        "snapshot",
        "validate",
        "train",
        "package",
        "champion",
        "evaluate",
        "gate",
        "register",
        "deploy",
        "calibrate",
    ]
    assert edges("train_review_sentiment") >= {*itertools.pairwise(chain), ("register", "describe")}
    assert edges("release_review_sentiment") == {
        ("accept", "promote"),
        ("accept", "calibrate"),
        ("promote", "calibrate"),
    }
    again = ["held", "snapshot", "validate", "take_up", *chain[chain.index("package") :]]
    assert edges("judge_again_review_sentiment") >= set(itertools.pairwise(again))


def test_a_model_that_is_released_by_stages_has_them_in_its_dag(models: Path, airflow_database: None) -> None:
    path = models / "second" / "pipeline.yaml"
    rules = {"mode": "canary", "approval": "before_full", "steps": [0.1, 1.0]}
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"release": rules}))

    dags = parse(airflow_database).dags

    chain = ["accept", "open_shadow", "watch_shadow", "judge_shadow", "open_canary_10", "watch_canary_10"]
    chain += ["judge_canary_10", "ask_before_canary_100", "open_canary_100", "watch_canary_100"]
    chain += ["judge_canary_100", "promote", "calibrate"]
    release = dags["release_second"]
    edges = {(task.task_id, after) for task in release.tasks for after in task.downstream_task_ids}
    assert edges >= set(itertools.pairwise(chain))
    assert set(release.task_ids) == {*chain, "ask_before_production"}
    train = dags["train_second"]
    assert "deploy" not in train.task_ids
    assert train.get_task("register").downstream_task_ids == {"describe", "start_release"}


def test_a_model_passes_through_its_environments_before_production(
    models: Path, airflow_database: None
) -> None:
    path = models / "second" / "pipeline.yaml"
    rules = {"environments": ["dev", "staging"], "approval": "before_full"}
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"release": rules}))

    dags = parse(airflow_database).dags

    chain = ["enter_dev", "enter_staging", "accept", "ask_before_production", "promote", "calibrate"]
    release = dags["release_second"]
    edges = {(task.task_id, after) for task in release.tasks for after in task.downstream_task_ids}
    assert edges >= set(itertools.pairwise(chain))
    assert set(release.task_ids) == set(chain)
    assert release.params.get_param("environment").schema["enum"] == ["dev", "staging", "production"]
    after = dags["train_second"].get_task("register").downstream_task_ids
    assert after == {"describe", "start_release"}
    first = dags["release_review_sentiment"]
    assert "enter_dev" not in first.task_ids
    assert first.params["environment"] == "production"


ON_CLOUD_RUN = {
    "project": "our-project",
    "region": "europe-west1",
    "service": "reviews",
    "registry": "registry.example.org/team",
    "token_secret": "token",
}


def test_a_model_with_a_cloud_run_service_is_brought_there_after_its_promotion(
    models: Path, airflow_database: None
) -> None:
    path = models / "second" / "pipeline.yaml"
    rules = {"mode": "blue_green", "cloud_run": ON_CLOUD_RUN}
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"release": rules}))

    dags = parse(airflow_database).dags

    group = ["plan_cloud_run", "open_revision", "judge_cloud_run", "move_traffic", "close_cloud_run"]
    for dag_id, chain in (("release_second", ["promote", *group]), ("cloud_run_second", group)):
        edges = {(task.task_id, after) for task in dags[dag_id].tasks for after in task.downstream_task_ids}
        assert edges >= set(itertools.pairwise(chain))
        assert set(dags[dag_id].task_group.get_task_group_dict()) == {None, "cloud_run"}
    assert set(dags["cloud_run_second"].task_ids) == set(group)
    assert dags["cloud_run_second"].params["to"] == "production"
    assert "cloud_run_review_sentiment" not in dags
    assert "plan_cloud_run" not in dags["release_review_sentiment"].task_ids


def test_every_dag_says_what_it_is_and_runs_one_at_a_time(shipped_dags: "DagBag") -> None:
    for dag in shipped_dags.dags.values():
        assert dag.description
        assert dag.description.endswith("."), "a whole sentence"
        assert dag.doc_md
        assert "\n    " not in dag.doc_md, "Markdown shows what is indented as code"
        assert (dag.max_active_runs, dag.catchup) == (1, False)
        assert all(task.owner == "perennial" for task in dag.tasks)


PROBE = """
import json, resource, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import Asset
from plugins.preload import preload
def seconds():
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime
Asset("any", "perennial://any")  # the first asset imports what every installed provider has for addresses
cost, dags = {}, {}
if sys.argv[1] == "preloaded":
    preload()
known = set(sys.modules)
for file in sys.argv[2:]:
    before = seconds()
    dags |= DagBag(file).dags
    cost[file] = seconds() - before
modules = sorted({part for name in sys.modules for part in (name, name.partition(".")[0])})
anew = sorted(name for name in set(sys.modules) - known if name.partition(".")[0] in ("plugins", "tasks"))
from airflow.models.serialized_dag import SerializedDagModel
from airflow.serialization.serialized_objects import DagSerialization
hashes = {dag_id: SerializedDagModel.hash(DagSerialization.to_dict(dag)) for dag_id, dag in dags.items()}
print(json.dumps({"seconds": cost, "modules": modules, "anew": anew, "hashes": hashes}))
"""


def test_parsing_is_light_and_gives_the_same_dags_in_every_process() -> None:
    """In processes of its own, as the DAG processor does it: no heavy library, and little beside Airflow's
    own import. One that forks for each file has imported what the files import of ours before.

    Anything in a DAG that differs, such as an address in memory, would make a new version of it at each
    parse.
    """
    found = []
    for seed, how in (("1", "alone"), ("2", "preloaded")):
        environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", PROBE, how, *map(str, FILES)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        found.append(json.loads(done.stdout.splitlines()[-1]))
    first, second = found
    assert not HEAVY & {*first["modules"], *second["modules"]}
    assert {"plugins.verbs", "tasks.contracts"} <= set(first["anew"])
    assert second["anew"] == []
    assert max(first["seconds"].values()) < 1
    assert first["hashes"] == second["hashes"]


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ({"gate": {"margin": -1}}, "gate.margin"),
        ({"monitor": {"schedule": "whenever"}}, "monitor.schedule: 'whenever' is not a cron expression"),
        (
            {"training": {"parameters": {"epochs": {"maximum": 1}}}},
            "the default of 'epochs' breaks its own schema",
        ),
        ({"training": {"parameters": {"epochz": {"maximum": 1}}}}, "epochz"),
        ({"training": {"entry_point": "elsewhere"}}, "the entry point 'elsewhere'"),
        ({"data": {"table": "reviews", "key": "text"}}, "describe the table 'reviews' differently"),
    ],
)
def test_a_broken_model_is_an_import_error_and_takes_no_other_dag_down(
    models: Path, airflow_database: None, broken: dict[str, Any], says: str
) -> None:
    whole = set(parse(airflow_database).dags)
    change(models, "second", **broken)

    bag = parse(airflow_database)

    [(file, error)] = bag.import_errors.items()
    assert file.endswith("invalid_models.py")
    assert says in error
    assert "second" in error
    assert set(bag.dags) == {dag_id for dag_id in whole if not dag_id.endswith(("second", "others"))}
    assert set(bag.dags) == {f"{family}_review_sentiment" for family in FAMILIES} | {
        "ingest_reviews",
        "decide_batch_model",
        "decide_sender_model",
        "explain_subject",
        "label_incident_model",
        "close_breaker_model",
        "recall_batch",
        "reconcile_ledger",
        "rollback_model",
        "show_triggers",
        "silence_alerts",
        "withdraw_model",
    }


@pytest.mark.parametrize("text", ["", "- a list", "name: [", "\x00", "name: &a [*a]"])
def test_a_file_that_is_no_specification_at_all_takes_no_other_dag_down(
    models: Path, airflow_database: None, text: str
) -> None:
    (models / "second" / "pipeline.yaml").write_text(text)
    bag = parse(airflow_database)
    assert "train_review_sentiment" in bag.dags
    [error] = bag.import_errors.values()
    assert "second/pipeline.yaml" in error


def test_the_training_form_refuses_bad_values(shipped_dags: "DagBag") -> None:
    from airflow.sdk.exceptions import ParamValidationError

    params = shipped_dags.dags["train_review_sentiment"].params
    bad = {
        "epochs": ["0", 0, 51, 2.5, None],
        "as_of": ["yesterday", "2026-01-01", "2026-01-01T00:00:00", 5],
        "reason": [5],
    }
    for name, values in bad.items():
        for value in values:
            with pytest.raises(ParamValidationError):
                params.get_param(name).resolve(value)
    for value in ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.123+02:00", None):
        assert params.get_param("as_of").resolve(value) == value


def test_the_ingest_form_takes_names_of_the_landing_folder_only(shipped_dags: "DagBag") -> None:
    from airflow.sdk.exceptions import ParamValidationError

    files = shipped_dags.dags["ingest_reviews"].params.get_param("files")
    for value in (["../x.csv"], ["/etc/passwd"], [".hidden"], [""], "a.csv", [5]):
        with pytest.raises(ParamValidationError):
            files.resolve(value)
    assert files.resolve(["a b.csv", "ü.jsonl.gz"])
    assert files.resolve(None) is None


@pytest.mark.parametrize(
    "dag_id",
    [
        "withdraw_model",
        "rollback_model",
        "label_incident_model",
        "decide_batch_model",
        "decide_sender_model",
        "close_breaker_model",
        "silence_alerts",
    ],
)
def test_what_a_person_decides_asks_for_the_model_and_a_reason(shipped_dags: "DagBag", dag_id: str) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    dag = shipped_dags.dags[dag_id]
    assert (dag.is_paused_upon_creation, dag.timetable.can_be_scheduled) == (False, False)
    for name, bad in (("model", ["", "A model", "../x", None]), ("reason", ["", "  ", None])):
        for value in bad:
            with pytest.raises(ParamValidationError):
                dag.params.get_param(name).resolve(value)
    assert dag.params.get_param("model").resolve("review_sentiment") == "review_sentiment"


def test_the_tables_that_a_model_joins_have_doors_of_their_own(shipped_dags: "DagBag") -> None:
    assert {"ingest_flights", "ingest_weather"} <= set(shipped_dags.dags)


def test_a_model_without_a_schedule_is_trained_only_when_asked(models: Path, airflow_database: None) -> None:
    change(models, "second", training={"schedule": None})
    dags = parse(airflow_database).dags
    assert not dags["train_second"].timetable.can_be_scheduled
    assert dags["train_review_sentiment"].timetable.run_immediately
