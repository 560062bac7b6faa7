"""Score the candidate, the champion and a simple baseline on the same frozen rows.

Candidate and champion answer through their packaged archives, each in a process of its own, exactly as they
would serve. The frozen rows are the test part of the candidate's snapshot, and their hash is measured here,
not taken over.
"""

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.contracts import (
    Archive,
    EvaluateRequest,
    EvaluationReport,
    Metric,
    ModelScore,
    ModelVersion,
    PairedDifference,
    SliceScore,
)
from tasks.errors import ArchiveMismatch, CheckFailed
from tasks.evaluation import metrics
from tasks.evaluation.answers import Answers
from tasks.evaluation.baseline import answer_simply, name_baseline
from tasks.evaluation.frozen_rows import Frozen, freeze
from tasks.evaluation.scoring import Scores, score
from tasks.spec import PipelineSpec
from tasks.stores import files, registry
from tasks.stores.parts import read_part

LATENCY_SAMPLES = 200


@dataclass(frozen=True)
class Judged:
    """A model's answers as arrays, and what the handler said and took."""

    answers: Answers
    raw: Scores


def evaluate(request: EvaluateRequest) -> EvaluationReport:
    """Evaluate a candidate against the champion, if there is one, and keep the report with the MLflow run.

    Raises:
        FrozenSetMismatch: The test part is not the one that the snapshot froze.
        ArchiveMismatch: An archive's file is not what its record says.
        CheckFailed: A row has no label, or no answer is a label.
        ServingError: An archive cannot be scored.
    """
    report = compare(request, request.champion.version)
    run_id, work_url = request.archive.run_id, request.context.work_url
    registry.log_text(run_id, "evaluation/report.json", report.model_dump_json(indent=2))
    registry.log_file(run_id, "evaluation", str(files.at(work_url, "answers.parquet")))
    registry.log_metrics(run_id, dict(_logged(report)))
    return report


def compare(request: EvaluateRequest, version: ModelVersion | None) -> EvaluationReport:
    """Score all three models on the frozen rows; write the report and every answer into the step's folder.

    Args:
        version: The champion; None where no model serves yet.
    """
    spec, archive, snapshot = request.spec, request.archive, request.run.snapshot
    with tempfile.TemporaryDirectory(prefix="perennial-evaluate-") as name:
        folder = Path(name)
        frozen = freeze(spec, snapshot.train, snapshot.test, folder)
        candidate = _answers(archive, spec, frozen, folder)
        champion = _champion(version, archive, candidate, spec, frozen, folder) if version else None
        train, metric = read_part(snapshot.train), spec.gate.primary_metric
        simple = Judged(*answer_simply(train, spec.data.label, frozen, metric))
    serving = None
    if version and champion:
        serving = _scored("champion", f"version {version.version}", version.archive, champion, spec, frozen)
    report = EvaluationReport(
        model=spec.name,
        frozen_sha256=frozen.sha256,
        rows=len(frozen.rows),
        primary_metric=spec.gate.primary_metric,
        candidate=_scored("candidate", f"run {archive.run_id}", archive, candidate, spec, frozen),
        champion=serving,
        champion_frozen_sha256=frozen.sha256 if champion else None,
        baseline=_scored("baseline", name_baseline(frozen, metric), None, simple, spec, frozen),
        differences=tuple(_differences(candidate, champion, spec, frozen)) if champion else (),
        report_url=str(files.at(request.context.work_url, "report.json")),
    )
    files.write_text(report.report_url, text=report.model_dump_json(indent=2))
    _write_answers(request, frozen, {"candidate": candidate, "champion": champion, "baseline": simple})
    return report


def _champion(
    version: ModelVersion,
    archive: Archive,
    candidate: Judged,
    spec: PipelineSpec,
    frozen: Frozen,
    folder: Path,
) -> Judged:
    """The champion's answers.

    An evaluation that is run again after the promotion meets itself: the answers are the same.
    """
    if version.archive.sha256 == archive.sha256:
        return candidate
    return _answers(version.archive, spec, frozen, folder)


def _answers(archive: Archive, spec: PipelineSpec, frozen: Frozen, folder: Path) -> Judged:
    local = files.fetch(archive.url, folder / f"{archive.sha256}.mar")
    found = files.sha256(str(local))
    if found != archive.sha256:
        raise ArchiveMismatch(
            f"{archive.url} has the SHA-256 {found}, but {archive.sha256} is expected of run "
            f"{archive.run_id}: the file was changed. Restore it, or train again.",
            found=found,
            expected=archive.sha256,
        )
    raw = score(
        local, frozen.path, spec.data.features, latency_samples=min(LATENCY_SAMPLES, len(frozen.rows))
    )
    judged = Judged(frozen.answers_of(raw), raw)
    if _answers_nothing(judged, frozen):
        answers = list(dict.fromkeys(map(repr, raw.predictions)))[:5]
        labels = ", ".join(map(repr, frozen.classes[:5])) or "numbers"
        raise CheckFailed(
            f"The archive of run {archive.run_id} answers {', '.join(answers)}, but the labels are "
            f"{labels}. Let the handler's `prediction` be a value of {spec.data.label!r}.",
            run_id=archive.run_id,
        )
    return judged


