"""A version is trained again from its records alone, on another machine, and whatever differs is named.

The trainer's clone, state and library lie in folders that the one who reproduces does not have.
"""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.__main__ import main
from tasks.contracts import (
    Action,
    AttestRequest,
    Champion,
    DataSnapshot,
    EvaluateRequest,
    PackageRequest,
    ReproduceRequest,
    Reproduction,
    SnapshotPart,
    TrainingRun,
)
from tasks.errors import InvalidRequest, NothingToDo, NotReproducible
from tasks.evaluation.evaluate import evaluate
from tasks.ledger import entries
from tasks.provenance.attest import attest
from tasks.provenance.reproduce import reproduce
from tasks.runtime.code_version import HANDLER_BASE
from tasks.settings import PROJECT, settings
from tasks.spec import PipelineSpec
from tasks.stores import registry
from tasks.stores.row_hash import sha256_of_rows
from tasks.training.package import package
from tasks.training.train import train
from tests.unit import trained

PROGRAM = """
import json, pathlib, sys
import numpy as np, tinylib
from safetensors.numpy import save_file
data, output, seed, mode = sys.argv[1:]
weights = np.random.default_rng(int(seed)).normal(size=(3, 2)).astype("float32")
weights[0, 0] *= tinylib.FACTOR
output = pathlib.Path(output)
save_file({"layer.weight": weights, "layer.bias": np.ones(2, "float32")}, output / "w.safetensors")
(output / "model.json").write_text(json.dumps({"answer": int(weights.sum() > -100)}))
"""


@dataclass(frozen=True)
class World:
    """Version 1 of the tiny model, and a clone of the repository that it was trained in.

    Attributes:
        mlflow_url: Where it is recorded.
        gone: Where the trainer's folder was, which is not there any more.
    """

    spec: PipelineSpec
    run: TrainingRun
    clone: Path
    mlflow_url: str
    gone: Path

    def request(self, home: Path, **asked: Any) -> ReproduceRequest:
        where = trained.context(home, "reproduce")
        return ReproduceRequest(context=where, spec=self.spec, **{"version": "1", **asked})

    def variables(self, home: Path) -> dict[str, str]:
        """What points another machine to the stores, and to its own clone."""
        return {
            "PERENNIAL_HOME": str(home),
            "PERENNIAL_MLFLOW_URL": self.mlflow_url,
            "PERENNIAL_PROJECT": str(self.clone),
            "PERENNIAL_MODELS": str(self.clone / "models"),
            "PERENNIAL_ENVIRONMENTS": str(home / "environments"),
        }


