"""Batches with wrong labels are quarantined, sound ones are not, and what cannot be told is said."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.contracts import Agreement, Association, BatchFindings, BatchVerdict, LabelNoise, UnusualShare
from tasks.evaluation.answers import Answers, Target
from tasks.monitoring.labels.agreement import Labelled, compare, usual_skill
from tasks.monitoring.labels.decide import SURE_OF_HALF, decide, level
from tasks.monitoring.labels.judge import Rows, judge
from tasks.monitoring.labels.noise import estimate
from tasks.monitoring.labels.shares import unusual_share
from tasks.monitoring.labels.skill import skill
from tasks.spec import DataSpec, LabelCheckSpec

RULES = LabelCheckSpec()
TWO = Target("binary", (0, 1))
NONE: dict[str, Agreement | str] = {}
DATA = DataSpec.model_validate(
    {"table": "t", "key": "id", "columns": {"id": "string", "x": "float64", "y": "float64", "label": "int64"}}
    | {"suite": "t", "query": "SELECT * FROM t", "features": ["x", "y"], "label": "label"}
    | {"split": {"by": "id"}}
)


def points(rows: int, rng: np.random.Generator, classes: int = 2) -> tuple[pd.DataFrame, Any]:
    """Rows whose label their features tell in about nine of ten cases."""
    labels = rng.integers(0, classes, rows)
    frame = pd.DataFrame({"x": labels + rng.normal(0, 0.4, rows), "y": rng.normal(0, 1, rows)})
    return frame, labels


def turned(labels: Any, rng: np.random.Generator) -> Any:
    return np.where(rng.random(len(labels)) < 0.25, 1 - labels, labels)


BAD: dict[str, Callable[[Any, np.random.Generator], Any]] = {
    "inverted": lambda labels, _: 1 - labels,
    "shuffled": lambda labels, rng: rng.permutation(labels),
    "turned": turned,
}


def verdicts(*changed: str, rows: int = 800) -> list[BatchVerdict]:
    """Judge batches whose labels were changed, each after one of 2,000 sound rows and those before it."""
    rng = np.random.default_rng(1)
    parts = [points(2_000, rng), *(points(rows, rng) for _ in changed)]
    labels = [
        parts[0][1],
        *(
            BAD.get(how, lambda same, _: same)(part[1], rng)
            for how, part in zip(changed, parts[1:], strict=True)
        ),
    ]
    names = np.repeat([f"b{n}" for n in range(len(parts))], [len(each) for each in labels])
    table = pa.Table.from_pandas(pd.concat([part[0] for part in parts]), preserve_index=False)
    known = Rows(table, np.concatenate(labels), names.astype(object), TWO)
    new = [f"b{n}" for n in range(1, len(parts))]
    return list(judge(known, DATA, new, ["b0"], dict.fromkeys(new, "there is no champion")))


def test_each_batch_with_wrong_labels_is_quarantined_and_the_sound_ones_around_them_are_not() -> None:
    found = verdicts("sound", *BAD, "sound")
    assert [each.state for each in found] == ["passed", "quarantined", "quarantined", "quarantined", "passed"]
    assert [each.findings.history_rows for each in found] == [2_000, 2_800, 2_800, 2_800, 2_800]
    assert "labels seem wrong" in found[1].why
    assert "there is no champion" in found[0].why


def test_a_batch_that_is_too_small_is_told_and_trained_on() -> None:
    [found] = verdicts("inverted", rows=150)
    assert found.state == "cannot_tell"
    assert "150 labelled rows, fewer than the 200" in found.why


@pytest.mark.parametrize("wrong", [0.0, 0.3])
def test_the_share_of_wrong_labels_is_estimated_for_several_classes(wrong: float) -> None:
    rng = np.random.default_rng(2)
    history, batch = points(3_000, rng, 3), points(1_000, rng, 3)
    given_labels = np.where(rng.random(1_000) < wrong, (batch[1] + rng.integers(1, 3, 1_000)) % 3, batch[1])
    found = estimate(*history, batch[0], given_labels, {"x": "number", "y": "number"}, 0.1)
    assert isinstance(found, LabelNoise)
    assert abs(found.share - wrong) < 0.05
    assert (found.p_value < level(RULES)) == (wrong > 0)


def test_too_little_history_or_too_many_classes_are_told() -> None:
    rng = np.random.default_rng(3)
    few, many, lone = points(300, rng), points(600, rng, 30), (points(600, rng)[0], np.zeros(600, dtype=int))
    for (frame, labels), reason in (
        (few, "300 earlier rows"),
        (many, "30 classes"),
        (lone, "only one label"),
    ):
        assert reason in str(estimate(frame, labels, frame, labels, {"x": "number", "y": "number"}, 0.1))


def test_an_unusual_share_is_one_that_batches_have_not_had() -> None:
    rng = np.random.default_rng(4)
    shares = rng.normal(0.3, 0.02, 40)
    history = np.array([[1000 - 1000 * share, 1000 * share] for share in shares]).astype(int)
    for share, is_bad in ((0.33, False), (0.6, True), (1.0, True), (0.0, True)):
        batch = np.array([1000 - 1000 * share, 1000 * share]).astype(int)
        found = unusual_share(batch, history, ("0", "1"), 0.05, level(RULES))
        assert found is not None
        assert (found.p_value < level(RULES)) is is_bad
        assert (found.low <= share <= found.high) is not is_bad
    assert unusual_share(batch, history[:3], ("0", "1"), 0.05, level(RULES)) is None


def test_a_year_of_days_that_differ_by_more_than_chance_raises_no_alarm() -> None:
    alarms = 0
    for year in range(5):
        rng = np.random.default_rng(year)
        days = rng.binomial(900, 1 / (1 + np.exp(-rng.normal(-1.2, 0.6, 425))))
        counts = np.column_stack([900 - days, days])
        for day in range(60, 425, 5):
            found = unusual_share(counts[day], counts[:day], ("0", "1"), 0.05, level(RULES))
            alarms += found is not None and found.p_value < level(RULES)
    assert alarms == 0


def answers(truth: Any, right: float, rng: np.random.Generator) -> Answers:
    said = np.where(rng.random(len(truth)) < right, truth, 1 - truth)
    return Answers(said, 0.5 + (said - 0.5) * rng.random(len(truth)))


def test_labels_that_contradict_the_champion_are_found_and_those_it_is_less_good_at_are_not() -> None:
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 2, 4_000)
    names = np.repeat([f"b{n}" for n in range(20)], 200)
    own = Labelled(pa.table({"row": truth}), truth, names.astype(object))
    for method in ("roc_auc", "kappa"):
        usual = usual_skill(method, TWO, own, answers(truth, 0.9, rng), dict.fromkeys(names, 1_000))
        for right, is_bad in ((0.9, False), (0.75, False), (0.5, True), (0.1, True)):
            batch = rng.integers(0, 2, 1_000)
            found = compare(method, usual, skill(method, TWO, batch, answers(batch, right, rng)), "r", 1_000)
            assert isinstance(found, Agreement)
            assert (found.p_value < level(RULES)) is is_bad
    poor = usual_skill("kappa", TWO, own, answers(truth, 0.5, rng), dict.fromkeys(names, 1_000))
    assert "not surely better than chance" in str(compare("kappa", poor, None, "r", 10))


SHARE = {"label": "1", "share": 0.5, "low": 0.4, "high": 0.6, "batches": 9}
AGREEMENT = {"champion_run_id": "r", "method": "kappa", "batch": 0.1, "before": 0.8, "rows": 300}
ASSOCIATION = {"batch": 0.1, "before": 0.5, "batches": 40, "rows": 300}
P_VALUES = st.one_of(st.none(), st.floats(0, 1))


@settings(max_examples=50)
@given(P_VALUES, P_VALUES, P_VALUES, P_VALUES, st.floats(0, 1))
def test_a_batch_is_quarantined_if_and_only_if_one_check_is_sure(
    share: float | None,
    noise: float | None,
    agreement: float | None,
    association: float | None,
    half: float,
) -> None:
    findings = BatchFindings(
        batch_id="b",
        rows=300,
        history_rows=900,
        share=None if share is None else UnusualShare.model_validate(SHARE | {"p_value": share}),
        noise=None if noise is None else LabelNoise(share=0.2, rows=300, p_value=noise),
        agreement=None if agreement is None else Agreement.model_validate(AGREEMENT | {"p_value": agreement}),
        association=None
        if association is None
        else Association.model_validate(ASSOCIATION | {"p_value": association, "p_half": half}),
    )
    made = [value for value in (share, noise, agreement, association) if value is not None]
    counts = (
        share,
        noise,
        agreement,
        association if half < SURE_OF_HALF else None,
    )
    sure = any(value < level(RULES) for value in counts if value is not None)
    state = decide(findings, RULES).state
    assert state == ("quarantined" if sure else "passed" if made else "cannot_tell")
