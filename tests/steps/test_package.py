"""What is judged is an archive that TorchServe can serve:
whole, without pickles, tried on the example, made once.
"""

import io
import json
import pickle
import shutil
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient

from tasks.contracts import Archive, TrainedFor
from tasks.errors import CheckFailed, InvalidProject, ServingError
from tasks.evaluation.scoring import score
from tasks.settings import settings
from tasks.spec import PipelineSpec
from tasks.stores import files
from tasks.training.package import build, needs_unpickling, package
from tests.archives import vary
from tests.unit import trained

FILES = {"model.json": b'{"answer": 1}', "vocabulary/words.json": b"[]"}
Build = Callable[..., Path]
Change = Callable[..., Path]


@pytest.fixture
def spec(home: Path, monkeypatch: pytest.MonkeyPatch) -> PipelineSpec:
    monkeypatch.setenv("PERENNIAL_MODELS", str(home / "models"))
    settings.cache_clear()
    return trained.write_model(home / "models")


@pytest.fixture
def run_id(home: Path, spec: PipelineSpec, mlflow_store: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    client = trained.use_mlflow(home, mlflow_store, monkeypatch)
    return str(client.create_run(client.get_experiment_by_name("tiny").experiment_id).info.run_id)


@pytest.fixture
def built(home: Path, spec: PipelineSpec) -> Build:
    """Makes an archive of the tiny model without MLflow; its files are the keyword arguments."""

    def build_it(name: str = "one", **files: bytes) -> Path:
        contents = {name.replace("_", "."): content for name, content in files.items()} or FILES
        request = trained.package_request(spec, home, name, contents)
        folder = home / "built" / name
        folder.mkdir(parents=True)
        return build(spec, request.run, folder)

    return build_it


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model's archive, built once."""
    home = tmp_path_factory.mktemp("archive")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERENNIAL_MODELS", str(home / "models"))
        settings.cache_clear()
        spec = trained.write_model(home / "models")
        made = build(spec, trained.package_request(spec, home, "one", FILES).run, home)
    settings.cache_clear()
    return made


@pytest.fixture
def changed(archive: Path, tmp_path: Path) -> Change:
    """Copies the archive with other contents in some of its files: `changed(handler_py="import os")`."""

    def copy(**contents: str) -> Path:
        named = {name.replace("_", "."): content for name, content in contents.items()}
        return vary(archive, tmp_path / f"changed-{uuid.uuid4().hex}.mar", named)

    return copy


def numbers(home: Path, *values: Any) -> Path:
    path = home / "rows.parquet"
    pq.write_table(pa.table({"number": values, "ignored": ["x"] * len(values)}), path)
    return path


def test_an_archive_holds_what_serving_needs_and_answers_the_example(
    home: Path, spec: PipelineSpec, run_id: str
) -> None:
    request = trained.package_request(spec, home, run_id, FILES)

    archive = package(request)

    with zipfile.ZipFile(archive.url) as packed:
        assert sorted(packed.namelist()) == [
            "MAR-INF/MANIFEST.json",
            "answer.py",
            "handler.py",
            "model.json",
            "perennial_handler.py",
            "vocabulary/words.json",
        ]
        manifest = json.loads(packed.read("MAR-INF/MANIFEST.json"))["model"]
    assert manifest == {"modelName": "tiny", "handler": "handler.py", "modelVersion": run_id}
    assert archive.version == archive.run_id == run_id
    assert archive.sha256 == files.sha256(archive.url)
    assert archive.size_bytes == Path(archive.url).stat().st_size
    assert archive.example_prediction == {"prediction": 1, "score": 0.25}
    client = MlflowClient(settings().mlflow_url)
    assert [file.path for file in client.list_artifacts(run_id, "archive")] == ["archive/tiny.mar"]
    assert client.get_run(run_id).data.tags["perennial.archive_sha256"] == archive.sha256

    assert package(request) == archive, "a step that is tried again does not make another archive"

    Path(archive.url).write_bytes(b"something else")
    again = package(request)
    assert files.sha256(again.url) == again.sha256, "an archive that was changed since is made again"
    is_another = again.sha256 != archive.sha256  # an archive keeps times, to two seconds
    assert (again.url != archive.url) == is_another, (
        "under a name of its own: the registry points to the first"
    )
    assert Archive.model_validate_json((home / "runs" / "package" / "archive.json").read_text()) == again


def test_a_training_for_something_else_than_pipeline_yaml_says_now_is_not_packed(
    home: Path, spec: PipelineSpec, run_id: str
) -> None:
    request = trained.package_request(spec, home, run_id, FILES)
    then = TrainedFor(task="regression", label="label", features=("number",))
    request = request.model_copy(update={"run": request.run.model_copy(update={"trained_for": then})})

    with pytest.raises(CheckFailed, match="task was regression and is binary"):
        package(request)

    assert not list((home / "runs").rglob("*.mar"))


def test_rows_are_scored_in_their_order_and_a_refused_row_harms_no_other(home: Path, archive: Path) -> None:
    rows = numbers(home, *range(100), -5, 7)

    scores = score(archive, rows, ["number"], latency_samples=20)

    assert scores.scores[:3] == (1.0, 0.5, 1 / 3)
    assert scores.scores[-1] == 0.125
    assert (scores.predictions[0], scores.predictions[100]) == (1, None)
    assert [(refused.row, refused.status, refused.message) for refused in scores.refused] == [
        (100, 400, "A number is negative.")
    ]
    assert len(scores.latencies_seconds) == 20
    assert all(0 < seconds < 1 for seconds in scores.latencies_seconds)
    assert scores.answers[0] == {"prediction": 1, "score": 1.0, "archive_version": "one"}


def test_two_archives_with_modules_of_one_name_do_not_meet(
    home: Path, archive: Path, changed: Change
) -> None:
    rows = numbers(home, 1)
    archives = archive, changed(answer_py="def answer_of(folder):\n    return 2\n")

    answers = [score(one, rows, ["number"], latency_samples=0).predictions for one in archives]

    assert answers == [(1,), (2,)]


def test_an_archive_that_refuses_every_row_says_what_its_handler_said(home: Path, archive: Path) -> None:
    with pytest.raises(
        InvalidProject,
        match=r"refused every one of 2 rows; the first with status 400: A number is negative\.",
    ):
        score(archive, numbers(home, -1, -2), ["number"])


def test_an_example_that_the_model_cannot_answer_stops_the_packaging(
    home: Path, spec: PipelineSpec, run_id: str
) -> None:
    serving = spec.serving.model_copy(update={"input_example": {"colour": "blue"}})
    broken = spec.model_copy(update={"serving": serving})

    with pytest.raises(ServingError, match="status 500: The model failed on this instance: KeyError"):
        package(trained.package_request(broken, home, run_id, FILES))

    assert not list((home / "runs").rglob("*.mar"))


@pytest.mark.parametrize(
    ("handler", "kind", "said"),
    [
        (
            "import nowhere",
            InvalidProject,
            "cannot be imported here: ModuleNotFoundError: No module named 'nowhere'",
        ),
        (
            trained.HANDLER + "\nclass Second: pass",
            InvalidProject,
            "['Handler', 'Second']; TorchServe wants exactly one",
        ),
        (trained.HANDLER.replace("answer_of(folder)", "1 / 0"), ServingError, "ZeroDivisionError"),
        ("import time; time.sleep(300)", ServingError, "took longer than 1 s"),
    ],
)
def test_a_handler_that_torchserve_could_not_start_is_told(
    home: Path, changed: Change, handler: str, kind: type[Exception], said: str
) -> None:
    broken = changed(handler_py=handler)

    with pytest.raises(kind) as failure:
        score(broken, numbers(home, 1), ["number"], timeout_seconds=1 if "sleep" in handler else 60)

    assert said in str(failure.value)


@pytest.fixture(scope="module")
def pickles() -> dict[str, bytes]:
    """Files that load by unpickling; PyTorch is imported here and not where these tests are collected."""
    import torch

    def saved(value: Any) -> bytes:
        buffer = io.BytesIO()
        torch.save(value, buffer)
        return buffer.getvalue()

    return {
        "weights.pkl": b"",
        "weights.bin": pickle.dumps({"weight": 1}),
        "weights.pt": saved({"weight": torch.ones(1)}),
        "deep/down/model.pth": saved(torch.nn.Linear(1, 1)),
        "vectoriser.joblib": b"",
    }


def test_a_file_that_loads_by_unpickling_is_refused_before_anything_is_made(
    home: Path, spec: PipelineSpec, run_id: str, pickles: dict[str, bytes]
) -> None:
    for number, (name, content) in enumerate(pickles.items()):
        files = {**FILES, name: content}
        with pytest.raises(InvalidProject, match=f"training wrote {name}, which loads by unpickling"):
            package(trained.package_request(spec, home, f"{run_id}{number}", files))

    assert not list((home / "runs").rglob("*.mar"))


def test_files_that_load_without_unpickling_pass(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save

    (tmp_path / "weights.safetensors").write_bytes(save({"weight": torch.ones(2)}))
    torch.jit.script(torch.nn.Linear(1, 1)).save(tmp_path / "script.pt")
    torch.export.save(
        torch.export.export(torch.nn.Linear(1, 1), (torch.ones(1, 1),)), tmp_path / "program.pt2"
    )
    (tmp_path / "words.json").write_text("[]")
    (tmp_path / "empty").write_bytes(b"")

    assert [file.name for file in sorted(tmp_path.iterdir()) if needs_unpickling(file)] == []


def test_a_file_that_the_specification_names_and_is_not_there_is_told(
    home: Path, spec: PipelineSpec, built: Build
) -> None:
    (home / "models" / "tiny" / "answer.py").unlink()

    with pytest.raises(InvalidProject, match=r"answer\.py is missing, but the archive needs it"):
        built()


def test_a_training_may_not_replace_the_handler(built: Build) -> None:
    with pytest.raises(InvalidProject, match=r"Two files of the archive of tiny are called handler\.py"):
        built("one", handler_py=b"import os")


def test_a_file_in_place_of_an_archive_is_told(home: Path, spec: PipelineSpec) -> None:
    broken = home / "broken.mar"
    broken.write_bytes(b"not a zip")

    with pytest.raises(ServingError, match="File is not a zip file"):
        score(broken, numbers(home, 1), ["number"])


def test_an_archive_whose_training_is_gone_is_not_made_from_nothing(
    home: Path, spec: PipelineSpec, run_id: str
) -> None:
    request = trained.package_request(spec, home, run_id, FILES)
    shutil.rmtree(request.run.model_files_url)

    with pytest.raises(InvalidProject, match="holds no file of the training"):
        package(request)
