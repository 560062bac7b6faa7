"""Evaluation: the archives that would serve, on exactly
the frozen rows, against each other and a simple baseline.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.contracts import (
    Archive,
    AsTrained,
    Champion,
    EvaluateRequest,
    EvaluationReport,
    GateDecision,
    Metric,
    ModelVersion,
    StepContext,
)
from tasks.errors import ArchiveMismatch, CheckFailed, FrozenSetMismatch, InvalidProject
from tasks.evaluation import evaluate
from tasks.evaluation.answers import Judged
from tasks.evaluation.as_trained import Reported, reported
from tasks.evaluation.baseline import baseline
from tasks.evaluation.frozen_rows import Frozen
from tasks.evaluation.frozen_rows import freeze as freeze_rows
from tasks.evaluation.scoring import Scores
from tasks.evaluation.set_scores import differences as differences_of
from tasks.evaluation.slices import MOST_SLICES
from tasks.gate.decide import decide
from tasks.spec import BehaviourTest, GateSpec, PipelineSpec, Task
from tasks.stores import files
from tasks.stores.row_hash import sha256_of_rows
from tests.archives import write_archive
from tests.unit import judged
from tests.unit.judged import part

SPEC = judged.SPEC

HANDLER = """
class Handler:
    def initialize(self, context):
        pass

    def handle(self, data, context):
        return [self.answer(index, item["body"]["text"], context) for index, item in enumerate(data)]

    def answer(self, index, text, context):
        {body}
"""

# A text is `<label> <number>`: who reads the label is always right, and is made wrong on every so many
# numbers.
WRONG_EACH = """
        label, number = text.split()
        right = int(number) % {each} != 0
        said = int(label) if right else 1 - int(label)
        return {{"prediction": said, "score": 0.1 + 0.8 * said}}
