"""Which rows are frozen, and the slices that they are judged by, without archives."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tasks.errors import CheckFailed
from tasks.evaluation import evaluate
from tasks.evaluation.answers import Judged
from tasks.evaluation.frozen_rows import Frozen
from tasks.evaluation.frozen_rows import freeze as freeze_rows
from tasks.evaluation.scoring import Scores
from tasks.evaluation.set_scores import differences as differences_of
from tasks.evaluation.slices import MOST_SLICES
from tasks.gate.decide import decide
from tasks.spec import GateSpec
from tests.steps.evaluated import SPEC, rows
from tests.unit import judged
from tests.unit.judged import part


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
