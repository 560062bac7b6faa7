"""Evaluation: the archives that would serve, on exactly
the frozen rows, against each other and a simple baseline.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.contracts import (
    Archive,
    Champion,
    EvaluateRequest,
    EvaluationReport,
    ModelVersion,
    SnapshotPart,
    StepContext,
)
from tasks.errors import ArchiveMismatch, CheckFailed, FrozenSetMismatch, InvalidProject
from tasks.evaluation import evaluate
from tasks.evaluation.frozen_rows import MOST_SLICES, Frozen
from tasks.evaluation.frozen_rows import freeze as freeze_rows
from tasks.evaluation.scoring import Scores
from tasks.gate.decide import decide
from tasks.settings import PROJECT
from tasks.spec import GateSpec, PipelineSpec, Task
from tasks.stores import files
from tasks.stores.row_hash import sha256_of_rows
from tests.archives import write_archive
from tests.unit import judged

SPEC = PipelineSpec.load(PROJECT / "models" / "review_sentiment" / "pipeline.yaml")

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


def part(folder: Path, name: str, rows: pa.Table) -> SnapshotPart:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, folder / f"{name}.parquet")
    return SnapshotPart(url=str(folder / f"{name}.parquet"), rows=len(rows), sha256=sha256_of_rows(rows))


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

    asked = request(home, candidate)

    report = evaluate.compare(asked, version(champion))

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
    assert 0 < report.candidate.latency_p50_seconds <= report.candidate.latency_p95_seconds < 1  # type: ignore[operator]
    assert EvaluationReport.model_validate_json(Path(report.report_url).read_text()) == report
    kept = pq.read_table(f"{asked.context.work_url}/answers.parquet").to_pydict()
    assert kept["review_id"] == rows(400)["review_id"].to_pylist()
    hits = [
        str(label) == said for label, said in zip(kept["label"], kept["champion_prediction"], strict=True)
    ]
    assert np.mean(hits) == 0.9


def test_a_champion_that_is_evaluated_again_meets_itself(home: Path, archives: Any) -> None:
    """A task that is cleared in Airflow after the promotion: the archive is both, and the verdict stays."""
    own = right(archives, 20)

    report = evaluate.compare(request(home, own), version(own))

    assert all((found.difference, found.low, found.high) == (0, 0, 0) for found in report.differences)
    assert decide(report, SPEC.gate, own).verdict == "promote"


def test_a_worse_candidate_is_rejected_by_what_its_archive_answers(home: Path, archives: Any) -> None:
    candidate = right(archives, 10)
    report = evaluate.compare(request(home, candidate), version(right(archives, 20)))

    decision = decide(report, SPEC.gate, candidate)

    assert decision.verdict == "reject"
    assert "margin.accuracy" in [rule.rule for rule in decision.rules if not rule.passed]


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


def answered(frozen: Frozen, each: int) -> evaluate.Judged:
    """Answers as `right` gives them, without an archive."""
    labels = [int(text[0]) for text in frozen.rows["text"].to_pylist()]
    said = [1 - label if number % each == 0 else label for number, label in enumerate(labels)]
    scores = tuple(0.1 + 0.8 * each for each in said)
    raw = Scores(tuple(said), scores, (None,) * len(said), (), (0.001,), ())
    return evaluate.Judged(frozen.answers_of(raw), raw)


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
        evaluate._scored(role, role, judged.archive(), candidate, spec, frozen)
        for role in ("candidate", "baseline")
    ]
    differences = tuple(evaluate._differences(candidate, champion, spec, frozen))

    slices = {found.value: found.metric.value for found in scored[0].slices}
    assert slices["imdb"] > 0.9
    assert np.isnan(slices["traffic"])
    report = judged.evaluation(primary_metric="roc_auc", scored=scored[0], differences=differences)
    decision = decide(report, spec.gate, judged.archive())
    failed = [rule.rule for rule in decision.rules if not rule.passed and rule.blocks == "hold"]
    assert failed == ["slice_margin.source=traffic"]


def test_rows_without_a_slice_value_or_with_very_many_are_reported(home: Path) -> None:
    frozen = freeze(home, rows(400, source=[None, None, *[f"s{number}" for number in range(398)]]))

    slices = evaluate._scored("candidate", "c", judged.archive(), answered(frozen, 20), SPEC, frozen).slices

    assert len(slices) == MOST_SLICES
    assert (slices[0].value, slices[0].rows) == ("missing", 2)


def test_rows_without_a_label_are_not_frozen(home: Path) -> None:
    with pytest.raises(CheckFailed, match="3 test rows have no 'label'"):
        freeze(home, rows(400, label=[None] * 3 + [1] * 397))


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
    kind, labels = "float64", {"type": "number"}
    if task == "multiclass":
        kind, labels = "string", {"type": "string", "enum": list(KINDS)}
    document = SPEC.model_dump(mode="json") | {"task": task, "gate": gate.model_dump(exclude_unset=True)}
    document["data"]["columns"]["label"] = kind
    document["serving"]["label_schema"] = labels
    return PipelineSpec.model_validate(document)


def test_a_regression_is_judged_by_its_error_and_a_worse_one_rejected(home: Path, archives: Any) -> None:
    rules = GateSpec(primary_metric="rmse", maximum={"rmse": 9}, margin=0.5, slice_margin=1)
    spec = spec_of("regression", rules)
    labels = rows(400, label=[float(number) for number in range(400)])
    good, bad = (archives(f"off_by_{error}", OFF_BY.format(error=error)) for error in (3, 5))

    def compare(candidate: Archive, champion: Archive) -> EvaluationReport:
        asked = request(home, candidate, test=labels, spec=spec)
        return evaluate.compare(asked, version(champion))

    report = compare(bad, good)
    assert metric(report, "candidate", "rmse") == pytest.approx(5)
    assert metric(report, "champion", "mae") == pytest.approx(3)
    assert report.baseline.name == "the training rows' mean"
    assert metric(report, "baseline", "rmse") > 100
    decision = decide(report, rules, bad)
    assert decision.verdict == "reject"
    assert "worse than the champion: +2.0000" in decision.why
    assert decide(compare(good, bad), rules, good).verdict == "promote"


def test_a_multiclass_model_is_judged_by_its_classes_and_a_worse_one_rejected(
    home: Path, archives: Any
) -> None:
    rules = GateSpec(primary_metric="macro_f1", minimum={"accuracy": 0.5})
    spec = spec_of("multiclass", rules)
    labels = rows(400, label=[KINDS[number % 3] for number in range(400)])
    good, bad = (archives(f"kinds_{each}", NAMES_KIND.format(each=each)) for each in (20, 8))

    def compare(candidate: Archive, champion: Archive) -> EvaluationReport:
        asked = request(home, candidate, test=labels, spec=spec)
        train = part(home, "train", rows(300, label=[KINDS[number % 3] for number in range(300)]))
        snapshot = asked.run.snapshot.model_copy(update={"train": train})
        run = asked.run.model_copy(update={"snapshot": snapshot})
        return evaluate.compare(asked.model_copy(update={"run": run}), version(champion))

    report = compare(bad, good)
    told = {found.name: found.value for found in report.champion.metrics} if report.champion else {}
    assert told["accuracy"] == 0.95
    assert {"macro_f1", "log_loss", "recall of bee", "recall of fly", "recall of wasp"} <= set(told)
    assert decide(report, rules, bad).verdict == "reject"
    assert decide(compare(good, bad), rules, good).verdict == "promote"
