"""TensorBoard's logs become a run's artifacts and metrics while they grow, and nothing else does."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tasks.training import curves as module
from tasks.training.curves import Curves
from tasks.training.follow import Follower
from tests.unit import trained
from tests.unit.training.writers import summary_writer


@pytest.fixture
def client(home: Path, mlflow_store: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    return trained.use_mlflow(home, mlflow_store, monkeypatch)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


@pytest.fixture
def curves(client: MlflowClient, place: Path) -> Curves:
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    return Curves(client, client.create_run(experiment.experiment_id).info.run_id, [place])


def steps(curves: Curves, name: str) -> list[int]:
    return [each.step for each in curves.client.get_metric_history(curves.run_id, name)]


def kept(curves: Curves, folder: str = "tensorboard") -> Iterator[str]:
    for each in curves.client.list_artifacts(curves.run_id, folder):
        if each.is_dir:
            yield from kept(curves, each.path)
        else:
            yield each.path


def test_what_is_written_so_far_is_drawn_and_kept_and_the_rest_follows(curves: Curves, place: Path) -> None:
    writer = summary_writer(place / "tmp" / "logs")
    writer.add_scalar("loss", 0.5, 1)
    writer.flush()
    curves.look()
    assert steps(curves, "tensorboard/loss") == [1]
    (first,) = kept(curves)
    assert first.startswith("tensorboard/tmp/logs/events.out.tfevents.")

    writer.add_histogram("weights", np.arange(1000.0), 2)
    writer.add_scalar("loss", 0.25, 2)
    writer.close()
    curves.look(last=True)

    assert steps(curves, "tensorboard/loss") == [1, 2]
    assert list(kept(curves)) == [first]
    folder = curves.client.download_artifacts(curves.run_id, "tensorboard/tmp/logs", str(place.parent))
    read = EventAccumulator(folder).Reload()
    assert [each.step for each in read.Scalars("loss")] == [1, 2], "TensorBoard itself reads what was kept"
    assert read.Tags()["histograms"] == ["weights"]


def test_folders_below_the_first_are_in_the_names_of_the_curves(curves: Curves, place: Path) -> None:
    with summary_writer(place / "runs" / "first") as writer:
        writer.add_scalar("loss", 1.0, 1)
        writer.add_scalars("both", {"train": 1.0, "validation": 2.0}, 1)
        writer.add_scalar("layer[0]//weights", 1.0, 1)

    curves.look(last=True)

    assert set(curves.client.get_run(curves.run_id).data.metrics) == {
        "tensorboard/loss",
        "tensorboard/both_train/both",
        "tensorboard/both_validation/both",
        "tensorboard/layer_0_/weights",
    }


def test_logs_that_were_there_before_and_what_links_lead_to_are_not_the_runs(
    client: MlflowClient, place: Path, tmp_path: Path
) -> None:
    with summary_writer(place / "old") as writer:
        writer.add_scalar("old", 1.0, 1)
    with summary_writer(tmp_path / "elsewhere") as writer:
        writer.add_scalar("elsewhere", 1.0, 1)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    curves = Curves(client, client.create_run(experiment.experiment_id).info.run_id, [place])
    (other,) = (tmp_path / "elsewhere").iterdir()
    (place / other.name).symlink_to(other)
    (place / "folder").symlink_to(tmp_path / "elsewhere")
    (place / "model.json").write_text("{}")

    curves.look(last=True)

    assert curves.client.get_run(curves.run_id).data.metrics == {}
    assert list(kept(curves)) == []


def test_a_file_that_only_has_the_name_is_kept_and_said_to_hold_no_curves(
    curves: Curves, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "events.out.tfevents.1.host").write_bytes(b"This is no event file at all.")
    with summary_writer(place / "good") as writer:
        writer.add_scalar("loss", 1.0, 1)

    curves.look()
    curves.look(last=True)

    assert len(list(kept(curves))) == 2
    assert [name.rpartition("/")[2] for name in curves.client.get_run(curves.run_id).data.metrics] == ["loss"]
    assert capsys.readouterr().out.count("its curves are not drawn: at byte 0 no record") == 1


def test_a_long_curve_is_drawn_with_fewer_points_and_has_its_last(
    curves: Curves, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POINTS", 10)
    with summary_writer(place) as writer:
        for step in range(60):
            writer.add_scalar("loss", step, step)

    curves.look(last=True)

    drawn = steps(curves, "tensorboard/loss")
    assert drawn[:10] == list(range(10))
    assert len(drawn) < 40
    assert drawn[-1] == 59
    assert drawn == sorted(set(drawn))


def test_a_server_that_is_away_loses_no_point_and_is_told_once(
    curves: Curves, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def away(*_: object, **__: object) -> None:
        raise ConnectionError("MLflow is gone")

    follower = Follower(curves.client, curves.run_id, curves, None)
    with summary_writer(place) as writer:
        writer.add_scalar("loss", 1.0, 1)
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_batch", away)
        follower.look()
        follower.look()
    told = capsys.readouterr().out

    follower.look(last=True)

    fault = "could not be kept: ConnectionError: MLflow is gone. It is tried again."
    assert told.count(fault) == 1
    assert steps(curves, "tensorboard/loss") == [1]
    assert capsys.readouterr().out == ""


def test_a_file_that_takes_too_much_room_is_kept_when_the_training_has_ended(
    curves: Curves, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGEST_LIVE", 10)
    with summary_writer(place / "logs") as writer:
        writer.add_scalar("loss", 0.5, 1)
    curves.look()
    assert (steps(curves, "tensorboard/loss"), list(kept(curves))) == ([1], [])
    curves.look(last=True)
    assert len(list(kept(curves))) == 1


LEFT_OF_A_NAME = module.LONGEST_NAME - len("tensorboard/")


@pytest.mark.parametrize(
    ("tag", "step", "seconds"),
    [
        ("before 1970", 1, -5.0),
        ("after the end of time", 1, 1e300),
        ("in milliseconds", 2, 1.8e18),
        ("a" * (LEFT_OF_A_NAME - 1) + "/cut behind the slash", 1, 1.0),
        ("a" * (LEFT_OF_A_NAME - 2) + "/.cut behind the dot", 1, 1.0),
        ("a" * (LEFT_OF_A_NAME - 3) + "/..cut behind two", 1, 1.0),
        ("../../out", -(2**63), 1.0),
        ("", 2**63 - 1, 1.0),
    ],
)
def test_a_point_that_mlflow_would_refuse_costs_no_other(
    curves: Curves, place: Path, tag: str, step: int, seconds: float
) -> None:
    with summary_writer(place) as writer:
        writer.add_scalar(tag, 0.5, step, walltime=seconds)
        writer.add_scalar("good", 0.25, 1)

    curves.look(last=True)

    assert steps(curves, "tensorboard/good") == [1]


@pytest.mark.parametrize("instead", ["a link", "a pipe", "nothing"])
def test_what_is_put_in_the_place_of_a_file_is_not_read(curves: Curves, place: Path, instead: str) -> None:
    with summary_writer(place) as writer:
        writer.add_scalar("loss", 0.5, 1)
    (file,) = place.iterdir()
    other = place.parent / "another training's"
    with summary_writer(other) as writer:
        for step in range(9):
            writer.add_scalar("loss", 0.5, step)
    curves.look()
    file.unlink()
    if instead == "a link":
        file.symlink_to(next(other.iterdir()))
    elif instead == "a pipe":
        os.mkfifo(file)

    curves.look(last=True)

    assert steps(curves, "tensorboard/loss") == [1]
