"""The code, the rows and the place of an earlier training, so that it can be run again."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.contracts import DataSnapshot, SnapshotPart, TrainingRun
from tasks.data import batches
from tasks.data.model_query import training_rows
from tasks.data.snapshot import PARTS, divide
from tasks.errors import FrozenSetMismatch, InvalidProject, LakeError, NotReproducible
from tasks.runtime import code_version
from tasks.runtime.code_version import Code
from tasks.settings import settings
from tasks.spec import PipelineSpec, SplitSpec
from tasks.stores.lake import Lake
from tasks.stores.parts import fetch_part
from tasks.stores.row_hash import sha256_of_rows

DIRTY = "+dirty"


@contextmanager
def code_of(run: TrainingRun, wanted: Literal["recorded", "here"]) -> Iterator[Code]:
    """The code that a run was trained with: this project, where it is of that commit or in that image, else a
    copy of that commit.

    Args:
        wanted: `here` takes this project as it is.

    Raises:
        NotReproducible: Nobody knows that code, or it is not here.
    """
    image = run.image_digest is not None and run.image_digest == settings().image_digest
    if wanted == "here" or image:
        yield code_version.code_here()
        return
    commit = _require_known(run)
    if commit == code_version.code_commit(settings().project):
        yield code_version.code_here()
        return
    with TemporaryDirectory(prefix="perennial-commit-") as folder:
        try:
            yielded = code_version.check_out(commit, Path(folder))
        except LookupError as error:
            raise _not_here(run, commit, error) from error
        yield yielded


def _require_known(run: TrainingRun) -> str:
    if run.code_commit is None:
        raise NotReproducible(
            f"Run {run.run_id} does not say of which commit its code was: it was trained outside a Git "
            "clone. Ask for `code: here` (`--code here`) to train with the files of this project.",
            run_id=run.run_id,
        )
    if run.code_commit.endswith(DIRTY):
        raise NotReproducible(
            f"Run {run.run_id} was trained from commit {run.code_commit.removesuffix(DIRTY)} with files that "
            "differed from it, and nobody has kept those. Commit before you train; ask for `code: here` "
            "(`--code here`) to train with the files of this project.",
            code_commit=run.code_commit,
        )
    return run.code_commit


def _not_here(run: TrainingRun, commit: str, error: LookupError) -> NotReproducible:
    place = settings()
    image = f" Its image is {run.image_digest}: set PERENNIAL_STEP_IMAGE to it." if run.image_digest else ""
    remedy = (
        f"This is an image of commit {place.code_commit} and holds no other; run it from a clone that does."
        if place.code_commit
        else f"Fetch that commit into the clone {place.project} (git fetch)."
    )
    return NotReproducible(
        f"Run {run.run_id} was trained from commit {commit}, which is not here: {error}. {remedy}{image}",
        code_commit=commit,
        image_digest=run.image_digest,
    )


def spec_of(code: Code, model: str) -> PipelineSpec:
    """The model's specification, as that code has it.

    Raises:
        NotReproducible: It has no such model.
        InvalidProject: Its pipeline.yaml is wrong for the Perennial that runs here.
    """
    path = code.models / model / "pipeline.yaml"
    if not path.is_file():
        raise NotReproducible(
            f"The code that the run was trained with has no models/{model}/pipeline.yaml. Was the model in "
            "another folder (PERENNIAL_MODELS)?"
        )
    return PipelineSpec.load(path)


def rows_of(spec: PipelineSpec, snapshot: DataSnapshot, folder: Path) -> tuple[DataSnapshot, bool]:
    """The rows that a training saw, as files of this machine; and whether they had to be queried anew.

    The snapshot's own files are taken where they still hold the rows that were frozen. Else the query is
    asked again, of the same versions of its tables.

    Raises:
        NotReproducible: Neither gives the same rows.
    """
    try:
        return _stored(snapshot, folder), False
    except (FrozenSetMismatch, PermissionError, NotADirectoryError) as error:
        return _made_again(spec, snapshot, folder, error), True


def _stored(snapshot: DataSnapshot, folder: Path) -> DataSnapshot:
    parts = {}
    for name in PARTS:
        part: SnapshotPart = getattr(snapshot, name)
        parts[name] = part.model_copy(update={"url": str(fetch_part(part, folder / f"{name}.parquet"))})
    return snapshot.model_copy(update=parts)


def _made_again(spec: PipelineSpec, snapshot: DataSnapshot, folder: Path, gone: Exception) -> DataSnapshot:
    versions = {table.table: table.version for table in snapshot.pinned}
    data = spec.data.model_copy(update={"query": snapshot.query, "split": _split(spec, snapshot)})
    left_out = batches.without(snapshot.table, snapshot.left_out_batches)
    try:
        rows = training_rows(Lake(), spec.model_copy(update={"data": data}), versions, left_out)
    except (LakeError, InvalidProject) as error:
        raise NotReproducible(
            f"The rows of the snapshot {snapshot.sha256} cannot be had: {gone} And they cannot be queried "
            f"again: {error} Bring back the snapshot's files or the lake from a backup.",
            snapshot=snapshot.sha256,
        ) from error
    return snapshot.model_copy(update=_parts(divide(rows, data)[0], snapshot, folder, gone))


def _split(spec: PipelineSpec, snapshot: DataSnapshot) -> SplitSpec:
    """How the snapshot was divided, with near-duplicates left out only where they were."""
    known = snapshot.near_duplicates
    done = "leave_out" if known is not None and known.left_out else "count"
    return spec.data.split.model_copy(update={"near_duplicates": done})


def _parts(
    found: dict[str, pa.Table], snapshot: DataSnapshot, folder: Path, gone: Exception
) -> dict[str, SnapshotPart]:
    parts = {}
    for name, rows in found.items():
        part: SnapshotPart = getattr(snapshot, name)
        sha256 = sha256_of_rows(rows)
        if sha256 != part.sha256:
            raise NotReproducible(
                f"The rows of the snapshot {snapshot.sha256} cannot be had: {gone} Queried again, the {name} "
                f"part has {len(rows)} rows with the hash {sha256}, but {part.rows} with {part.sha256} were "
                "trained on: the files of the tables, the query or data.split are not as they were.",
                frozen=part.sha256,
                found=sha256,
            )
        path = folder / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, path)
        parts[name] = part.model_copy(update={"url": str(path)})
    return parts
