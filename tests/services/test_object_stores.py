"""With one setting, everything lies on an object store, and everything still holds."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from plugins.triggers.landing import LandingTrigger
from tasks.contracts import Champion, DriftRequest, StepContext
from tasks.data.landing import Landing
from tasks.errors import PerennialError, StoreRefused, StoreUnreachable
from tasks.monitoring import domain_classifier, drift
from tasks.settings import PROJECT, settings
from tasks.spec import GateSpec, MonitorSpec, PipelineSpec, table_of
from tasks.step import execute, read_result
from tasks.stores import files
from tasks.stores.faults import explain
from tasks.stores.lake import Lake
from tasks.verbs import VERBS
from tests.services.mlflow_server import MlflowServer
from tests.services.object_stores import (  # noqa: F401 - fixtures
    BUCKET,
    ObjectStore,
    forget,
    google,
    gs,
    place,
    point_to,
    s3,
    scheme,
    swift,
)
from tests.unit import ingest_child, trained
from tests.unit.data.test_ingest import (  # noqa: F401 - the same must hold here, on s3://
    expected,
    keys,
    refused,
    test_of_two_plans_for_the_same_batch_the_first_counts,
    test_two_ingests_at_the_same_time_publish_each_row_once,
    waiting,
)
from tests.unit.reviews import DAY, ingested, json_lines, land, landing_folder, review, reviews
from tests.unit.stores.test_lake import (  # noqa: F401 - the same must hold here, on s3:// and on gs://
    test_a_query_s_order_does_not_change_with_a_checkpoint,
    test_a_retried_append_writes_once,
    test_a_time_shows_the_version_that_a_reader_saw_then,
    test_every_type_comes_back_as_it_was_appended_with_its_batch_and_time,
    test_of_rows_with_the_same_key_the_one_ingested_last_is_shown,
)


@pytest.fixture
def lake(place: str) -> Lake:  # noqa: F811
    return Lake()


@pytest.fixture
def home(s3: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:  # noqa: F811
    """State that is no part of the store; what lands, and what steps leave, lies on s3://."""
    point_to(s3, f"s3://{BUCKET}/{uuid.uuid4().hex[:8]}", tmp_path, monkeypatch)
    yield tmp_path
    forget()


def test_writers_at_once_lose_nothing_and_double_nothing_and_do_not_wait_for_each_other(lake: Lake) -> None:
    """More threads than cores: delta-rs has a worker for each, and each once waited for all others."""
    writers = [sys.executable, "-m", "tests.services.writers"]
    assert subprocess.run(writers, cwd=PROJECT, timeout=200, check=False).returncode == 0
    assert sorted(lake.read("events").column("id").to_pylist()) == list("0123")


# --- the whole chain ----------------------------------------------------------------------------------------


@dataclass
class Steps:
    """Runs verbs as steps are run: request and result are files of the store."""

    spec: PipelineSpec

    def __call__(self, verb: str, **asked: Any) -> Any:
        work_url = str(files.at(settings().runs, "tiny", "run-1", verb))
        context = StepContext(actor="tests", step_key=f"tiny/run-1/{verb}", work_url=work_url)
        request = VERBS[verb].request(context=context, **asked)
        request_url, result_url = f"{work_url}/request.json", f"{work_url}/result.json"
        files.write_text(request_url, text=request.model_dump_json())
        code = execute(verb, request_url, result_url)
        assert code == 0, files.at(f"{result_url}.error.json").read_text()
        return read_result(verb, files.at(result_url).read_text())


@pytest.fixture
def tiny(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PipelineSpec:  # noqa: F811
    """A model with its table, its suite and rules that its first candidate meets."""
    suites = tmp_path / "suites"
    (suites / "expectations").mkdir(parents=True)
    (suites / "great_expectations.yml").write_text((settings().suites / "great_expectations.yml").read_text())
    filled = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "number"}}
    (suites / "expectations" / "numbers.json").write_text(
        json.dumps({"name": "numbers", "expectations": [filled]})
    )
    # Most of a drift check's time, and none of its way to the store.
    monkeypatch.setattr(domain_classifier, "RELABELLINGS", 4)
    monkeypatch.setenv("PERENNIAL_SUITES", str(suites))
    monkeypatch.setenv("PERENNIAL_MODELS", str(tmp_path / "models"))
    settings.cache_clear()
    spec = trained.write_model(tmp_path / "models")
    gate = GateSpec(first_model_minimum={"accuracy": 0.3}, minimum_test_rows=20)
    return spec.model_copy(update={"gate": gate, "monitor": MonitorSpec(minimum_window_rows=50)})