"""


def rows(count: int, *, positive: float = 0.5, **columns: Any) -> pa.Table:
    labels = [int(number < count * positive) for number in range(count)]
    table = {
        "review_id": [f"r{number:05d}" for number in range(count)],
        "source": ["imdb" if number % 4 else "traffic" for number in range(count)],
        "text": [f"{label} {number}" for number, label in enumerate(labels)],
        "label": labels,
    }
    return pa.table(table | columns)


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("archives")

    def build(name: str, body: str) -> Archive:
        file = folder / f"{name}.mar"
        if not file.exists():
            write_archive(file, model="m", version=name, handler=HANDLER.format(body=body.strip()))
        return judged.archive(
            run_id=name,
            version=name,
            url=str(file),
            sha256=files.sha256(str(file)),
            size_bytes=file.stat().st_size,
        )

    return build


def right(archives: Any, each: int) -> Archive:
    """An archive that is wrong on each so many-th row."""
    return archives(f"wrong_each_{each}", WRONG_EACH.format(each=each))  # type: ignore[no-any-return]


def version(archive: Archive) -> ModelVersion:
    return ModelVersion(
        model=SPEC.name, version="1", run_id=archive.run_id, archive=archive, decision_ledger_hash="", tags={}
    )


def request(
    home: Path, archive: Archive, test: pa.Table | None = None, spec: PipelineSpec = SPEC
) -> EvaluateRequest:
    train = part(home, "train", rows(200, positive=0.7))
    parts = {"train": train, "test": part(home, "test", rows(400) if test is None else test)}
    run = judged.run(run_id=archive.run_id, snapshot=judged.snapshot().model_copy(update=parts))
    context = StepContext(actor="evaluate", step_key="evaluate", work_url=str(home / "work"))
    champion = Champion(model=spec.name, version=None, serves=False)
    return EvaluateRequest(context=context, spec=spec, run=run, archive=archive, champion=champion)


def metric(report: EvaluationReport, role: str, name: str = "accuracy") -> float:
    return next(found.value for found in getattr(report, role).metrics if found.name == name)


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


def test_behaviour_is_tried_on_the_archive_and_a_failing_case_stops_it(home: Path, archives: Any) -> None:
    """The archive answers the first figure of a text, and knows no texts without one. The champion takes no
    notice of a swap.
    """
    tests = (
        BehaviourTest(name="one", kind="minimum_functionality", instances=({"text": "1 7"},), answer=1),
        BehaviourTest(name="same", kind="invariance", test_rows=30, swap=(("0", "1"),), required_share=0.5),
        BehaviourTest(
            name="up",
            kind="directional",
            instances=({"text": "{figure} 7"}, {"text": "x 7"}),
            changed=({"text": "1 7"},),
            words={"figure": (0, 1)},
            direction="up",
        ),
    )
    candidate = archives(
        "figures",
        """
        if not text[0].isdigit():
            context.set_response_status(code=400, idx=index)
            return {"error": "no figure"}
        return {"prediction": int(text[0]), "score": 0.1 + 0.8 * int(text[0])}
        """,
    )
    spec = SPEC.model_copy(update={"behaviour": tests})

    champion = version(archives("steady", 'return {"prediction": 1, "score": 0.9}'))
    report = evaluate.compare(request(home, candidate, spec=spec), champion)

    found = {each.name: (each.cases, each.passed) for each in report.behaviour}
    assert found == {"one": (1, 1), "same": (30, 0), "up": (2, 1)}
    beside = {each.name: each.champion.passed for each in report.behaviour if each.champion}
    assert beside == {"same": 30}, "of the cases of test rows alone"
    decision = decide(report, spec.gate, candidate, judged.LOOK)
    assert decision.verdict == "reject"
    failed = [rule.rule for rule in decision.rules if not rule.passed and "behaviour" in rule.rule]
    assert failed == ["behaviour.same", "behaviour.up"]
    assert '{"text": "x 7"}, changed to {"text": "1 7"}: The handler refused it: no figure' in decision.why


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


def answered(frozen: Frozen, each: int) -> Judged:
    """Answers as `right` gives them, without an archive."""
    labels = [int(text[0]) for text in frozen.rows["text"].to_pylist()]
    said = [1 - label if number % each == 0 else label for number, label in enumerate(labels)]
    scores = tuple(0.1 + 0.8 * each for each in said)
    raw = Scores(tuple(said), scores, (None,) * len(said), (), (0.001,), ())
    return Judged.of(raw, frozen.target)


def freeze(home: Path, test: pa.Table) -> Frozen:
    parts = (part(home, "train", rows(200)), part(home, "test", test))
    return freeze_rows(SPEC, *parts, home / "frozen")


def test_a_slice_with_one_label_has_no_roc_auc_and_the_gate_holds_for_it(home: Path) -> None:
    labels = [0 if number % 4 == 0 else int(number % 2) for number in range(1200)]
    texts = [f"{label} {number}" for number, label in enumerate(labels)]
    frozen = freeze(home, rows(1200, label=labels, text=texts))
    spec = SPEC.model_copy(update={"gate": GateSpec(primary_metric="roc_auc")})
    candidate, champion = answered(frozen, 20), answered(frozen, 10)

    scored = [
        evaluate._score_of(role, role, judged.archive(), candidate, spec, frozen)
        for role in ("candidate", "baseline")
    ]
    differences = tuple(differences_of(candidate, champion, spec, frozen))

    slices = {found.value: found.metric.value for found in scored[0].slices}
    assert slices["imdb"] > 0.9
    assert np.isnan(slices["traffic"])
    report = judged.evaluation(primary_metric="roc_auc", scored=scored[0], differences=differences)
    decision = decide(report, spec.gate, judged.archive(), judged.LOOK)
    failed = [rule.rule for rule in decision.rules if not rule.passed and rule.blocks == "hold"]
    assert failed == ["slice_margin.source=traffic"]


def test_rows_without_a_slice_value_or_with_very_many_are_reported(home: Path) -> None:
    frozen = freeze(home, rows(400, source=[None, None, *[f"s{number}" for number in range(398)]]))

    slices = evaluate._score_of("candidate", "c", judged.archive(), answered(frozen, 20), SPEC, frozen).slices

    assert len(slices) == MOST_SLICES
    assert (slices[0].value, slices[0].rows) == ("missing", 2)


def test_rows_without_a_label_are_not_frozen(home: Path) -> None:
    with pytest.raises(CheckFailed, match="3 test rows have no 'label'"):
        freeze(home, rows(400, label=[None] * 3 + [1] * 397))


def test_labels_that_the_schema_does_not_name_are_not_frozen(home: Path) -> None:
    with pytest.raises(
        CheckFailed, match=r"2 test rows have a 'label' that is not named in .*label_schema: 7"
    ):
        freeze(home, rows(400, label=[7, 7] + [1] * 398))


# --- other tasks --------------------------------------------------------------------------------------------

OFF_BY = """
        label, number = text.split()
        return {{"prediction": float(number) + {error} * (1 if int(number) % 2 else -1)}}
"""
KINDS = ("bee", "fly", "wasp")
NAMES_KIND = """
        label, number = text.split()
        kinds = ("bee", "fly", "wasp")
        said = kinds[(int(number) + (int(number) % {each} == 0)) % 3]
        scores = {{kind: 0.8 if kind == said else 0.1 for kind in kinds}}
        return {{"prediction": said, "score": 0.8, "scores": scores}}
"""


def spec_of(task: Task, gate: GateSpec) -> PipelineSpec:
    kind, labels = {
        "binary": ("int64", {"type": "integer", "enum": [0, 1]}),
        "multiclass": ("string", {"type": "string", "enum": list(KINDS)}),
        "regression": ("float64", {"type": "number"}),
    }[task]
    document = SPEC.model_dump(mode="json") | {"task": task, "gate": gate.model_dump(exclude_unset=True)}
    document["data"]["columns"]["label"] = kind
    document["serving"]["label_schema"] = labels
    return PipelineSpec.model_validate(document)


def compare(
    home: Path, spec: PipelineSpec, labels: list[Any], candidate: Archive, champion: Archive | None
) -> EvaluationReport:
    """An evaluation of rows with these labels, of which the training part has every other one."""
    asked = request(home, candidate, test=rows(len(labels), label=labels), spec=spec)
    train = part(home, "train", rows(len(labels[::2]), label=labels[::2]))
    run = asked.run.model_copy(update={"snapshot": asked.run.snapshot.model_copy(update={"train": train})})
    asked = asked.model_copy(update={"run": run})
    return evaluate.compare(asked, version(champion) if champion else None)


OF_NUMBERS = GateSpec(primary_metric="rmse", first_model_maximum={"rmse": 9}, margin=0.5, slice_margin=1)
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
