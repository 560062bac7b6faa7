"""Score an archive as TorchServe would run it, in a process
of its own, so that two archives' modules never meet.
"""

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tasks.contracts import Archive
from tasks.errors import EXIT_INVALID, ArchiveMismatch, InvalidProject, ServingError
from tasks.runtime import child
from tasks.settings import PROJECT
from tasks.stores import files

SERVER_ERROR = 500


@dataclass(frozen=True)
class Refused:
    """A row that the archive's handler did not predict on:
    its place, the HTTP status and the handler's sentence.
    """

    row: int
    status: int
    message: str


@dataclass(frozen=True)
class Scores:
    """An archive's answers in row order.

    Attributes:
        predictions: The labels or numbers; None for a refused row.
        scores: The models' scores; None where there is none.
        probabilities: Of each class by its name, the answers' `scores`; None where there are none.
        latencies_seconds: Of single requests through the handler, after a warm-up.
        answers: The handler's whole answers to the first rows (at most 10).
        peak_memory_bytes: The most memory that the process had; None where there was none.
    """

    predictions: tuple[Any, ...]
    scores: tuple[float | None, ...]
    probabilities: tuple[dict[str, float] | None, ...]
    refused: tuple[Refused, ...]
    latencies_seconds: tuple[float, ...]
    answers: tuple[dict[str, Any], ...]
    peak_memory_bytes: int | None = None

    def split(self, rows: int) -> "tuple[Scores, Scores]":
        """The answers to so many first rows, with all latencies, and to those behind them."""
        first = replace(
            self,
            predictions=self.predictions[:rows],
            scores=self.scores[:rows],
            probabilities=self.probabilities[:rows],
            refused=tuple(refused for refused in self.refused if refused.row < rows),
            answers=self.answers[:rows],
        )
        behind = replace(
            self,
            predictions=self.predictions[rows:],
            scores=self.scores[rows:],
            probabilities=self.probabilities[rows:],
            refused=tuple(
                replace(refused, row=refused.row - rows) for refused in self.refused if refused.row >= rows
            ),
            latencies_seconds=(),
            answers=self.answers[rows:],
        )
        return first, behind


def fetch_archive(archive: Archive, folder: Path) -> Path:
    """Copy an archive to a folder of this machine, named by its hash.

    Raises:
        ArchiveMismatch: The file is not what its record says.
    """
    local = files.fetch(archive.url, folder / f"{archive.sha256}.mar")
    found = files.sha256(str(local))
    if found != archive.sha256:
        raise ArchiveMismatch(
            f"{archive.url} has the SHA-256 {found}, but {archive.sha256} is expected of run "
            f"{archive.run_id}: the file was changed. Restore it, or train again.",
            found=found,
            expected=archive.sha256,
        )
    return local


def score(
    archive: Path,
    rows: Path,
    columns: Sequence[str],
    *,
    latency_samples: int = 200,
    timeout_seconds: float = 900,
) -> Scores:
    """Feed rows to an archive's handler, which is broken if it refuses every one of them.

    Raises:
        InvalidProject: The handler calls every row a bad instance.
        ServingError: It failed otherwise, on every row.
    """
    scores = answer_all(
        archive, rows, columns, latency_samples=latency_samples, timeout_seconds=timeout_seconds
    )
    _require_an_accepted_row(scores, archive, columns)
    return scores


def answer_all(
    archive: Path,
    rows: Path,
    columns: Sequence[str],
    *,
    latency_samples: int = 200,
    timeout_seconds: float = 900,
    python: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Scores:
    """Feed rows to an archive's handler, in a process of its own.

    Args:
        archive: A .mar file on this machine.
        rows: A Parquet file, or JSON lines of instances.
        columns: The features that make an instance.
        latency_samples: How many single requests are timed.
        python: The interpreter; None for this process's.
        environment: Variables of that process beside those of this one.

    Raises:
        InvalidProject: The archive's handler cannot be imported, or breaks TorchServe's rules.
        ServingError: The process failed.
    """
    with tempfile.TemporaryDirectory(prefix="perennial-score-") as folder:
        output = Path(folder, "scores.json")
        command = [str(python or sys.executable), "-m", "tasks.evaluation.score_program"]
        command += ["--archive", str(archive), "--rows", str(rows), "--output", str(output)]
        command += [part for column in columns for part in ("--column", column)]
        command += ["--latency-samples", str(latency_samples), "--work", folder]
        ended = child.run(
            command,
            log=Path(folder, "score.log"),
            timeout_seconds=timeout_seconds,
            environment=environment,
            folder=PROJECT,
        )
        if ended.code != 0 or not output.exists():
            raise _failure(ended, archive, timeout_seconds)
        return _read(output)


def _failure(ended: child.Ended, archive: Path, timeout_seconds: float) -> InvalidProject | ServingError:
    """Why there are no scores."""
    if ended.code == EXIT_INVALID:
        return InvalidProject(ended.tail, archive=str(archive))
    end = f"took longer than {timeout_seconds:.0f} s" if ended.timed_out else f"ended with code {ended.code}"
    return ServingError(
        f"Scoring {archive} {end}. The end of its output:\n{ended.tail}", archive=str(archive)
    )


def _require_an_accepted_row(scores: Scores, archive: Path, columns: Sequence[str]) -> None:
    if scores.predictions and len(scores.refused) == len(scores.predictions):
        first = scores.refused[0]
        as_each_time = all(refused.status < SERVER_ERROR for refused in scores.refused)
        raise (InvalidProject if as_each_time else ServingError)(
            f"The archive {archive} refused every one of {len(scores.predictions)} rows; the first with "
            f"status {first.status}: {first.message} Check handler.py against the columns {list(columns)}.",
            archive=str(archive),
        )


def _read(path: Path) -> Scores:
    document = json.loads(path.read_text(encoding="utf-8"))
    return Scores(
        predictions=tuple(document["predictions"]),
        scores=tuple(document["scores"]),
        probabilities=tuple(document["probabilities"]),
        refused=tuple(Refused(**refused) for refused in document["refused"]),
        latencies_seconds=tuple(document["latencies_seconds"]),
        answers=tuple(document["answers"]),
        peak_memory_bytes=document["peak_memory_bytes"],
    )
