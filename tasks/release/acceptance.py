"""What a version has to show where it is deployed, before any user meets it: behaviour, frozen rows, load."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from tasks.contracts import Archive, RolloutCheck, TrainingRun
from tasks.errors import CheckFailed, ServingError
from tasks.evaluation.behaviour import behave_deployed
from tasks.evaluation.expectations import Answer
from tasks.evaluation.frozen_rows import Frozen, freeze
from tasks.evaluation.score_program import as_json
from tasks.gate.rules.behaviour import verdict_on
from tasks.release.differences import NEGLIGIBLE, TOLERANCE
from tasks.serving.backend import ServingBackend
from tasks.spec import PipelineSpec, label_text
from tasks.stores import registry

ANSWERS = "evaluation/answers.parquet"
SHOWN = 3

Ask = Callable[[dict[str, Any]], dict[str, Any]]


def acceptance_checks(
    backend: ServingBackend, archive: Archive, run: TrainingRun, spec: PipelineSpec
) -> Iterator[RolloutCheck]:
    """Ask a loaded version what it has to answer; each check that passed. Raises as `checks_of_answers`."""

    def ask(instance: dict[str, Any]) -> dict[str, Any]:
        seconds = spec.serving.timeout_seconds
        return backend.predict(archive.model, archive.version, instance, timeout_seconds=seconds)

    yield from checks_of_answers(ask, archive, run, spec)


def checks_of_answers(
    ask: Ask, archive: Archive, run: TrainingRun, spec: PipelineSpec
) -> Iterator[RolloutCheck]:
    """Ask a version, wherever it answers, what it has to answer; each check that passed.

    Args:
        ask: Gives the answer to an instance, from several threads at once; raises a `ServingError` where
            there is none.

    Raises:
        CheckFailed: It behaves, answers or lasts otherwise than it has to; the message says what.
        FrozenSetMismatch: The test rows are not those that were frozen.
    """
    with TemporaryDirectory(prefix="perennial-accept-") as folder:
        if spec.behaviour or spec.release.acceptance.rows:
            frozen = freeze(spec, run.snapshot.train, run.snapshot.test, Path(folder))
            yield from _behaves(ask, spec, frozen)
            yield from _answers_as_judged(ask, archive, spec, frozen, Path(folder))
    yield from _bears_load(ask, archive, spec)


def _behaves(ask: Ask, spec: PipelineSpec, frozen: Frozen) -> Iterator[RolloutCheck]:
    def answer(instance: dict[str, Any]) -> Answer:
        return _answer(ask, instance, spec, frozen)

    for found in behave_deployed(answer, spec, frozen):
        verdict = verdict_on(found)
        if not verdict.passed and verdict.blocks == "reject":
            raise CheckFailed(f"Deployed, it fails the behaviour test {found.name}. {verdict.why}")
        yield RolloutCheck(check=f"behaviour.{found.name}", passed=True, detail=verdict.why)


def _answer(ask: Ask, instance: dict[str, Any], spec: PipelineSpec, frozen: Frozen) -> Answer:
    try:
        found = ask(instance)
    except ServingError as error:
        return Answer(label=None, is_label=False, refused=str(error))
    label = found.get("prediction")
    number = label if spec.task == "regression" else found.get("score")
    code = frozen.target.encode([label])[0]
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    return Answer(
        label=label,
        is_label=bool(np.isfinite(code) if spec.task == "regression" else code != -1),
        number=float(number) if number is not None and is_number else None,
        by_class=found.get("scores") or {},
    )


def _answers_as_judged(
    ask: Ask, archive: Archive, spec: PipelineSpec, frozen: Frozen, folder: Path
) -> Iterator[RolloutCheck]:
    """Hold its answers to some frozen rows against those that the gate judged it by."""
    wanted = spec.release.acceptance.rows
    if not wanted:
        return
    kept = registry.fetch_artifact(archive.run_id, ANSWERS, folder)
    if kept is None:
        nothing = f"the run keeps no {ANSWERS}, so there is nothing to compare with"
        yield RolloutCheck(check="frozen rows", passed=True, detail=nothing)
        return
    judged = {row[spec.data.key]: row for row in pq.read_table(kept).to_pylist()}
    rows = [row for row in frozen.rows.to_pylist() if row[spec.data.key] in judged]
    step = max(1, len(rows) // wanted)
    sample = rows[::step][:wanted]
    wrong = [told for row in sample if (told := _difference(ask, row, judged[row[spec.data.key]], spec))]
    if wrong:
        raise CheckFailed(
            f"Deployed, it answers {len(wrong)} of {len(sample)} frozen rows otherwise than when it was "
            f"judged: {'; '.join(wrong[:SHOWN])}. Compare the serving environment with the one that judged "
            "it.",
            wrong=len(wrong),
        )
    yield RolloutCheck(check="frozen rows", passed=True, detail=f"{len(sample)} are answered as when judged")


def _difference(ask: Ask, row: dict[str, Any], judged: dict[str, Any], spec: PipelineSpec) -> str | None:
    instance = {name: as_json(row[name]) for name in spec.data.features}
    key, before = f"row {row[spec.data.key]!r}", judged["candidate_prediction"]
    try:
        found = ask(instance)
    except ServingError as error:
        return None if _was_refused(before) else f"{key} is not answered ({error})"
    now = found.get("prediction")
    if spec.task == "regression":
        number = np.nan if now is None else float(now)
        same = bool(np.isclose(number, before, rtol=TOLERANCE, atol=NEGLIGIBLE))
    else:
        same = str(now) == before and _near(judged.get("candidate_score"), found.get("score"))
    return None if same else f"{key} is {label_text(now)} instead of {before}"


def _was_refused(before: str | float | None) -> bool:
    """Whether the handler refused the row when it was judged, too: then it has no label, or is no number."""
    return before in {None, str(None)} or before != before  # noqa: PLR0124 - NaN is what differs from itself


def _near(before: float | None, now: float | None) -> bool:
    return before is None or now is None or abs(before - now) <= TOLERANCE


def _bears_load(ask: Ask, archive: Archive, spec: PipelineSpec) -> Iterator[RolloutCheck]:
    """Ask the example from several callers at once, until requests or time are used up."""
    rules = spec.release.acceptance
    if not rules.requests:
        return
    example = archive.input_example or spec.serving.input_example
    took, failed = _load(ask, example, rules.connections, rules.requests, rules.seconds)
    if failed:
        raise CheckFailed(
            f"Under load it did not answer {len(failed)} of {len(took) + len(failed)} requests: {failed[0]}"
        )
    p95 = float(np.quantile(took, 0.95))
    limit = rules.p95_seconds or spec.serving.timeout_seconds
    told = f"95 % of {len(took)} answers to {rules.connections} callers took at most {p95:.4f} s"
    if p95 > limit:
        raise CheckFailed(f"Under load {told}, and {limit:g} s are allowed.", p95_seconds=p95)
    yield RolloutCheck(check="load", passed=True, detail=f"{told}; {limit:g} s are allowed")


def _load(
    ask: Ask, example: dict[str, Any], connections: int, requests: int, seconds: float
) -> tuple[list[float], list[str]]:
    took: list[float] = []
    failed: list[str] = []
    turns, ends = count(), time.monotonic() + seconds

    def call() -> None:
        while next(turns) < requests and (time.monotonic() < ends or not took):
            began = time.perf_counter()
            try:
                ask(example)
            except ServingError as error:
                failed.append(str(error))
                return
            took.append(time.perf_counter() - began)

    with ThreadPoolExecutor(connections) as callers:
        for each in [callers.submit(call) for _ in range(connections)]:
            each.result()
    return took, failed
