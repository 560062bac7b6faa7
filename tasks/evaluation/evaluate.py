"""Score the candidate, the champion and a simple baseline on the same frozen rows.

Candidate and champion answer through their packaged archives, each in a process of its own, exactly as they
would serve. The frozen rows are the test part of the candidate's snapshot, of which those count that
something has confirmed, and the anchor (`sets`); their hashes are measured here, not taken over.
"""

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.contracts import (
    Archive,
    AsTrained,
    EvaluateRequest,
    EvaluationReport,
    Metric,
    ModelScore,
    ModelVersion,
    SliceScore,
)
from tasks.errors import CheckFailed
from tasks.evaluation import as_trained, metrics
from tasks.evaluation.answers import Judged, Target
from tasks.evaluation.as_trained import Reported
from tasks.evaluation.baseline import choose_baseline
from tasks.evaluation.behaviour import behave
from tasks.evaluation.fairness import gaps_of
from tasks.evaluation.frozen_rows import Frozen
from tasks.evaluation.health import health_of
from tasks.evaluation.preparation.candidate import preparation_of
from tasks.evaluation.scoring import Scores, fetch_archive, score
from tasks.evaluation.set_scores import Answered, differences, frozen_sets, overall_difference
from tasks.evaluation.sets import Known, Sets, divide
from tasks.evaluation.trained_for import require_trained_for
from tasks.spec import RECALL_OF, PipelineSpec, label_text, metrics_of
from tasks.stores import files, registry
from tasks.stores.parts import read_part

LATENCY_SAMPLES = 200
MOST_CLASSES = 50
UNKNOWN_TO_MLFLOW = re.compile(r"[^\w.\- ]")


def evaluate(request: EvaluateRequest) -> EvaluationReport:
    """Evaluate a candidate against the champion, if there is one, and keep the report with the MLflow run.

    Raises:
        FrozenSetMismatch: The test part is not the one that the snapshot froze.
        ArchiveMismatch: An archive's file is not what its record says.
        CheckFailed: The candidate was trained for something else than pipeline.yaml says now, a row has no
            label or an unknown one, or no answer of an archive is one.
        ServingError: An archive cannot be scored.
    """
    champion = request.champion
    before = registry.training_run(champion.version.run_id).snapshot if champion.version else None
    known = Known(before, champion.anchor, champion.world)
    run_id = request.archive.run_id
    trained = as_trained.reported(request.spec, registry.metrics(run_id))
    report = compare(request, champion.version, known, champion.root, trained)
    registry.log_text(run_id, "evaluation/report.json", report.model_dump_json(indent=2))
    registry.log_file(run_id, "evaluation", _answers_url(report))
    registry.log_metrics(run_id, dict(_metrics_for_mlflow(report)))
    return report


def compare(
    request: EvaluateRequest,
    version: ModelVersion | None,
    known: Known = Known(),  # noqa: B008 - frozen
    root: ModelVersion | None = None,
    trained: Reported | None = None,
) -> EvaluationReport:
    """Score all models on the frozen rows; write the report and every answer into the step's folder.

    Args:
        version: The champion; None where no model serves yet.
        known: What was seen before, by which the frozen rows are divided.
        root: The version that was shown to be better last; None where that is the champion.
        trained: What the training program measured on the validation rows.
    """
    spec, archive, snapshot = request.spec, request.archive, request.run.snapshot
    require_trained_for(spec, request.run)
    with tempfile.TemporaryDirectory(prefix="perennial-evaluate-") as name:
        folder = Path(name)
        sets = divide(spec, snapshot, known, folder)
        frozen = sets.frozen.where(sets.test)
        candidate, held = _candidate(request, sets.frozen, folder, trained)
        champion = _champion(version, archive, candidate, spec, sets.frozen, folder) if version else None
        first = _champion(root, archive, candidate, spec, sets.frozen, folder) if root else None
        prepared = preparation_of(spec, request.run, folder / f"{archive.sha256}.mar")
        serving = folder / f"{version.archive.sha256}.mar" if version else None
        behaviour = behave(folder / f"{archive.sha256}.mar", spec, frozen, folder, serving)
        simple_name, simple = choose_baseline(read_part(snapshot.train), spec, sets.frozen, sets.test)
    answered = Answered(candidate, champion, first)
    tested, tested_simple = answered.where(sets.test), simple.where(sets.test)
    report = EvaluationReport(
        model=spec.name,
        frozen_sha256=frozen.sha256,
        rows=len(frozen.rows),
        primary_metric=spec.gate.primary_metric,
        candidate=_score_of("candidate", f"run {archive.run_id}", archive, tested.candidate, spec, frozen),
        champion=_score_of_version("champion", version, tested.champion, spec, frozen),
        champion_frozen_sha256=frozen.sha256 if champion else None,
        baseline=_score_of("baseline", simple_name, None, tested_simple, spec, frozen),
        differences=tuple(differences(tested.candidate, tested.champion, spec, frozen))
        if tested.champion
        else (),
        report_url="",
        root=_score_of_version("root", root, tested.root, spec, frozen),
        root_difference=overall_difference(tested.candidate, tested.root, spec, frozen),
        baseline_difference=overall_difference(tested.candidate, tested_simple, spec, frozen),
        tables=snapshot.pinned,
        near_duplicates=snapshot.near_duplicates,
        champion_tables=known.snapshot.pinned if known.snapshot else (),
        sets=frozen_sets(sets, answered, request, known),
        as_trained=held,
        preparation=prepared,
        behaviour=behaviour,
        fairness=tuple(gaps_of(tested.candidate.answers, spec, frozen)),
        health=health_of(candidate.raw, spec.task),
    )
    answers = {"candidate": candidate, "champion": champion, "root": first, "baseline": simple}
    return _write(report, answers, request, sets)


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


