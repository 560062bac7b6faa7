"""Whether a candidate's handler prepares validation rows as its training did: asked before it is released."""

from pathlib import Path

from tasks.contracts import Preparation, TrainingRun
from tasks.evaluation.preparation.compare import compare
from tasks.evaluation.preparation.replay import Sample, declares_preparation, replay, shape_of
from tasks.evaluation.score_program import as_json, evenly_spread
from tasks.spec import PipelineSpec
from tasks.stores.parts import read_part

SAMPLED_ROWS = 200


def preparation_of(spec: PipelineSpec, run: TrainingRun, archive: Path) -> Preparation | None:
    """The comparison on rows spread over the validation part; None where the training declares nothing.

    Args:
        archive: The candidate's .mar file on this machine.
    """
    if run.snapshot.validation.rows == 0 or not declares_preparation(run):
        return None
    sample = _sample(spec, run)
    replayed = replay(run, archive, sample, shape_of(run.snapshot.train, spec.data.features))
    return compare(replayed.trained, replayed.served, sample.names) if replayed.trained else None


def _sample(spec: PipelineSpec, run: TrainingRun) -> Sample:
    rows = read_part(run.snapshot.validation)
    taken = rows.take(evenly_spread(min(SAMPLED_ROWS, len(rows)), len(rows)))
    features = taken.select(list(spec.data.features))
    instances = [{name: as_json(value) for name, value in row.items()} for row in features.to_pylist()]
    keys = taken[spec.data.key].to_pylist()
    return Sample(tuple(f"{spec.data.key} {key}" for key in keys), tuple(instances), features)