@pytest.fixture
def mlflow_on(
    place: str,  # noqa: F811
    tmp_path: Path,
    mlflow_store: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    """Where MLflow keeps artifacts: its server puts them there
    for clients that do not know of it; on gs:// our client does.
    """
    if place.startswith("gs://"):
        trained.use_mlflow(tmp_path, mlflow_store, monkeypatch, artifacts=f"{place}/mlflow")
        yield f"{place}/mlflow"
        return
    database = shutil.copy(mlflow_store, tmp_path / "mlflow.db")
    server = MlflowServer(f"sqlite:///{database}", f"{place}/mlflow", tmp_path)
    server.start(upgrade=True)
    for name, value in {"PERENNIAL_MLFLOW_URL": server.url, **server.admin()}.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    yield f"{place}/mlflow"
    server.stop()


def test_a_model_goes_all_the_way_from_a_landed_file_to_its_drift_check(
    tiny: PipelineSpec, mlflow_on: str, tmp_path: Path
) -> None:
    step = Steps(tiny)
    rows = [
        {"id": f"n{number}", "number": number % 50, "label": int(number % 5 > 1)} for number in range(300)
    ]
    files.write_text(
        settings().landing, "numbers", "a.jsonl", text="".join(json.dumps(row) + "\n" for row in rows)
    )

    assert step("ingest", table=table_of(tiny)).published_rows == 300
    snapshot = step("snapshot", spec=tiny)
    validation = step("validate", spec=tiny, snapshot=snapshot)
    run = step("train", spec=tiny, snapshot=snapshot, validation=validation)
    archive = step("package", spec=tiny, run=run)
    first = Champion(model=tiny.name, version=None, serves=False)
    evaluation = step("evaluate", spec=tiny, run=run, archive=archive, champion=first)
    decision = step("gate", spec=tiny, run=run, archive=archive, evaluation=evaluation)
    assert [rule.rule for rule in decision.rules if not rule.passed] == [
        "gain_over_baseline"
    ]  # tiny learns nothing

    urls = (snapshot.test.url, validation.url, run.model_files_url, archive.url, evaluation.report_url)
    assert all(url.startswith(f"{settings().runs}/tiny/") for url in urls)
    assert files.sha256(archive.url) == archive.sha256
    kept = list(files.at(mlflow_on).rglob("*.mar"))
    assert [files.sha256(str(path)) for path in kept] == [archive.sha256]
    assert step("train", spec=tiny, snapshot=snapshot, validation=validation) == run, (
        "a second try trains nothing"
    )
    assert step("package", spec=tiny, run=run) == archive

    asked = {
        "prediction_id": [row["id"] for row in rows],
        "predicted_at": pa.array([DAY] * 300, pa.timestamp("us", "UTC")),
        "run_id": [run.run_id] * 300,
        "prediction": ["1", "0"] * 150,
        "score": [0.9, 0.1] * 150,
    }
    Lake().append(
        "tiny__predictions", pa.table({**asked, "number": [row["number"] for row in rows]}), batch_id="p"
    )
    context = StepContext(actor="tests", step_key="drift", work_url=str(files.at(settings().runs, "drift")))
    window = DriftRequest(context=context, spec=tiny, window_start=DAY, window_end=DAY + timedelta(days=1))
    found = drift.check(window, run)
    assert found.verdict == "quiet", found.why
    assert "<html" in files.at(str(found.report_url)).read_text(encoding="utf-8")
    assert not [path for path in tmp_path.rglob("*") if path.name in {"lake", "runs", "landing"}]


# --- the landing folder -------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_ingest_that_is_killed_between_copy_and_delete_is_carried_on(home: Path, when: str) -> None:
    """A move is two requests here: the file is in both places for a while."""
    land(home, "a.jsonl", json_lines([*reviews(20), review(20, label=9)]))
    child = ingest_child.start(home, "killed", f"{when} s3fs.core.S3FileSystem._rm_file")
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert bool(waiting(home)) == (when == "before")
    result = ingested(home, "next")
    assert (waiting(home), refused(home)) == ([], {})
    assert (keys(), len(keys("reviews__quarantine"))) == (expected(20), 1)
    assert [outcome.status for outcome in result.files] == (["already_published"] if when == "before" else [])
    assert files.entries(landing_folder() / ".staged") == []


def test_a_delete_that_fails_after_the_copy_is_made_up_for(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: Any, **__: Any) -> None:
        raise OSError("SlowDown")

    land(home, "a.jsonl", json_lines(reviews(20)))
    with monkeypatch.context() as patched:
        patched.setattr("s3fs.core.S3FileSystem._rm_file", fails)
        forget()
        with pytest.raises(OSError, match="SlowDown"):
            ingested(home, "unlucky")
    forget()
    assert [outcome.status for outcome in ingested(home, "next").files] == ["already_published"]
    assert (waiting(home), refused(home), keys()) == ([], {}, expected(20))


def test_the_trigger_tells_of_what_lands_and_waits_while_the_store_is_down(
    home: Path,
    s3: ObjectStore,  # noqa: F811
) -> None:
    async def scenario() -> None:
        events = LandingTrigger(str(landing_folder()), 0.2).run()
        told = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0.5)
        land(home, ".unfinished.csv", b"x")
        land(home, "a.csv", b"x")
        assert (await asyncio.wait_for(told, 20)).payload["files"] == ["a.csv"]
        told = asyncio.ensure_future(anext(events))
        await asyncio.to_thread(s3.stop)
        await asyncio.to_thread(s3.start)
        await asyncio.to_thread(land, home, "b.csv", b"x")
        assert (await asyncio.wait_for(told, 60)).payload["files"] == ["b.csv"]

    asyncio.run(scenario())