def _candidate(
    request: EvaluateRequest, frozen: Frozen, folder: Path, trained: Reported | None
) -> tuple[Judged, AsTrained | None]:
    """The candidate's answers, and those to the validation rows where its training says what to expect."""
    spec, archive, validation = request.spec, request.archive, request.run.snapshot.validation
    if trained is None or validation.rows == 0:
        return _answers(archive, spec, frozen, folder), None
    path = as_trained.rows_of_both(spec, frozen, validation, folder)
    raw, behind = _scores(archive, spec, path, len(frozen.rows), folder).split(len(frozen.rows))
    judged = _judged(raw, archive, spec, frozen)
    return judged, as_trained.compare(spec, frozen, validation, trained, behind)


def _answers(archive: Archive, spec: PipelineSpec, frozen: Frozen, folder: Path) -> Judged:
    return _judged(_scores(archive, spec, frozen.path, len(frozen.rows), folder), archive, spec, frozen)


def _scores(archive: Archive, spec: PipelineSpec, path: Path, frozen_rows: int, folder: Path) -> Scores:
    local = fetch_archive(archive, folder)
    return score(local, path, spec.data.features, latency_samples=min(LATENCY_SAMPLES, frozen_rows))


def _judged(raw: Scores, archive: Archive, spec: PipelineSpec, frozen: Frozen) -> Judged:
    judged = Judged.of(raw, frozen.target)
    _require_an_answer(judged, archive, spec, frozen.target)
    return judged


def _require_an_answer(judged: Judged, archive: Archive, spec: PipelineSpec, target: Target) -> None:
    """A handler whose every answer is of another kind than the labels is a mistake, not a bad model."""
    said = judged.answers.predictions
    if (np.isfinite(said) if spec.task == "regression" else said != -1).any():
        return
    answers = ", ".join(list(dict.fromkeys(map(repr, judged.raw.predictions)))[:5])
    labels = "numbers" if spec.task == "regression" else ", ".join(map(repr, target.classes[:5]))
    raise CheckFailed(
        f"The archive of run {archive.run_id} answers {answers}, but the labels are {labels}. Let the "
        f"handler's `prediction` be a value of {spec.data.label!r}.",
        run_id=archive.run_id,
    )


def _score_of(
    role: Any, name: str, archive: Archive | None, judged: Judged, spec: PipelineSpec, frozen: Frozen
) -> ModelScore:
    measured = metrics.measure(_names(spec, frozen), frozen.target, frozen.truth, judged.answers)
    taken = judged.raw.latencies_seconds
    p50, p95 = (float(value) for value in np.percentile(taken, [50, 95])) if taken else (None, None)
    return ModelScore(
        role=role,
        name=name,
        run_id=archive.run_id if archive else None,
        archive_sha256=archive.sha256 if archive else None,
        archive_bytes=archive.size_bytes if archive else None,
        metrics=measured.metrics,
        undefined=measured.undefined,
        slices=tuple(_slices(judged, spec, frozen)),
        latency_p50_seconds=p50,
        latency_p95_seconds=p95,
        peak_memory_bytes=judged.raw.peak_memory_bytes,
    )


def _score_of_version(
    role: Any, version: ModelVersion | None, judged: Judged | None, spec: PipelineSpec, frozen: Frozen
) -> ModelScore | None:
    if version is None or judged is None:
        return None
    return _score_of(role, f"version {version.version}", version.archive, judged, spec, frozen)


