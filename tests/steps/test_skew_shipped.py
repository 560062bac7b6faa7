"""Faults planted into the shipped models' handlers, that change the metric by less than any rule can see."""

import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from benchmarks.planted_faults import HANDLERS
from tasks.contracts import TrainingRun
from tasks.evaluation.preparation.candidate import preparation_of
from tasks.evaluation.preparation.compare import tell
from tasks.evaluation.preparation.kept_code import keep_code
from tasks.settings import PROJECT
from tasks.spec import PipelineSpec
from tests.steps.replayed import packed, run_training_once
from tests.unit import judged

SAVED = {
    "flight_delay": "DelayClassifier(buckets=64, dimension=2, hidden=4, dropout=0.0)",
    "review_sentiment": "BagClassifier(buckets=4096, dimension=2, ngrams=2)",
}
EXCHANGED, REVERSED = HANDLERS["flight_delay"][2], HANDLERS["review_sentiment"][1]


def trained(model: str, home: Path) -> tuple[PipelineSpec, TrainingRun]:
    """A copy of a shipped model, of which an untrained network was saved."""
    models = home / "models"
    shutil.copytree(PROJECT / "models" / model, models / model, ignore=shutil.ignore_patterns("mlruns"))
    shutil.copy(PROJECT / "models" / "perennial_training.py", models)
    keep_code(models, model, str(home / "run"))
    program = f"import pathlib, sys, network; network.{SAVED[model]}.save(pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", program, home / "run" / "model"], check=True, cwd=models / model)
    spec = PipelineSpec.load(models / model / "pipeline.yaml")
    parts = {part: judged.part(home, part, rows(spec)) for part in ("train", "validation", "test")}
    snapshot = judged.snapshot().model_copy(update=parts)
    run = judged.run(model=model, snapshot=snapshot, model_files_url=str(home / "run" / "model"))
    return spec, run


def rows(spec: PipelineSpec) -> pa.Table:
    """The example of pipeline.yaml, and others like it."""
    example = spec.serving.input_example
    varied = [{name: _varied(value, number) for name, value in example.items()} for number in range(30)]
    keys = pa.array([str(number) for number in range(30)])
    return pa.Table.from_pylist(varied).append_column(spec.data.key, keys)


def _varied(value: object, number: int) -> object:
    return f"{value} {number}" if isinstance(value, str) else value


@pytest.mark.parametrize(
    ("model", "fault", "named"),
    [("flight_delay", EXCHANGED, "input categories[2]"), ("review_sentiment", REVERSED, "input texts")],
)
def test_a_planted_fault_of_the_handler_is_named_by_the_first_row(
    home: Path, monkeypatch: pytest.MonkeyPatch, model: str, fault: tuple[str, str], named: str
) -> None:
    run_training_once(monkeypatch, [])
    spec, run = trained(model, home)
    sound = preparation_of(spec, run, Path(packed(spec, run, home / "models", home / "sound").url))
    handler, (right, wrong) = home / "models" / model / "handler.py", fault
    assert right in handler.read_text()
    handler.write_text(handler.read_text().replace(right, wrong))

    found = preparation_of(spec, run, Path(packed(spec, run, home / "models", home / "faulty").url))

    assert sound is not None
    assert (sound.unknown, sound.rows, sound.differing) == (None, 30, 0), tell(sound)
    assert found is not None
    assert found.differing == 30
    assert f"row {spec.data.key} 0, {named}" in tell(found)
