"""A training is recorded from its first moment, is done once
however often it is asked for, and dies with the one who asked.
"""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import pytest
from mlflow import MlflowClient

from tasks.contracts import TrainedFor, TrainingCurves, TrainRequest
from tasks.errors import (
    EXIT_FAULT,
    EXIT_INVALID,
    FrozenSetMismatch,
    InvalidProject,
    InvalidRequest,
    TrainingFailed,
)
from tasks.spec import PipelineSpec
from tasks.stores import files, registry
from tasks.training import follow, live
from tasks.training.train import train
from tests.conftest import PROJECT
from tests.steps.test_child import wait_for_pid, wait_until_gone
from tests.unit import trained


@pytest.fixture
def spec(home: Path) -> PipelineSpec:
    return trained.write_model(home / "models")


@pytest.fixture
def client(home: Path, mlflow_store: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """MLflow's record of this test, in a database without a server."""
    monkeypatch.setenv("PERENNIAL_MODELS", str(home / "models"))
    return trained.use_mlflow(home, mlflow_store, monkeypatch)


def unreachable(*_: object) -> None:
    raise ConnectionError("MLflow is gone.")


def runs(client: MlflowClient) -> dict[str, str]:
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    return {run.info.run_id: run.info.status for run in client.search_runs([experiment.experiment_id])}


def test_a_training_keeps_everything_that_it_came_from(
    home: Path, spec: PipelineSpec, client: MlflowClient
) -> None:
    request = trained.train_request(spec, home, seed=11)

    run = train(request)

    written = files.at(run.model_files_url)
    assert json.loads((written / "model.json").read_text()) == {
        "saw": ["train.parquet", "validation.parquet"],
        "seed": 11,
        "answer": 1,
        "gpus": "",
    }, "it asks for no GPU, so it sees none"
    assert (run.seed, run.parameters) == (11, {"seed": "11", "rate": "0.5", "mode": "good"})
    kept = client.get_run(run.run_id)
    assert kept.info.status == "FINISHED"
    assert kept.data.params == run.parameters
    assert kept.data.tags["perennial.table_version"] == "4"
    assert kept.data.tags["perennial.snapshot"] == request.snapshot.sha256
    assert kept.data.tags["perennial.lock_sha256"] == run.lock_sha256
    assert kept.data.tags["perennial.reason_to_train"] == "asked for by hand"
    assert 0 < float(kept.data.tags["perennial.processor_seconds"]) < 600
    datasets = {dataset.dataset.name: dataset.dataset for dataset in kept.inputs.dataset_inputs}
    assert sorted(datasets) == ["numbers-v4-test", "numbers-v4-train", "numbers-v4-validation"]
    assert json.loads(datasets["numbers-v4-train"].profile)["sha256"] == request.snapshot.train.sha256
    assert registry.training_run(run.run_id) == run
    assert [file.path for file in client.list_artifacts(run.run_id, "validation")] == [
        "validation/report.html",
        "validation/report.json",
    ]
    assert "I am training." in (written.parent / "training.log").read_text()
    assert not list((home / "scratch").iterdir())

    assert train(request) == run, "the same step asked for again is not trained again"
    assert list(runs(client)) == [run.run_id]


@pytest.mark.parametrize("changed", ["rows", "parameters", "features"])
def test_a_step_that_is_cleared_and_asks_for_something_else_is_trained_anew_and_the_first_run_stays(
    home: Path, spec: PipelineSpec, client: MlflowClient, changed: str
) -> None:
    request = trained.train_request(spec, home)
    first = train(request)
    data = spec.data.model_copy(update={"features": ("id", "number")})
    update: dict[str, object] = {
        "rows": {"snapshot": request.snapshot.model_copy(update={"sha256": "e" * 64})},
        "parameters": {"parameters": {"seed": 99}},
        "features": {"spec": spec.model_copy(update={"data": data})},
    }[changed]  # type: ignore[assignment]
    asked = request.model_copy(update=update)

    second = train(asked)

    assert runs(client) == {first.run_id: "FINISHED", second.run_id: "FINISHED"}
    assert second.run_id != first.run_id
    assert (second.snapshot, second.seed) == (asked.snapshot, asked.parameters.get("seed", 7))
    assert second.trained_for == TrainedFor.of(asked.spec)
    assert (train(request), train(asked)) == (first, second), "each is there once"
    assert registry.training_run(first.run_id) == first
    assert files.at(first.model_files_url).exists()


def test_a_run_of_before_its_purpose_was_kept_is_still_found(
    home: Path, spec: PipelineSpec, client: MlflowClient
) -> None:
    request = trained.train_request(spec, home)
    run = train(request)
    client.log_text(run.run_id, run.model_dump_json(exclude={"trained_for"}), registry.LINEAGE)

    assert train(request) == run.model_copy(update={"trained_for": None})


CURVES = """
import os, pathlib, sys, time
import mlflow
from torch.utils.tensorboard import SummaryWriter
data, output, seed, mode = sys.argv[1:]
beside = SummaryWriter()
within = SummaryWriter(pathlib.Path(output, "logs"))
seen = pathlib.Path(os.environ["TINY_SEEN"])
with mlflow.start_run():
    for epoch in range(1, 4):
        within.add_scalar("loss", 1 / epoch, epoch)
        beside.add_scalar("rate", 0.1, epoch)
        within.flush()
        beside.flush()
        mlflow.log_metric("loss", 1 / epoch, step=epoch)
        print("epoch", epoch, flush=True)
        until = time.monotonic() + 120
        while epoch < 3 and not pathlib.Path(f"{seen}.{epoch}").exists():
            assert time.monotonic() < until, "nobody has seen this epoch"
            time.sleep(0.05)
if mode == "fail":
    raise SystemExit("The labels are upside down.")
pathlib.Path(output, "model.json").write_text("{}")
"""


class Watching(Thread):
    """A person who looks at the run's curves, and lets the program go on when an epoch is there."""

    def __init__(self, client: MlflowClient, seen: Path, folder: str) -> None:
        super().__init__(daemon=True)
        self.client, self.seen, self.folder = client, seen, folder
        self.saw: list[float] = []

    def run(self) -> None:
        for epoch in (1, 2):
            until = time.monotonic() + 120
            while not self._is_there(epoch) and time.monotonic() < until:
                time.sleep(0.05)
            self.seen.with_name(f"{self.seen.name}.{epoch}").touch()

    def _is_there(self, epoch: int) -> bool:
        found = self.client.get_experiment_by_name("tiny")
        for run in self.client.search_runs([found.experiment_id] if found else []):
            drawn = self.client.get_metric_history(run.info.run_id, "tensorboard/loss")
            running = run.info.status == "RUNNING" and epoch in [each.step for each in drawn]
            return running and self._is_shown(epoch)
        return False

    def _is_shown(self, epoch: int) -> bool:
        """Whether what people are shown has the epoch, too."""
        record = files.at(self.folder, live.FILE)
        if not record.exists():
            return False
        found = TrainingCurves.model_validate_json(record.read_text())
        if found.ended_at is not None or not any(curve.points[-1][0] == epoch for curve in found.curves):
            return False
        self.saw.append(epoch)
        return True


@pytest.mark.parametrize("mode", ["good", "fail"])
def test_the_curves_of_a_training_are_live_and_stay_with_its_run_however_it_ends(
    home: Path,
    client: MlflowClient,
    mode: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    parameters = {**trained.PIPELINE["training"]["parameters"], "epochs": {"minimum": 1}}
    spec = trained.write_model(home / "models", training={"parameters": parameters})
    folder = home / "models" / "tiny"
    (folder / "train.py").write_text(CURVES)
    declared = trained.MLPROJECT.replace(
        "rate: {type: float", "epochs: {type: int, default: 3}\n      rate: {type: float"
    )
    (folder / "MLproject").write_text(declared)
    monkeypatch.setenv("TINY_SEEN", str(home / "seen"))
    monkeypatch.setattr(follow, "LOOK_SECONDS", 0.1)
    watching = Watching(client, home / "seen", trained.context(home, "train").work_url)
    watching.start()

    if mode == "fail":
        with pytest.raises(TrainingFailed, match="upside down"):
            train(trained.train_request(spec, home, mode=mode))
    else:
        run = train(trained.train_request(spec, home, mode=mode))
        served = [path.name for path in files.at(run.model_files_url).rglob("*") if path.is_file()]
        assert served == ["model.json"], "a log within the folder of the model is not served"
    watching.join()

    said = capsys.readouterr().out
    (run_id,) = runs(client)
    for name in ("loss", "rate"):
        drawn = client.get_metric_history(run_id, f"tensorboard/{name}")
        assert [each.step for each in drawn] == [1, 2, 3]
    assert [file.path for file in client.list_artifacts(run_id, "tensorboard/output/logs")] != []
    assert [file.path for file in client.list_artifacts(run_id, "tensorboard/runs")] != []
    shown = TrainingCurves.model_validate_json(
        files.at(trained.context(home, "train").work_url, live.FILE).read_text()
    )
    assert (shown.run_id, shown.unit, shown.done, shown.total) == (run_id, "epoch", 3, 3)
    assert shown.ended_at is not None
    assert {curve.name: curve.points for curve in shown.curves} == {
        "loss": ((1, 1), (2, 0.5), (3, pytest.approx(1 / 3))),
        "tensorboard/loss": ((1, 1), (2, 0.5), (3, pytest.approx(1 / 3))),
        "tensorboard/rate": tuple((epoch, pytest.approx(0.1)) for epoch in (1, 2, 3)),
    }
    assert watching.saw == [1, 2], "each epoch could be seen before the next began"
    assert re.search(r"^Progress: epoch [12] of 3, at most about \d+ (s|min) left\.$", said, re.MULTILINE)


def test_a_part_that_is_missing_ends_the_run(home: Path, spec: PipelineSpec, client: MlflowClient) -> None:
    request = trained.train_request(spec, home)
    Path(request.snapshot.validation.url).unlink()

    with pytest.raises(FrozenSetMismatch, match=r"There is no file .*validation\.parquet"):
        train(request)

    assert list(runs(client).values()) == ["FAILED"]


@pytest.mark.parametrize(
    ("mode", "said", "exit_code"),
    [
        ("fail", "ended with code 1", EXIT_FAULT),
        ("break", "ended with code 1: IndexError: list index out of range", EXIT_INVALID),
        ("empty", "ended well but wrote no file to the folder of its parameter `output`", EXIT_INVALID),
        ("sleep", "took longer than training.timeout_seconds, 5 s, and was stopped", EXIT_FAULT),
    ],
)
def test_a_training_that_fails_says_how_and_where_its_log_is_and_is_tried_again_where_that_may_help(
    home: Path, client: MlflowClient, mode: str, said: str, exit_code: int
) -> None:
    spec = trained.write_model(
        home / "models", training={**trained.PIPELINE["training"], "timeout_seconds": 5}
    )

    with pytest.raises(TrainingFailed) as failure:
        train(trained.train_request(spec, home, mode=mode))

    assert f"Training tiny {said} (MLflow run" in str(failure.value)
    assert failure.value.exit_code == exit_code
    assert ("The labels are upside down." in str(failure.value)) == (mode == "fail")
    assert "I am training." in files.at(failure.value.evidence["log_url"]).read_text()
    run_id = failure.value.evidence["run_id"]
    assert runs(client) == {run_id: "FAILED"}
    assert client.get_run(run_id).data.tags["perennial.reason"] == said


def test_a_training_killed_in_the_middle_dies_and_is_done_once_more(
    home: Path, spec: PipelineSpec, client: MlflowClient
) -> None:
    request = trained.train_request(spec, home)
    pid_file = home / "pid"
    (home / "request.json").write_text(request.model_dump_json())
    command = [
        sys.executable,
        "-m",
        "tasks",
        "train",
        "--request",
        str(home / "request.json"),
        "--result",
        str(home / "r.json"),
    ]
    environment = {**os.environ, "TINY_PID_FILE": str(pid_file)}
    step = subprocess.Popen(
        command, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    program = wait_for_pid(pid_file, seconds=60)

    step.kill()
    step.wait()

    assert wait_until_gone(program), "the training program outlived its step"
    (killed,) = runs(client)
    assert runs(client) == {killed: "RUNNING"}
    run = train(request)
    assert runs(client) == {killed: "KILLED", run.run_id: "FINISHED"}


def test_a_run_that_ended_before_its_lineage_was_kept_is_not_trusted(
    home: Path, spec: PipelineSpec, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = trained.train_request(spec, home)
    with monkeypatch.context() as patch:
        patch.setattr(registry, "log_text", unreachable)
        with pytest.raises(ConnectionError):
            train(request)
    (torn,) = runs(client)

    run = train(request)

    assert runs(client) == {torn: "KILLED", run.run_id: "FINISHED"}


@pytest.mark.parametrize("asked", [{"seed": -1}, {"epochs": 3}, {"mode": "good; exit 1"}])
def test_a_wrong_parameter_is_refused_before_anything_is_made(
    home: Path, spec: PipelineSpec, client: MlflowClient, asked: dict[str, str | float]
) -> None:
    with pytest.raises(InvalidRequest):
        train(trained.train_request(spec, home, **asked))

    assert runs(client) == {}


def test_a_model_without_mlproject_is_the_projects_fault(
    home: Path, spec: PipelineSpec, client: MlflowClient
) -> None:
    (home / "models" / "tiny" / "MLproject").unlink()

    with pytest.raises(InvalidProject):
        train(trained.train_request(spec, home))


def test_the_request_of_a_training_survives_its_file(home: Path, spec: PipelineSpec) -> None:
    request = trained.train_request(spec, home, seed=3, mode="good")

    assert TrainRequest.model_validate_json(request.model_dump_json()) == request