@pytest.fixture
def elsewhere(world: World, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process as another machine, with the library that the trainer had; returns its state folder."""
    for name, value in world.variables(home).items():
        monkeypatch.setenv(name, value)
    install(home, monkeypatch, "1.0", 1)
    settings.cache_clear()
    return home


@pytest.fixture
def lineage(world: World, elsewhere: Path) -> Iterator[Callable[..., None]]:
    """Changes what MLflow says that the run came from, as anybody may who can write there."""

    def change(**fields: Any) -> None:
        changed = world.run.model_copy(update=fields)
        registry.log_text(world.run.run_id, registry.LINEAGE, changed.model_dump_json())

    yield change
    change()


def install(home: Path, patch: pytest.MonkeyPatch, version: str, factor: float) -> None:
    folder = write_library(home / f"library-{version}", version, factor)
    patch.setenv("PYTHONPATH", folder)
    patch.syspath_prepend(folder)


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def write_library(folder: Path, version: str, factor: float) -> str:
    """A library as pip installs it, which the model's program imports; returns its place on Python's path."""
    about = folder / f"tinylib-{version}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: tinylib\nVersion: {version}\n")
    (folder / "tinylib.py").write_text(f"FACTOR = {factor}\n")
    return str(folder)


def write_snapshot(folder: Path) -> DataSnapshot:
    parts = {}
    for name, rows in (("train", 20), ("validation", 5), ("test", 30)):
        keys = [f"{name}-{row:02}" for row in range(rows)]
        table = pa.table({"id": keys, "number": list(range(rows)), "label": [row % 2 for row in range(rows)]})
        path = folder / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)
        parts[name] = SnapshotPart(url=str(path), rows=rows, sha256=sha256_of_rows(table))
    return trained.snapshot(folder / "unused").model_copy(update={**parts, "rows": 55})


@pytest.fixture(scope="module")
def world(mlflow_store: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    trainer, project, clone = folder / "trainer", folder / "project", folder / "clone"
    spec = trained.write_model(project / "models")
    (project / "models" / "tiny" / "train.py").write_text(PROGRAM)
    (project / HANDLER_BASE).parent.mkdir(parents=True)
    shutil.copy(PROJECT / HANDLER_BASE, project / HANDLER_BASE)
    git(project, "init", "--quiet", "--initial-branch=main")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "--message", "The tiny model")
    trainer.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERENNIAL_HOME", str(trainer))
        patch.setenv("PERENNIAL_PROJECT", str(project))
        patch.setenv("PERENNIAL_MODELS", str(project / "models"))
        install(folder, patch, "1.0", 1)
        trained.use_mlflow(trainer, mlflow_store, patch, artifacts=str(folder / "artifacts"))
        run = make_version(spec, trainer, write_snapshot(folder / "rows"))
        mlflow_url = settings().mlflow_url.replace(str(trainer), str(folder))
        shutil.move(trainer / "mlflow.db", folder / "mlflow.db")
    settings.cache_clear()
    shutil.rmtree(trainer)
    (project / "models" / "tiny" / "train.py").write_text("raise SystemExit('This is another program.')")
    git(project, "commit", "--all", "--quiet", "--message", "Another program")
    git(folder, "clone", "--quiet", str(project), str(clone))
    shutil.rmtree(project)
    return World(spec, run, clone, mlflow_url, trainer)


def make_version(spec: PipelineSpec, home: Path, snapshot: DataSnapshot) -> TrainingRun:
    """Train, package and evaluate, and register what came of it as version 1."""
    request = trained.train_request(spec, home, seed=3).model_copy(update={"snapshot": snapshot})
    run = train(request)
    archive = package(PackageRequest(context=trained.context(home, "package"), spec=spec, run=run))
    none = Champion(model=spec.name, version=None, serves=False)
    evaluate(
        EvaluateRequest(
            context=trained.context(home, "evaluate"), spec=spec, run=run, archive=archive, champion=none
        )
    )
    client = registry.client()
    client.create_registered_model(spec.name)
    tags = {registry.ARCHIVE: archive.model_dump_json(), registry.DECISION: ""}
    client.create_model_version(spec.name, source=run.model_files_url, run_id=run.run_id, tags=tags)
    return run


def test_a_colleague_gets_the_same_bits_by_one_command_from_a_fresh_clone_whose_newest_commit_is_another(
    world: World, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["reproduce", "tiny", "1", "--json"])

    told = capsys.readouterr()
    assert ended.value.code in {0, None}, told.err
    found = Reproduction.model_validate_json(told.out)
    assert (found.verdict, found.conditions) == ("identical", ()), found.why
    assert (found.tensors, found.files, found.answers.rows) == (2, (), 30)
    assert "the ledger cannot be reached from here" in told.err
    assert not world.gone.exists()


def test_a_changed_library_is_named_and_so_is_the_tensor_that_it_changed_and_the_ledger_keeps_both(
    world: World, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(elsewhere, monkeypatch, "2.0", 1.5)

    found = reproduce(world.request(elsewhere))
    kept = attest(AttestRequest(context=trained.context(elsewhere, "attest"), reproduction=found))

    assert found.verdict == "different"
    assert [(each.file, each.tensor) for each in found.largest] == [("w.safetensors", "layer.weight")]
    assert [(each.name, each.recorded, each.here) for each in found.conditions] == [("tinylib", "1.0", "2.0")]
    assert "1 of 2 tensors differ, most of all layer.weight of w.safetensors by up to 1.02" in found.why
    assert "Not as it was: tinylib was 1.0 and is 2.0." in found.why
    [entry] = entries.history("tiny")
    assert (entry.action, entry.before, entry.after) == (Action.REPRODUCE, world.run.run_id, "different")
    assert entry.entry_hash == kept.ledger_hash
    run = registry.client().get_run(found.reproduced_as)
    assert run.data.tags["perennial.reproduces_run_id"] == world.run.run_id
    assert run.data.tags["perennial.verdict"] == "different"
    assert run.info.status == "FINISHED"
    assert registry.version_numbers("tiny") == ["1"], "a reproduction is never registered"


def test_a_record_that_names_another_seed_than_the_one_trained_with_is_found_out(
    world: World, elsewhere: Path, lineage: Callable[..., None]
) -> None:
    lineage(parameters={**world.run.parameters, "seed": "4"})

    found = reproduce(world.request(elsewhere))

    assert found.verdict == "different"
    assert [each.tensor for each in found.largest] == ["layer.weight"]
    assert found.conditions == ()
    assert "the training is not deterministic, or its record was changed" in found.why


@pytest.mark.parametrize(
    ("commit", "says"),
    [
        (None, "does not say of which commit"),
        ("ab" * 20 + "+dirty", "with files that differed from it, and nobody has kept those"),
        ("ab" * 20, "which is not here: "),
        ("--output=/tmp/x", "is no commit's name"),
    ],
)
def test_code_that_is_not_known_or_not_in_this_clone_is_refused_before_anything_is_trained(
    world: World, elsewhere: Path, lineage: Callable[..., None], commit: str | None, says: str
) -> None:
    lineage(code_commit=commit)

    with pytest.raises(NotReproducible, match=re.escape(says)):
        reproduce(world.request(elsewhere))


def test_a_snapshot_whose_files_and_table_are_gone_is_refused(
    world: World, elsewhere: Path, lineage: Callable[..., None]
) -> None:
    part = world.run.snapshot.test.model_copy(update={"url": str(elsewhere / "gone.parquet")})
    lineage(snapshot=world.run.snapshot.model_copy(update={"test": part}))

    with pytest.raises(NotReproducible, match=r"There is no file .*gone\.parquet.* cannot be queried again"):
        reproduce(world.request(elsewhere))


def test_a_version_that_there_is_not_is_refused_with_those_that_there_are(
    world: World, elsewhere: Path
) -> None:
    with pytest.raises(InvalidRequest, match=r"There is no version 7 of 'tiny'\. There are 1\."):
        reproduce(world.request(elsewhere, version="7"))
    with pytest.raises(NothingToDo, match="tiny has no champion to reproduce"):
        reproduce(world.request(elsewhere, version=None))