def _answers_nothing(judged: Judged, frozen: Frozen) -> bool:
    predictions = judged.answers.predictions
    return bool(np.isnan(predictions).all() if frozen.task == "regression" else (predictions == -1).all())


def _scored(
    role: Any, name: str, archive: Archive | None, judged: Judged, spec: PipelineSpec, frozen: Frozen
) -> ModelScore:
    taken = judged.raw.latencies_seconds
    p50, p95 = (float(value) for value in np.percentile(taken, [50, 95])) if taken else (None, None)
    return ModelScore(
        role=role,
        name=name,
        run_id=archive.run_id if archive else None,
        archive_sha256=archive.sha256 if archive else None,
        archive_bytes=archive.size_bytes if archive else None,
        metrics=_measure(judged, frozen),
        slices=tuple(_slices(judged, spec, frozen)),
        latency_p50_seconds=p50,
        latency_p95_seconds=p95,
    )


def _measure(judged: Judged, frozen: Frozen) -> tuple[Metric, ...]:
    found = metrics.measure_all(frozen.task, frozen.truth, judged.answers, len(frozen.classes))
    if frozen.task != "multiclass":
        return found
    return found + metrics.measure_classes(frozen.truth, judged.answers, frozen.classes)


def _slices(judged: Judged, spec: PipelineSpec, frozen: Frozen) -> Iterator[SliceScore]:
    """The primary metric in each slice; NaN where the slice
    does not define it, so that the gate sees that it is there.
    """
    name = spec.gate.primary_metric
    for value, chosen in frozen.parts():
        found = metrics.measure(name, frozen.truth[chosen], judged.answers.where(chosen), len(frozen.classes))
        undefined = Metric(name=name, value=float("nan"), low=float("nan"), high=float("nan"))
        yield SliceScore(
            column=str(spec.data.slice_by), value=value, rows=int(chosen.sum()), metric=found or undefined
        )


def _differences(
    candidate: Judged, champion: Judged, spec: PipelineSpec, frozen: Frozen
) -> Iterator[PairedDifference]:
    everything = np.ones(len(frozen.rows), dtype=np.bool_)
    for value, chosen in ((None, everything), *frozen.parts()):
        if candidate is champion:
            yield PairedDifference(
                slice_value=value, rows=int(chosen.sum()), difference=0, low=0, high=0, p_value=1
            )
            continue
        own, its = candidate.answers.where(chosen), champion.answers.where(chosen)
        found = metrics.difference(
            spec.gate.primary_metric, frozen.truth[chosen], own, its, len(frozen.classes), value
        )
        if found is not None:
            yield found


def _write_answers(request: EvaluateRequest, frozen: Frozen, judged: dict[str, Judged | None]) -> None:
    """Each row's key, label, and what each model answered:
    what the report's numbers can be computed from again.
    """
    data = request.spec.data
    columns = {data.key: frozen.rows[data.key], data.label: frozen.rows[data.label]}
    for role, model in judged.items():
        if model is not None:
            columns[f"{role}_prediction"] = pa.array([str(value) for value in model.raw.predictions])
            columns[f"{role}_score"] = pa.array(model.raw.scores, pa.float64())
    with files.at(request.context.work_url, "answers.parquet").open("wb") as file:
        pq.write_table(pa.table(columns), file)


def _logged(report: EvaluationReport) -> Iterator[tuple[str, float]]:
    for metric in report.candidate.metrics:
        name = _as_mlflow_name(metric)
        yield name, metric.value
        yield f"{name}_low", metric.low
        yield f"{name}_high", metric.high
    for model in (report.champion, report.baseline):
        for metric in model.metrics if model else ():
            yield f"{_as_mlflow_name(metric)}_{model.role if model else ''}", metric.value
    for difference in report.differences[:1]:
        yield f"test_{report.primary_metric}_difference", difference.difference
    if report.candidate.latency_p95_seconds is not None:
        yield "latency_p95_seconds", report.candidate.latency_p95_seconds


def _as_mlflow_name(metric: Metric) -> str:
    """MLflow takes few signs, and a class may have any in its name."""
    return re.sub(r"[^\w\-. ]", "_", f"test_{metric.name}")
