"""Replay a window's logged requests through the champion's training code and through its archive.

The archive is the one that was judged, so an answer that differs from the logged one says that something else
serves. It runs in the model's own environment, needs no service, and sees of the log what the lake has.
"""

import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from tasks.contracts import Archive, ReplayedAnswer, Signal, Skew, TrainingRun
from tasks.errors import ArchiveMismatch, InvalidProject, ServingError
from tasks.evaluation.preparation.compare import compare
from tasks.evaluation.preparation.inputs import Inputs
from tasks.evaluation.preparation.replay import replay, shape_of
from tasks.evaluation.scoring import fetch_archive
from tasks.monitoring.skew.decide import of_fault, signals_of
from tasks.monitoring.skew.requests import Logged, as_sample, drawn
from tasks.spec import PipelineSpec
from tasks.stores import files
from tasks.stores.lake import Lake


def look(
    spec: PipelineSpec,
    run: TrainingRun,
    archive: Archive,
    window: tuple[datetime, datetime],
    work_url: str,
) -> tuple[Signal, ...]:
    """What the window's requests say of train/serve skew; what was replayed is kept as `skew.json`.

    A replay that fails is a note: the other questions about the window are still asked.

    Args:
        run, archive: Of the version that serves.
        window: [start, end) by the time of prediction.
    """
    logged = drawn(Lake(), spec, run, window)
    if not logged:
        return ()
    try:
        found = replayed(spec, run, archive, logged)
    except (ArchiveMismatch, FileNotFoundError, InvalidProject, ServingError) as error:
        return (of_fault(error, archive_changed=isinstance(error, ArchiveMismatch)),)
    files.write_text(work_url, "skew.json", text=found.model_dump_json(indent=2))
    return signals_of(found.preparation, found.answers)


def replayed(spec: PipelineSpec, run: TrainingRun, archive: Archive, logged: list[Logged]) -> Skew:
    """What both sides make of logged requests: everything that `signals_of` decides from."""
    shape = shape_of(run.snapshot.train, spec.data.features)
    sample, left = as_sample(logged, spec, shape)
    with tempfile.TemporaryDirectory(prefix="perennial-skew-") as folder:
        both = replay(run, fetch_archive(archive, Path(folder)), sample, shape)
    prepared = compare(both.trained, both.served, sample.names) if both.trained else None
    return Skew(run_id=run.run_id, preparation=prepared, answers=_answers(left, both.served))


def _answers(logged: Sequence[Logged], served: Inputs) -> tuple[ReplayedAnswer, ...]:
    return tuple(
        ReplayedAnswer(
            prediction_id=one.prediction_id,
            prediction=one.prediction,
            score=one.score,
            prediction_now=served.answers[row].get("prediction"),
            score_now=served.answers[row].get("score"),
            refused=served.refused.get(row),
        )
        for row, one in enumerate(logged)
    )