# --- one creator --------------------------------------------------------------------------------------------


def test_of_many_who_create_a_file_at_once_one_does(lake: Lake) -> None:
    path = files.at(lake.url, "plan.json")

    def create(number: int) -> bool:
        try:
            files.create_whole(path, str(number).encode())
        except FileExistsError:
            return False
        return True

    for _ in range(5):
        files.remove(path)
        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(create, range(8))).count(True) == 1


def test_a_writer_whose_answer_was_lost_meets_its_own_file(lake: Lake) -> None:
    path = files.at(lake.url, "plan.json")
    files.create_whole(path, b"mine")
    files.create_whole(path, b"mine")
    with pytest.raises(FileExistsError):
        files.create_whole(path, b"another's")


def test_a_store_that_creates_twice_gets_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    careless = google(tmp_path / "log", "careless")
    careless.start()
    try:
        point_to(careless, f"gs://{BUCKET}/x", tmp_path, monkeypatch)
        with pytest.raises(StoreRefused, match=r"created twice.*overwrite each other's rows"):
            Lake().create("events", {"id": "string"})
        assert files.entries(files.at(settings().lake)) == []
    finally:
        careless.stop()
        forget()


# --- what goes wrong ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        (
            {"AWS_SECRET_ACCESS_KEY": "wrong-secret"},
            StoreRefused,
            "Correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ),
        (
            {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
            StoreRefused,
            "no credentials.*Set AWS_ACCESS_KEY_ID",
        ),
        ({"PERENNIAL_STORE_URL": "s3://no-such-bucket"}, StoreRefused, "bucket.*PERENNIAL_STORE_URL"),
        (
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
            StoreUnreachable,
            "http://127.0.0.1:9 does not answer.*AWS_ENDPOINT_URL",
        ),
        ({"AWS_ENDPOINT_URL": "https"}, StoreRefused, "Let AWS_ENDPOINT_URL start with http://"),
    ],
)
def test_a_wrong_setting_is_named_in_a_sentence_by_every_client(
    home: Path,
    s3: ObjectStore,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, str | None],
    kind: type[PerennialError],
    said: str,
) -> None:
    for name, value in {"AWS_MAX_ATTEMPTS": "1", "AWS_EC2_METADATA_DISABLED": "true", **changes}.items():
        monkeypatch.delenv(name, raising=False)
        if value:
            monkeypatch.setenv(name, s3.url.replace("http", "https") if value == "https" else value)
    forget()
    for reach in (
        Landing("reviews").files,
        lambda: Lake().latest("reviews"),
        lambda: land(home, "a.csv", b"x"),
    ):
        with pytest.raises(Exception) as raised:  # noqa: PT011 - three libraries, three families
            reach()
        error = raised.value if isinstance(raised.value, PerennialError) else explain(raised.value)
        assert isinstance(error, kind), raised.value
        assert re.search(said, str(error)), error


def test_what_is_not_the_store_s_fault_is_not_called_so(home: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        files.at(settings().runs, "nothing.json").read_text()
    assert explain(missing.value) is None
    for error in (PermissionError("/etc/shadow"), ValueError("403"), StoreRefused("said already")):
        assert explain(error) is None


def test_the_store_keeps_everything_when_it_is_stopped(home: Path, s3: ObjectStore) -> None:  # noqa: F811
    Lake().append("events", pa.table({"id": ["a"]}), batch_id="a")
    s3.stop()
    s3.start()
    forget()
    assert Lake().append("events", pa.table({"id": ["a"]}), batch_id="a") == 1
    assert Lake().read("events").column("id").to_pylist() == ["a"]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"AWS_ACCESS_KEY_ID": "perennial"}, "two words"),
        ({"AWS_SECRET_ACCESS_KEY": "short"}, "8 or more"),
        ({"AWS_SECRET_ACCESS_KEY": "line\nbreak = yes"}, "8 or more"),
    ],
)
def test_the_object_store_does_not_start_with_credentials_that_cannot_be(
    tmp_path: Path, variables: dict[str, str], said: str
) -> None:
    node = swift(tmp_path / "data")
    ended = subprocess.run(
        node.command, check=False, env={**os.environ, **node.environment, **variables}, capture_output=True
    )
    assert ended.returncode == 2
    assert said in ended.stderr.decode()


def test_the_object_store_does_not_start_without_the_suffix_of_its_data(tmp_path: Path) -> None:
    node = swift(tmp_path / "data")
    (tmp_path / "data" / "devices" / "disk" / "objects").mkdir(parents=True)
    ended = subprocess.run(
        node.command, check=False, env={**os.environ, **node.environment}, capture_output=True
    )
    assert ended.returncode == 2
    assert "Restore both" in ended.stderr.decode()
