"""How far do the labels of new batches agree with the answers of the champion, which has not seen them?"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tasks.contracts import Agreement, ModelVersion, TrainingRun
from tasks.errors import ArchiveMismatch, CheckFailed, InvalidProject, ServingError
from tasks.evaluation.answers import Answers, Judged, Target, Truth
from tasks.evaluation.scoring import Scores, score
from tasks.monitoring.labels.judge import Rows
from tasks.monitoring.labels.next_batch import NextBatch
from tasks.monitoring.labels.skill import Skill, skill, usual
from tasks.spec import PipelineSpec
from tasks.stores import files
from tasks.stores.parts import read_part

MOST_ROWS = 2_000
MOST_REFERENCE_ROWS = 10_000
FEWEST_ROWS = 40
"""Of a batch among the champion's test rows: fewer say nothing of how much batches differ."""
RETAINED = 0.5
SURE = 3.0
"""By how many standard errors the champion has to be better than chance on its own test rows."""
SEED = 20_250_101


@dataclass(frozen=True)
class Labelled:
    """Rows, their labels as the target encodes them, and the batch that each came in."""

    rows: pa.Table
    truth: Truth
    batches: NDArray[np.object_]


def agreements(
    spec: PipelineSpec,
    champion: ModelVersion,
    run: TrainingRun,
    known: Rows,
    batch_ids: Sequence[str],
) -> dict[str, Agreement | str]:
    """For each batch how far it agrees with the champion, or why that cannot be told.

    The champion's archive answers rows of each batch, and test rows of its own snapshot, which it has not
    seen either; these say how far batches usually agree, and by how much they differ.

    Args:
        run: What the champion came from.
        known: The rows of all batches.
    """
    target = known.target
    sizes = known.sizes()
    asked = [_sample(_labelled(known, known.of([batch_id])), MOST_ROWS) for batch_id in batch_ids]
    try:
        own = _reference(spec, run, known)
        answers = _answers(spec, champion, target, [own, *asked])
    except (InvalidProject, CheckFailed, ServingError) as error:
        return dict.fromkeys(batch_ids, f"the champion does not answer these rows ({error})")
    method = (
        "roc_auc" if target.task == "binary" and all(each.scores is not None for each in answers) else "kappa"
    )
    before = usual_skill(method, target, own, answers[0], sizes)
    return {
        name: compare(method, before, skill(method, target, batch.truth, its), run.run_id, sizes[name])
        for name, batch, its in zip(batch_ids, asked, answers[1:], strict=True)
    }


def usual_skill(
    method: str, target: Target, own: Labelled, answers: Answers, rows_of: Mapping[str, int]
) -> NextBatch | None:
    """The skill that one more batch is expected to have, by the champion's test rows of each batch.

    Args:
        rows_of: How many rows each batch has, tested or not.
    """
    names, counts = np.unique(own.batches.astype(str), return_counts=True)
    of_batch = {name: own.batches == name for name in names[counts >= FEWEST_ROWS]}
    return usual(
        (skill(method, target, own.truth[rows], answers.where(rows)), rows_of[name])
        for name, rows in of_batch.items()
    )


def compare(
    method: str, before: NextBatch | None, batch: Skill | None, run_id: str, rows: int
) -> Agreement | str:
    """Whether a batch's skill is surely less than half of what batches had before it.

    Args:
        rows: Of the batch.
    """
    if before is None:
        return "the champion's test rows are of too few batches to know how much its agreement differs"
    if before.center < SURE * np.sqrt(before.of_center):
        return "the champion is not surely better than chance on its own test rows"
    if batch is None:
        return "its rows do not define how far the champion agrees, for example because all have one label"
    short = batch.value - RETAINED * before.center
    return Agreement.model_validate(
        {"champion_run_id": run_id, "method": method, "batch": batch.value, "before": before.center}
        | {"rows": rows, "p_value": before.p_below(short, before.error(batch.error**2, rows))}
    )


def _reference(spec: PipelineSpec, run: TrainingRun, known: Rows) -> Labelled:
    """Test rows of the champion's snapshot, with the batch that each came in."""
    data, rows = spec.data, read_part(run.snapshot.test)
    if missing := [name for name in (*data.features, data.label) if name not in rows.column_names]:
        raise CheckFailed(f"the champion's snapshot has no columns {missing}")
    batch_of = dict(zip(known.table[data.key].to_pylist(), known.batches, strict=True))
    batches = np.array([batch_of.get(key, "") for key in rows[data.key].to_pylist()], dtype=object)
    truth = known.target.encode(rows[data.label].to_pylist())
    usable = np.flatnonzero((truth >= 0) & (batches != ""))
    return _sample(Labelled(rows.take(usable), truth[usable], batches[usable]), MOST_REFERENCE_ROWS)


def _labelled(known: Rows, places: NDArray[np.int64]) -> Labelled:
    return Labelled(known.table.take(places), known.labels[places], known.batches[places])


def _sample(labelled: Labelled, most: int) -> Labelled:
    if len(labelled.truth) <= most:
        return labelled
    chosen = np.sort(np.random.default_rng(SEED).choice(len(labelled.truth), most, replace=False))
    return Labelled(labelled.rows.take(chosen), labelled.truth[chosen], labelled.batches[chosen])


def _answers(
    spec: PipelineSpec, champion: ModelVersion, target: Target, looked_at: list[Labelled]
) -> list[Answers]:
    """The champion's answers to each of the sets, asked in one go."""
    features = list(spec.data.features)
    with tempfile.TemporaryDirectory(prefix="perennial-labels-") as name:
        folder = Path(name)
        archive = files.fetch(champion.archive.url, folder / "champion.mar")
        if (found := files.sha256(str(archive))) != champion.archive.sha256:
            raise ArchiveMismatch(
                f"{champion.archive.url} was changed: its SHA-256 is {found}, not {champion.archive.sha256}"
            )
        rows = pa.concat_tables(
            [each.rows.select(features) for each in looked_at], promote_options="permissive"
        )
        pq.write_table(rows, folder / "rows.parquet")
        raw = score(archive, folder / "rows.parquet", features, latency_samples=0)
    ends = np.cumsum([0, *(len(each.truth) for each in looked_at)])
    return [Judged.of(_part(raw, int(start), int(end)), target).answers for start, end in pairwise(ends)]


def _part(raw: Scores, start: int, end: int) -> Scores:
    return Scores(
        predictions=raw.predictions[start:end],
        scores=raw.scores[start:end],
        probabilities=raw.probabilities[start:end],
        refused=(),
        latencies_seconds=(),
        answers=(),
    )