def _slices(judged: Judged, spec: PipelineSpec, frozen: Frozen) -> Iterator[SliceScore]:
    """The primary metric in each slice; NaN where the slice
    does not define it, so that the gate sees that it is there.
    """
    name = spec.gate.primary_metric
    undefined = Metric(name=name, value=float("nan"), low=float("nan"), high=float("nan"))
    for column, value, chosen in frozen.parts():
        own = judged.answers.where(chosen)
        found = metrics.measure([name], frozen.target, frozen.truth[chosen], own).metrics
        yield SliceScore(
            column=column,
            value=value,
            rows=int(chosen.sum()),
            metric=found[0] if found else undefined,
        )


def _names(spec: PipelineSpec, frozen: Frozen) -> tuple[str, ...]:
    """The task's metrics; of several classes also each one's recall, of very many only the most frequent
    classes' and those that the gate asks for.
    """
    if spec.task != "multiclass":
        return metrics_of(spec.task)
    codes, counts = np.unique(frozen.truth, return_counts=True)
    frequent = np.sort(codes[np.argsort(-counts, kind="stable")][:MOST_CLASSES])
    each = (f"{RECALL_OF}{label_text(frozen.target.classes[code])}" for code in frequent)
    return tuple(
        dict.fromkeys((*metrics_of(spec.task), *each, *(name for _, name, _ in spec.gate.thresholds())))
    )


def _write(
    report: EvaluationReport, answers: dict[str, Judged | None], request: EvaluateRequest, sets: Sets
) -> EvaluationReport:
    """Write the report and every answer, and return the report with its URL.

    Into a folder of its own: a decision in the ledger points to the report of an earlier try.
    """
    folder = hashlib.sha256(report.model_dump_json().encode()).hexdigest()[:16]
    url = str(files.at(request.context.work_url, folder, "report.json"))
    report = report.model_copy(update={"report_url": url})
    files.write_text(url, text=report.model_dump_json(indent=2))
    _write_answers(_answers_url(report), request.spec, sets, answers)
    return report


def _answers_url(report: EvaluationReport) -> str:
    return str(files.at(report.report_url).with_name("answers.parquet"))


def _write_answers(url: str, spec: PipelineSpec, sets: Sets, judged: dict[str, Judged | None]) -> None:
    """Each row's key, label, set, and what each model answered:
    what the report's numbers can be computed from again.
    """
    data, frozen = spec.data, sets.frozen
    columns = {data.key: frozen.rows[data.key], data.label: frozen.rows[data.label]}
    masks = {"test": sets.test, "newest": sets.newest, "anchor": sets.anchor}
    columns |= {f"is_in_{name}": pa.array(mask) for name, mask in masks.items() if mask is not None}
    for role, model in judged.items():
        if model is not None:
            columns |= {f"{role}_{name}": column for name, column in answer_columns(model, frozen.target)}
    with files.at(url).open("wb") as file:
        pq.write_table(pa.table(columns), file)


def answer_columns(judged: Judged, target: Target) -> Iterator[tuple[str, pa.Array]]:
    raw = judged.raw
    if target.task == "regression":
        yield "prediction", pa.array(judged.answers.predictions)
        return
    yield "prediction", pa.array([str(value) for value in raw.predictions])
    yield "score", pa.array(raw.scores, pa.float64())
    if target.task == "multiclass":
        yield "scores", pa.array([json.dumps(scores) for scores in raw.probabilities])


def _metrics_for_mlflow(report: EvaluationReport) -> Iterator[tuple[str, float]]:
    """What the run's page in MLflow shows."""
    for metric in report.candidate.metrics:
        name = _for_mlflow(metric.name)
        yield f"test_{name}", metric.value
        yield f"test_{name}_low", metric.low
        yield f"test_{name}_high", metric.high
    for model in (report.champion, report.baseline):
        for metric in model.metrics if model else ():
            yield f"test_{_for_mlflow(metric.name)}_{model.role if model else ''}", metric.value
    for difference in report.differences:
        if difference.slice_value is None:
            yield f"test_{_for_mlflow(report.primary_metric)}_difference", difference.difference
    if report.candidate.latency_p95_seconds is not None:
        yield "latency_p95_seconds", report.candidate.latency_p95_seconds


def _for_mlflow(name: str) -> str:
    """A metric's name without the signs of a class's name that MLflow refuses."""
    return UNKNOWN_TO_MLFLOW.sub("_", name)
