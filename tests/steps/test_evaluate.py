"""Evaluation: the archives that would serve, on exactly
the frozen rows, against each other and a simple baseline.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tasks.contracts import (
    AsTrained,
    EvaluationReport,
    Metric,
)
from tasks.errors import ArchiveMismatch, CheckFailed, FrozenSetMismatch, InvalidProject
from tasks.evaluation import evaluate
from tasks.evaluation.as_trained import Reported, reported
from tasks.gate.decide import decide
from tasks.stores.row_hash import sha256_of_rows
from tests.steps.evaluated import SPEC, metric, request, right, rows, version
from tests.unit import judged
from tests.unit.judged import part


def test_candidate_champion_and_baseline_answer_the_same_rows(home: Path, archives: Any) -> None:
    candidate, champion = right(archives, 20), right(archives, 10)

    report = evaluate.compare(request(home, candidate), version(champion))

    assert (metric(report, "candidate"), metric(report, "champion"), metric(report, "baseline")) == (
        0.95,
        0.9,
        0.5,
    )
    assert report.frozen_sha256 == report.champion_frozen_sha256 == sha256_of_rows(rows(400))
    assert metric(report, "baseline", "roc_auc") == 0.5
    overall, *slices = report.differences
    assert overall.difference == pytest.approx(0.05)
    assert overall.low > 0
    assert overall.p_value == pytest.approx(2 * 0.5**20)
    assert [(each.slice_value, each.rows) for each in slices] == [("imdb", 300), ("traffic", 100)]
    assert 10 * 2**20 < (report.candidate.peak_memory_bytes or 0) < 2**30
    assert 0 < report.candidate.latency_p50_seconds <= report.candidate.latency_p95_seconds < 1  # type: ignore[operator]
    assert EvaluationReport.model_validate_json(Path(report.report_url).read_text()) == report
    kept = pq.read_table(Path(report.report_url).with_name("answers.parquet")).to_pydict()
    assert kept["review_id"] == rows(400)["review_id"].to_pylist()
    hits = [
        str(label) == said for label, said in zip(kept["label"], kept["champion_prediction"], strict=True)
    ]
    assert np.mean(hits) == 0.9


def test_the_archive_is_held_against_what_its_training_measured_on_the_validation_rows(
    home: Path, archives: Any
) -> None:
    asked = request(home, right(archives, 20))
    snapshot = asked.run.snapshot.model_copy(update={"validation": part(home, "validation", rows(100))})
    asked = asked.model_copy(update={"run": asked.run.model_copy(update={"snapshot": snapshot})})

    report = evaluate.compare(asked, None, trained=Reported("accuracy", 0.97))

    assert report.as_trained == AsTrained(metric="accuracy", rows=100, trained=0.97, served=0.95)
    assert (report.rows, metric(report, "candidate")) == (400, 0.95)


def test_what_a_training_reported_is_taken_by_the_primary_metric_first() -> None:
    both = {"best_validation_roc_auc": 0.9, "best_validation_accuracy": 0.8, "validation_f1": 0.7}
    assert reported(SPEC, both) == ("accuracy", 0.8)
    assert reported(SPEC, {**both, "best_validation_accuracy": float("nan")}) == ("roc_auc", 0.9)
    assert reported(SPEC, {"validation_accuracy": 0.8, "best_validation_loss": 0.3}) is None


def test_a_champion_that_is_evaluated_again_meets_itself(home: Path, archives: Any) -> None:
    """A task that is cleared in Airflow after the promotion: the archive is both, and the verdict stays."""
    own = right(archives, 20)

    report = evaluate.compare(request(home, own), version(own))

    assert all((found.difference, found.low, found.high) == (0, 0, 0) for found in report.differences)
    assert decide(report, SPEC.gate, own, None).verdict == "promote"


def test_a_candidate_that_a_logistic_regression_beats_is_refused(home: Path, archives: Any) -> None:
    """The label is the text's first word, which a linear model learns, and the candidate often misses it."""
    spec = SPEC.model_copy(update={"gate": SPEC.gate.model_copy(update={"baseline": "linear"})})
    candidate = right(archives, 20)

    report = evaluate.compare(request(home, candidate, spec=spec), None)

    assert report.baseline.name == "a logistic regression on the features"
    assert metric(report, "baseline") > 0.99
    assert report.baseline_difference is not None
    assert report.baseline_difference.high < 0
    decision = decide(report, spec.gate, candidate, None)
    assert [rule.rule for rule in decision.rules if not rule.passed] == ["gain_over_baseline"]
    assert "is no better than the 0.9975 of a logistic regression on the features" in decision.why


