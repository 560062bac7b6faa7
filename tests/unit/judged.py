"""Candidates, champions and evaluations for the tests of the gate, made from a few numbers."""

from datetime import UTC, datetime
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.contracts import (
    Anchor,
    Archive,
    DataSnapshot,
    EvaluationReport,
    FrozenSets,
    GateRequest,
    Health,
    Look,
    Metric,
    ModelScore,
    PairedDifference,
    PinnedTable,
    SetScore,
    SnapshotPart,
    StepContext,
    TrainingRun,
)
from tasks.spec import PipelineSpec
from tasks.stores.row_hash import sha256_of_rows

FROZEN = "f" * 64
ANCHOR = "e" * 64
RUN = "c" * 32
CHAMPION = "a" * 32
MODEL = "review_sentiment"
SHIPPED = PipelineSpec.load(Path(__file__).resolve().parents[2] / "models" / MODEL / "pipeline.yaml")
CONSTANT = {"baseline": "constant", "minimum_gain_over_baseline": 0.05}
SPEC = SHIPPED.model_copy(update={"behaviour": (), "gate": SHIPPED.gate.model_copy(update=CONSTANT)})
"""Without what archives that are made of a few lines do not pass: its behavioural tests and its baseline."""
TABLE = PinnedTable(table="reviews", version=3, version_at=datetime(2026, 1, 1, tzinfo=UTC))
SOUND = Health(rows=1000, not_finite=0, not_probabilities=0, constant=None)
LOOK = Look(at=datetime(2026, 2, 1, tzinfo=UTC), rate=0.05, available=0.0125, alpha=0.00625)


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


def part(folder: Path, name: str, rows: pa.Table) -> SnapshotPart:
    """A part of a snapshot with these rows."""
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, folder / f"{name}.parquet")
    return SnapshotPart(url=str(folder / f"{name}.parquet"), rows=len(rows), sha256=sha256_of_rows(rows))


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
    value: float,
    width: float = 0.005,
    slice_value: str | None = None,
    rows: int = 1000,
    *,
    larger_is_better: bool = True,
) -> PairedDifference:
    """A difference whose 95 % interval reaches so far to each side, and the p-value that goes with it."""
    gain = value if larger_is_better else -value
    error = width / NormalDist().inv_cdf(0.975)
    return PairedDifference(
        slice_value=slice_value,
        rows=rows,
        difference=value,
        low=value - width,
        high=value + width,
        p_value=0.5,
        p_not_better=NormalDist().cdf(-gain / error) if error else float(gain <= 0),
        p_not_worse=NormalDist().cdf(gain / error) if error else float(gain >= 0),
    )


def set_score(
    champion: float,
    to_champion: float = 0.0,
    *,
    rows: int = 2000,
    to_root: float | None = None,
    width: float = 0.01,
    at_random: float | None = 0.5,
) -> SetScore:
    """What champion and candidate have on one set of rows; every interval reaches `width` to each side."""

    def metric(value: float) -> Metric:
        return Metric(name="accuracy", value=value, low=value - width, high=value + width)

    return SetScore(
        rows=rows,
        candidate=metric(champion + to_champion),
        champion=metric(champion),
        to_champion=gained(to_champion, width, rows=rows),
        to_root=None if to_root is None else gained(to_root, width, rows=rows),
        at_random=at_random,
    )


def anchor(scored: SetScore | None = None, **changes: Any) -> Anchor:
    fields: dict[str, Any] = {
        "part": SnapshotPart(url="anchor.parquet", rows=2000, sha256=ANCHOR),
        "base_sha256": None if scored is None else ANCHOR,
        "score": scored,
    }
    return Anchor(**(fields | changes))


def sets(newest: SetScore | None = None, **changes: Any) -> FrozenSets:
    """The sets of an evaluation; whoever is new is suspect, where nothing else is said."""
    fields: dict[str, Any] = {
        "anchor": anchor(set_score(0.9)),
        "newest": newest,
        "suspect": newest,
        "unconfirmed_rows": newest.rows if newest else 0,
    }
    return FrozenSets(**(fields | changes))


AS_GOOD = set_score(0.9, to_root=0.0, width=0.002)
"""On the anchor, a candidate that is neither better nor worse."""


def evaluation(
    *,
    candidate: float = 0.91,
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
        "tables": (TABLE,),
        "champion_tables": () if champion is None else (TABLE,),
        "health": SOUND,
        "sets": sets(anchor=anchor(None if champion is None else AS_GOOD)),
    }
    return EvaluationReport(**(fields | changes))


def request(**changes: Any) -> GateRequest:
    fields: dict[str, Any] = {
        "context": StepContext(actor="airflow:gate", step_key="train/run/gate", work_url="unused"),
        "spec": SPEC,
        "run": run(),
        "archive": archive(),
        "evaluation": evaluation(),
    }
    return GateRequest(**(fields | changes))
