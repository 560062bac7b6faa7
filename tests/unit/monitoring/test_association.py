"""Labels that have nothing to do with the rows of their own batch are found, whatever other days are like."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from tasks.contracts import Association
from tasks.monitoring.domain_classifier import Kind
from tasks.monitoring.labels.association import Known, Learnable, association, learnability
from tasks.monitoring.labels.decide import SURE_OF_HALF, level
from tasks.monitoring.labels.skill import Skill, by_auc
from tasks.spec import LabelCheckSpec

KINDS: dict[str, Kind] = {"x": "number", "y": "number"}
LEVEL = level(LabelCheckSpec())
ROWS = 400


def day(rng: np.random.Generator, classes: int = 2) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows whose label their features tell, in a direction of this day's own."""
    labels = rng.integers(0, classes, ROWS)
    frame = pd.DataFrame(rng.normal(0, 1, (ROWS, 2)), columns=["x", "y"])
    frame[rng.choice(["x", "y"])] += rng.choice([-2, 2]) * labels
    return frame, labels


def is_bad(found: Association | str) -> bool:
    assert isinstance(found, Association)
    return found.p_value < LEVEL and found.p_half < SURE_OF_HALF


def known(skills: np.ndarray, error: float) -> Known:
    """As if each batch had been learnt already: from 200 of its 250 rows, the newest one from all."""
    *before, newest = (Skill(float(value), error) for value in skills)
    found: Known = {(f"b{n}", 200): each for n, each in enumerate(before)}
    return found | {("new", 250): newest}


def compared(skills: np.ndarray, error: float = 0.04, at: float = LEVEL) -> Association | str:
    """The last of the skills beside those before it."""
    learnable = Learnable(pa.table({}), np.array([], dtype=np.int64), KINDS, known(skills, error))
    places = np.arange(250)
    return association(learnable, "new", places, {f"b{n}": places for n in range(len(skills) - 1)}, at)


def test_shuffled_labels_are_found_where_no_day_is_like_another_and_sound_ones_are_not() -> None:
    rng = np.random.default_rng(0)
    days = [day(rng) for _ in range(14)]
    labels = np.concatenate([each for _, each in days])
    last = np.arange(13 * ROWS, 14 * ROWS)
    before = {f"b{n}": np.arange(n * ROWS, (n + 1) * ROWS) for n in range(13)}
    features = pa.Table.from_pandas(pd.concat([rows for rows, _ in days]), preserve_index=False)
    measured: Known = {}
    assert not is_bad(association(Learnable(features, labels, KINDS, measured), "good", last, before, LEVEL))
    labels[last] = rng.permutation(labels[last])
    assert is_bad(association(Learnable(features, labels, KINDS, measured), "bad", last, before, LEVEL))
    assert len(measured) == 15, "each batch before is learnt once"


@settings(max_examples=4)
@given(seed=st.integers(0, 10_000), classes=st.integers(2, 4))
def test_labels_in_another_order_are_less_learnable(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    rows, labels = day(rng, classes)
    sound = learnability(rows, labels, KINDS)
    shuffled = learnability(rows, rng.permutation(labels), KINDS)
    assert sound is not None
    assert shuffled is not None
    assert sound.value > 0.3
    assert abs(shuffled.value) < 5 * shuffled.error < sound.value


def test_a_label_of_few_rows_is_left_out_and_one_label_alone_is_not_learnt() -> None:
    rows, labels = day(np.random.default_rng(1))
    labels[:5] = 2
    assert learnability(rows, labels, KINDS) is not None
    assert learnability(rows, np.zeros(ROWS, dtype=np.int64), KINDS) is None


@pytest.mark.parametrize("batches", [12, 40])
def test_as_many_sound_batches_are_surely_low_as_the_level_says(batches: int) -> None:
    rng = np.random.default_rng(batches)
    skills = rng.normal(0.6, np.hypot(0.1, 0.04), (600, batches + 1))
    found = [each for each in (compared(own, at=0.01) for own in skills) if isinstance(each, Association)]
    assert len(found) > 550
    assert np.mean([each.p_value < 0.01 for each in found]) < 0.02
    assert not any(map(is_bad, found))


def test_rows_that_tell_less_but_tell_it_clearly_are_another_kind_and_no_fault() -> None:
    usually = np.linspace(0.75, 0.85, 30)
    for value, bad in ((0.8, False), (0.45, False), (0.35, False), (0.2, True), (0.0, True)):
        assert is_bad(compared(np.r_[usually, value])) is bad


def test_where_shuffled_labels_would_look_like_sound_ones_nothing_is_said() -> None:
    rng = np.random.default_rng(2)
    for skills in (rng.normal(0.02, 0.04, 30), rng.normal(0.4, 0.2, 30)):
        assert "is not sure enough" in str(compared(np.r_[skills, 0.0]))
    assert "3 earlier batches are too few" in str(compared(np.full(4, 0.5)))


@settings(max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=4, max_size=60))
def test_the_skill_of_scores_is_that_of_scikit_learn(rows: list[tuple[bool, int]]) -> None:
    positive, scores = np.array(rows, dtype=np.int64).T
    found = by_auc(positive == 1, scores.astype(np.float64))
    if not 2 <= positive.sum() <= len(rows) - 2:
        assert found is None
        return
    assert found is not None
    assert np.isclose(found.value, 2 * roc_auc_score(positive, scores) - 1)


def test_the_error_of_a_skill_is_how_much_it_differs_between_samples() -> None:
    rng = np.random.default_rng(3)
    found = []
    for _ in range(400):
        positive = rng.random(300) < 0.25
        found.append(by_auc(positive, rng.normal(positive, 1)))
    spread = np.std([each.value for each in found if each is not None])
    assert np.isclose(np.mean([each.error for each in found if each is not None]), spread, rtol=0.1)
