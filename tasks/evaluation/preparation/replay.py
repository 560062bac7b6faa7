"""Replay rows through a training's own code and through the archive's handler, each in a process of its own.

Neither sees the other's modules, which have the same names. The training's code is what was kept with the
run, not what lies in the folder now; its rows come through Parquet and pandas, as they came to the training.
"""

import json
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.contracts import SnapshotPart, TrainingRun
from tasks.errors import EXIT_INVALID, InvalidProject, ServingError
from tasks.evaluation.preparation.inputs import PROGRAM, Inputs
from tasks.evaluation.preparation.kept_code import declares_inputs, fetch_code
from tasks.runtime import child
from tasks.settings import PROJECT
from tasks.stores import files

TIMEOUT_SECONDS = 600
HASHES = {"trained": "0", "served": "random"}
"""Of Python's own hashes, which a training has always the same, and each worker of TorchServe others: a
preparation that rests on them serves what was never trained."""


@dataclass(frozen=True)
class Sample:
    """Rows in both of their forms.

    Attributes:
        names: What each row is called, for people.
        instances: As requests carry them.
        rows: As the training would have read them: the features, in the types of its own file.
    """

    names: tuple[str, ...]
    instances: tuple[dict[str, Any], ...]
    rows: pa.Table


@dataclass(frozen=True)
class Shape:
    """The columns of a training's file: their types, and those that have nulls in it, which pandas then reads
    as another type.
    """

    schema: pa.Schema
    nullable: frozenset[str]


def shape_of(part: SnapshotPart, features: Sequence[str]) -> Shape:
    """The shape of the features in a part, from the file's footer.

    Raises:
        InvalidProject: It lacks one: the model got it since.
    """
    with files.at(part.url).open("rb") as file:
        found = pq.ParquetFile(file)
        schema = found.schema_arrow
        groups = [found.metadata.row_group(number) for number in range(found.metadata.num_row_groups)]
        columns = [group.column(place) for group in groups for place in range(group.num_columns)]
        nullable = {
            column.path_in_schema
            for column in columns
            if column.statistics is not None and column.statistics.null_count
        }
    if lacking := [name for name in features if name not in schema.names]:
        raise InvalidProject(
            f"The training's file has no column {', '.join(lacking)}: the model got it since. Train again.",
            path=part.url,
        )
    return Shape(pa.schema([schema.field(name) for name in features]), frozenset(nullable & {*features}))


@dataclass(frozen=True)
class Replayed:
    """What both sides gave to the network; `trained` is None where the training declares no preparation."""

    trained: Inputs | None
    served: Inputs


def replay(run: TrainingRun, archive: Path, sample: Sample, shape: Shape) -> Replayed:
    """Both sides' inputs, and the archive's answers.

    Args:
        run: The training of which the archive was made.
        archive: A .mar file on this machine.
        shape: Of the part that the training learned from.

    Raises:
        InvalidProject: The archive's handler cannot be imported.
        ServingError: One of the programs failed.
    """
    groups = _groups(sample.rows)
    with tempfile.TemporaryDirectory(prefix="perennial-skew-") as name:
        folder = Path(name)
        code = fetch_code(run, folder / "code")
        served = _served(archive, sample, groups, folder)
        if code is None or not declares_inputs(code / run.model / PROGRAM):
            return Replayed(None, served)
        return Replayed(_trained(run, code, sample, groups, shape, folder), served)


def declares_preparation(run: TrainingRun) -> bool:
    """Whether the training's program, as it was kept, says how it prepares rows."""
    with tempfile.TemporaryDirectory(prefix="perennial-skew-") as name:
        code = fetch_code(run, Path(name))
        return code is not None and declares_inputs(code / run.model / PROGRAM)


def _groups(rows: pa.Table) -> list[list[int]]:
    """The rows' numbers by which of their columns are null: one null makes pandas read a column of whole
    numbers as another type, also in the rows that have none.
    """
    nulls = np.array([column.is_null().to_numpy() for column in rows.columns], dtype=np.bool_).T
    found: dict[bytes, list[int]] = {}
    for number, pattern in enumerate(nulls):
        found.setdefault(pattern.tobytes(), []).append(number)
    return list(found.values())


def _served(archive: Path, sample: Sample, groups: list[list[int]], folder: Path) -> Inputs:
    asked = [{row: sample.instances[row] for row in group} for group in groups]
    (folder / "instances.json").write_text(json.dumps(asked), encoding="utf-8")
    return _run("served", ["--archive", str(archive)], archive, folder)


def _trained(
    run: TrainingRun, code: Path, sample: Sample, groups: list[list[int]], shape: Shape, folder: Path
) -> Inputs:
    for number, group in enumerate(groups):
        pq.write_table(sample.rows.take(group), folder / f"rows-{number}.parquet")
    asked = {"groups": groups, "nullable": sorted(shape.nullable)}
    (folder / "groups.json").write_text(json.dumps(asked), encoding="utf-8")
    saved = folder / "files"
    for path in _files_of(run):
        files.fetch(str(path), saved.joinpath(*path.relative_to(files.at(run.model_files_url)).parts))
    return _run("trained", ["--code", str(code), "--model", run.model, "--files", str(saved)], code, folder)


def _files_of(run: TrainingRun) -> Iterable[Any]:
    return (path for path in files.at(run.model_files_url).rglob("*") if path.is_file())


def _run(side: str, options: list[str], what: Path, folder: Path) -> Inputs:
    output = folder / f"{side}.npz"
    command = [sys.executable, "-m", f"tasks.evaluation.preparation.{side}_program", *options]
    ended = child.run(
        [*command, "--work", str(folder), "--output", str(output)],
        log=folder / f"{side}.log",
        timeout_seconds=TIMEOUT_SECONDS,
        environment={"PYTHONHASHSEED": HASHES[side]},
        folder=PROJECT,
    )
    if ended.code == EXIT_INVALID:
        raise InvalidProject(ended.tail, path=str(what))
    if ended.code != 0:
        raise ServingError(
            f"Replaying rows through {what} ended with code {ended.code}. The end of its "
            f"output:\n{ended.tail}"
        )
    return Inputs.load(output)
