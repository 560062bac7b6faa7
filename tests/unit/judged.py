"""Candidates, champions and evaluations for the tests of the gate, made from a few numbers."""

from datetime import UTC, datetime
from typing import Any

from tasks.contracts import (
    Archive,
    DataSnapshot,
    EvaluationReport,
    Metric,
    ModelScore,
    PairedDifference,
    SnapshotPart,
    TrainingRun,
)

FROZEN = "f" * 64
RUN = "c" * 32
CHAMPION = "a" * 32
MODEL = "review_sentiment"


def archive(**changes: Any) -> Archive:
    fields: dict[str, Any] = {
        "model": MODEL,
        "version": RUN,
        "run_id": RUN,
        "url": "unused.mar",
        "sha256": "1" * 64,
        "size_bytes": 1_000_000,
        "example_prediction": {"prediction": 1, "score": 0.9},
    }
    return Archive(**(fields | changes))


def snapshot() -> DataSnapshot:
    part = SnapshotPart(url="unused", rows=1000, sha256=FROZEN)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return DataSnapshot(
        table="reviews",
        table_version=3,
        as_of=None,
        version_at=now,
        query="SELECT 1",
        rows=3000,
        sha256="5" * 64,
        train=part,
        validation=part,
        test=part,
    )


def run(**changes: Any) -> TrainingRun:
    fields: dict[str, Any] = {
        "model": MODEL,
        "run_id": RUN,
        "experiment_id": "1",
        "code_commit": "abc",
        "image_digest": None,
        "lock_sha256": "7" * 64,
        "parameters": {"epochs": "3"},
        "seed": 7,
        "snapshot": snapshot(),
        "model_files_url": "unused",
    }
    return TrainingRun(**(fields | changes))


def score(role: Any, accuracy: float, width: float = 0.01, **changes: Any) -> ModelScore:
    metric = Metric(name="accuracy", value=accuracy, low=accuracy - width, high=accuracy + width)
    fields: dict[str, Any] = {
        "role": role,
        "name": role,
        "run_id": {"candidate": RUN, "champion": CHAMPION}.get(role),
        "archive_sha256": {"candidate": "1" * 64, "champion": "2" * 64}.get(role),
        "archive_bytes": 1_000_000,
        "metrics": (metric,),
        "slices": (),
        "latency_p50_seconds": 0.001,
        "latency_p95_seconds": 0.002,
    }
    return ModelScore(**(fields | changes))


def gained(
    value: float, width: float = 0.005, slice_value: str | None = None, rows: int = 1000
) -> PairedDifference:
    return PairedDifference(
        slice_value=slice_value,
        rows=rows,
        difference=value,
        low=value - width,
        high=value + width,
        p_value=0.5,
    )


def evaluation(
    *,
    candidate: float = 0.9,
    champion: float | None = 0.9,
    width: float = 0.005,
    scored: ModelScore | None = None,
    **changes: Any,
) -> EvaluationReport:
    """A report in which the candidate differs from the champion by exactly `candidate - champion`."""
    fields: dict[str, Any] = {
        "model": MODEL,
        "frozen_sha256": FROZEN,
        "rows": 1000,
        "primary_metric": "accuracy",
        "candidate": scored or score("candidate", candidate),
        "champion": None if champion is None else score("champion", champion),
        "champion_frozen_sha256": None if champion is None else FROZEN,
        "baseline": score("baseline", 0.5, latency_p95_seconds=None, archive_sha256=None),
        "differences": () if champion is None else (gained(candidate - champion, width),),
        "report_url": "report.json",
    }
    return EvaluationReport(**(fields | changes))
