"""Regressions and models of several classes, and each metric that a model can be compared by."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tasks.contracts import (
    Archive,
    EvaluationReport,
    GateDecision,
)
from tasks.errors import CheckFailed
from tasks.evaluation import evaluate
from tasks.evaluation.answers import Judged
from tasks.evaluation.baseline import baseline
from tasks.evaluation.frozen_rows import freeze as freeze_rows
from tasks.evaluation.scoring import Scores
from tasks.evaluation.set_scores import differences as differences_of
from tasks.gate.decide import decide
from tasks.spec import GateSpec, PipelineSpec, Task
from tests.steps.evaluated import KINDS, OF_NUMBERS, metric, request, rows, spec_of, version
from tests.unit import judged
from tests.unit.judged import part

OFF_BY = """
        label, number = text.split()
        return {{"prediction": float(number) + {error} * (1 if int(number) % 2 else -1)}}
"""
NAMES_KIND = """
        label, number = text.split()
        kinds = ("bee", "fly", "wasp")
        said = kinds[(int(number) + (int(number) % {each} == 0)) % 3]
        scores = {{kind: 0.8 if kind == said else 0.1 for kind in kinds}}
        return {{"prediction": said, "score": 0.8, "scores": scores}}
"""


def compare(
    home: Path, spec: PipelineSpec, labels: list[Any], candidate: Archive, champion: Archive | None
) -> EvaluationReport:
    """An evaluation of rows with these labels, of which the training part has every other one."""
    asked = request(home, candidate, test=rows(len(labels), label=labels), spec=spec)
    train = part(home, "train", rows(len(labels[::2]), label=labels[::2]))
    run = asked.run.model_copy(update={"snapshot": asked.run.snapshot.model_copy(update={"train": train})})
    asked = asked.model_copy(update={"run": run})
    return evaluate.compare(asked, version(champion) if champion else None)


NUMBERS = [float(number) for number in range(400)]


def test_a_regression_is_judged_by_its_error_and_a_worse_one_rejected(home: Path, archives: Any) -> None:
    spec = spec_of("regression", OF_NUMBERS)
    good, bad = (archives(f"off_by_{error}", OFF_BY.format(error=error)) for error in (3, 5))

    report = compare(home, spec, NUMBERS, bad, good)

    assert metric(report, "candidate", "rmse") == pytest.approx(5)
    assert metric(report, "champion", "mae") == pytest.approx(3)
    assert report.baseline.name == "the training rows' mean"
    assert metric(report, "baseline", "rmse") == pytest.approx(np.std(NUMBERS), rel=1e-3)
    assert [found.rows for found in report.differences] == [400, 300, 100]
    decision = decide(report, spec.gate, bad, judged.LOOK)
    assert decision.verdict == "reject"
    assert "worse than the champion: +2.0000" in decision.why
    answers = pq.read_table(Path(report.report_url).with_name("answers.parquet"))
    assert answers["candidate_prediction"].to_pylist()[:2] == [-5.0, 6.0]


def test_a_regression_that_refuses_one_row_is_rejected_with_the_reason(home: Path, archives: Any) -> None:
    refuse = """
        if text.endswith(" 7"):
            context.set_response_status(code=400, idx=index)
            return {"error": "no"}
    """
    odd = archives("refuses_7", refuse.rstrip() + OFF_BY.format(error=3))
    spec = spec_of("regression", OF_NUMBERS)

    report = compare(home, spec, NUMBERS, odd, None)

    assert report.candidate.metrics == ()
    decision = decide(report, spec.gate, odd, None)
    assert decision.verdict == "reject"
    assert (
        "rows (candidate: 1 of 400 rows were not answered with a finite number), so gate.first_model"
        in decision.why
    )


def test_a_handler_of_a_regression_that_answers_no_number_is_told_so(home: Path, archives: Any) -> None:
    says_text = archives("says_text", 'return {"prediction": text}')
    with pytest.raises(CheckFailed, match=r"answers '1 0', '1 1'.*, but the labels are numbers"):
        compare(home, spec_of("regression", OF_NUMBERS), NUMBERS, says_text, None)


def test_a_multiclass_model_is_judged_by_its_classes_and_a_worse_one_rejected(
    home: Path, archives: Any
) -> None:
    rules = GateSpec(primary_metric="macro_f1", minimum={"accuracy": 0.5, "recall.wasp": 0.9})
    spec, labels = spec_of("multiclass", rules), [KINDS[number % 3] for number in range(400)]
    good, bad = (archives(f"kinds_{each}", NAMES_KIND.format(each=each)) for each in (20, 4))

    report = compare(home, spec, labels, bad, good)

    told = {found.name: found.value for found in report.champion.metrics} if report.champion else {}
    assert told["accuracy"] == 0.95
    assert {"macro_f1", "log_loss", "recall.bee", "recall.fly", "recall.wasp"} <= set(told)
    decision = decide(report, rules, bad, judged.LOOK)
    assert decision.verdict == "reject"
    assert "minimum.recall.wasp: recall.wasp 0.75" in decision.why
    assert "superiority.macro_f1: The candidate is worse than the champion" in decision.why
    answers = pq.read_table(Path(report.report_url).with_name("answers.parquet"))
    assert json.loads(answers["baseline_scores"].to_pylist()[0])["bee"] == pytest.approx(1 / 3, abs=0.01)


@pytest.mark.parametrize(
    ("task", "primary"),
    [
        ("binary", "log_loss"),
        ("binary", "brier"),
        ("binary", "average_precision"),
        ("multiclass", "log_loss"),
        ("multiclass", "balanced_accuracy"),
        ("multiclass", "macro_f1"),
        ("regression", "rmse"),
        ("regression", "mae"),
        ("regression", "median_absolute_error"),
        ("regression", "r2"),
    ],
)
def test_whatever_a_model_is_compared_by_a_worse_one_is_rejected(
    home: Path, task: Task, primary: str
) -> None:
    """Without archives: the answers of a model that knows the label, and the less surely the worse it is."""
    spec = spec_of(task, GateSpec(primary_metric=primary, margin=0.01, slice_margin=0.03))
    labels = {"binary": [0, 1], "multiclass": list(KINDS), "regression": [0.0, 7.0, 20.0]}[task] * 200
    parts = (part(home, name, rows(len(labels), label=labels)) for name in ("train", "test"))
    frozen = freeze_rows(spec, *parts, home / "frozen")
    good, bad = (Judged.of(unsurely(labels, wrong), frozen.target) for wrong in (0.1, 0.3))

    def verdict(candidate: Judged, champion: Judged) -> GateDecision:
        scored = evaluate._score_of("candidate", "c", judged.archive(), candidate, spec, frozen)
        simple = baseline(frozen.rows, spec, frozen)
        report = judged.evaluation(
            primary_metric=primary,
            scored=scored,
            baseline=evaluate._score_of("baseline", "b", None, simple, spec, frozen),
            differences=tuple(differences_of(candidate, champion, spec, frozen)),
        )
        return decide(report, spec.gate, judged.archive(), judged.LOOK)

    assert verdict(bad, good).verdict == "reject"
    assert f"superiority.{primary}: The candidate is worse than the champion" in verdict(bad, good).why
    assert verdict(good, bad).verdict == "promote"


def unsurely(labels: list[Any], wrong: float) -> Scores:
    """Answers of which a share is wrong, and none is sure."""
    distinct = sorted(set(labels))
    chosen = np.random.default_rng(1).random(len(labels)) < wrong
    said = [
        distinct[(distinct.index(label) + miss) % len(distinct)]
        for label, miss in zip(labels, chosen.astype(int), strict=True)
    ]
    if isinstance(labels[0], float):
        noise = np.random.default_rng(1).normal(0, 10 * wrong, len(labels))
        said = [label + error for label, error in zip(labels, noise, strict=True)]
    return Scores(
        predictions=tuple(said),
        scores=tuple(0.8 * value + 0.1 if isinstance(value, int) else None for value in said),
        probabilities=tuple(dict.fromkeys(distinct, 0.1) | {value: 0.8} for value in said),
        refused=(),
        latencies_seconds=(0.001,),
        answers=(),
    )