def test_the_root_answers_the_same_rows_too(home: Path, archives: Any) -> None:
    candidate, champion, root = (right(archives, each) for each in (20, 10, 5))

    report = evaluate.compare(request(home, candidate), version(champion), root=version(root))

    assert (metric(report, "champion"), metric(report, "root")) == (0.9, 0.8)
    assert report.root_difference is not None
    assert report.root_difference.difference == pytest.approx(0.15)
    assert report.root_difference.slice_value is None
    answers = pq.read_table(Path(report.report_url).with_name("answers.parquet"))
    assert "root_prediction" in answers.column_names


def test_a_worse_candidate_is_rejected_by_what_its_archive_answers(home: Path, archives: Any) -> None:
    candidate = right(archives, 10)
    report = evaluate.compare(request(home, candidate), version(right(archives, 20)))

    decision = decide(report, SPEC.gate, candidate, judged.LOOK)

    assert decision.verdict == "reject"
    assert "superiority.accuracy" in [rule.rule for rule in decision.rules if not rule.passed]


def test_rows_that_a_first_models_handler_refuses_count_as_wrong(home: Path, archives: Any) -> None:
    refuses = archives(
        "refuses",
        """
        if int(text.split()[1]) % 4 == 0:
            context.set_response_status(code=500, idx=index)
            return {{"error": "no"}}
        return {{"prediction": int(text[0]), "score": 0.5}}
        """.replace("{{", "{").replace("}}", "}"),
    )

    report = evaluate.compare(request(home, refuses), None)

    assert metric(report, "candidate") == 0.75
    assert (report.champion, report.champion_frozen_sha256, report.differences) == (None, None, ())
    assert "roc_auc" not in [found.name for found in report.candidate.metrics]


def test_a_handler_that_answers_no_label_at_all_is_told_so(home: Path, archives: Any) -> None:
    says_words = archives("says_words", 'return {"prediction": "positive", "score": None}')
    with pytest.raises(CheckFailed, match=r"answers 'positive', but the labels are 0, 1"):
        evaluate.compare(request(home, says_words), None)


def test_a_handler_that_cannot_start_is_told_so(home: Path, archives: Any) -> None:
    broken = archives("broken", "return this is no Python")
    with pytest.raises(InvalidProject, match="SyntaxError"):
        evaluate.compare(request(home, broken), None)


def test_a_test_part_that_was_changed_is_found(home: Path, archives: Any) -> None:
    asked = request(home, right(archives, 20))
    pq.write_table(rows(400, positive=0.6), home / "test.parquet")
    with pytest.raises(FrozenSetMismatch, match="the file was changed"):
        evaluate.compare(asked, None)


def test_an_archive_that_was_changed_is_found_whosever_it_is(
    home: Path, archives: Any, tmp_path: Path
) -> None:
    good = right(archives, 20)
    changed = tmp_path / "changed.mar"
    changed.write_bytes(Path(good.url).read_bytes() + b"!")
    altered = right(archives, 10).model_copy(update={"url": str(changed)})

    with pytest.raises(ArchiveMismatch, match="was changed"):
        evaluate.compare(request(home, altered), None)
    with pytest.raises(ArchiveMismatch, match=altered.run_id):
        evaluate.compare(request(home, good), version(altered))


def test_a_class_of_any_name_is_logged_where_mlflow_takes_it() -> None:
    metrics = tuple(Metric(name=name, value=1, low=1, high=1) for name in ("recall.a/b", "recall.C++"))
    report = judged.evaluation(scored=judged.score("candidate", 0.9, metrics=metrics))

    assert {"test_recall.a_b", "test_recall.C__"} <= set(dict(evaluate._metrics_for_mlflow(report)))


def test_only_the_difference_on_all_rows_is_logged_as_the_difference() -> None:
    part = judged.gained(0.3, slice_value="imdb")
    of_a_part = judged.evaluation(differences=(part,))
    assert "test_accuracy_difference" not in dict(evaluate._metrics_for_mlflow(of_a_part))

    of_all = judged.evaluation(differences=(part, judged.gained(0.1)))
    assert dict(evaluate._metrics_for_mlflow(of_all))["test_accuracy_difference"] == 0.1
