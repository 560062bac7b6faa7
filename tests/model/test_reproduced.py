"""The two models that their own tests train without the steps: a tiny version of each, trained once more.

The others are trained again in their own tests.
"""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tasks.contracts import Archive, Champion, DataSnapshot, EvaluateRequest, SnapshotPart, TrainingRun
from tasks.evaluation.evaluate import evaluate
from tasks.spec import PipelineSpec
from tasks.stores import files
from tasks.stores.row_hash import sha256_of_rows
from tasks.training.package import build
from tasks.training.train import train
from tests.model.conftest import Loop, example_data, write_parts
from tests.steps.by_hand import ByHand
from tests.unit import trained


def freeze(spec: PipelineSpec, rows: pd.DataFrame, home: Path) -> DataSnapshot:
    """A snapshot of these rows, without a lake."""
    write_parts(spec, rows, home / "parts")
    parts = {}
    for name in ("train", "validation", "test"):
        path = home / "parts" / f"{name}.parquet"
        table = pq.read_table(path)
        parts[name] = SnapshotPart(url=str(path), rows=len(table), sha256=sha256_of_rows(table))
    return trained.snapshot(home / "unused").model_copy(update=parts)


def pack(spec: PipelineSpec, run: TrainingRun, folder: Path) -> Archive:
    folder.mkdir()
    archive = build(spec, run, folder)
    names = {"model": spec.name, "version": run.run_id, "run_id": run.run_id, "url": str(archive)}
    size, sha256 = archive.stat().st_size, files.sha256(str(archive))
    return Archive(**names, sha256=sha256, size_bytes=size, example_prediction={})


def judge(loop: ByHand, run: TrainingRun, archive: Archive) -> None:
    none = Champion(model=loop.spec.name, version=None, serves=False)
    where = loop.context("first", "evaluate")
    evaluate(EvaluateRequest(context=where, spec=loop.spec, run=run, archive=archive, champion=none))


@pytest.mark.parametrize(("model", "rows"), [("review_sentiment", 600), ("flight_delay", 600)])
def test_a_version_trained_again_is_the_same_bit_for_bit(loop_of: Loop, model: str, rows: int) -> None:
    loop = loop_of(model)
    spec, home = loop.spec, loop.home
    snapshot = freeze(spec, example_data(model, home / "landing", "--rows", str(rows)), home)
    request = trained.train_request(spec, home, epochs=2).model_copy(update={"snapshot": snapshot})
    run = train(request)
    archive = pack(spec, run, home / "packed")
    judge(loop, run, archive)

    found = loop.reproduce(archive)

    assert (found.verdict, found.conditions) == ("identical", ()), found.why
    assert (found.tensors > 2, found.answers.rows) == (True, snapshot.test.rows)
