"""Which test rows a behavioural test asks."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from tasks.evaluation.answers import Target
from tasks.evaluation.behaviour import cases_of
from tasks.evaluation.frozen_rows import Frozen
from tasks.spec import BehaviourTest
from tests.unit.judged import SPEC

TEST = BehaviourTest(name="alike", kind="invariance", test_rows=20, swap=(("he", "she"),))


def frozen(texts: list[str]) -> Frozen:
    rows = pa.table({"text": pa.array(texts, pa.string())})
    return Frozen(rows, "", Path("unused"), Target("binary", (0, 1)), np.zeros(len(texts), np.int64), ())


def asked(texts: list[str]) -> list[str]:
    return [case.instance["text"] for case in cases_of(TEST, SPEC, frozen(texts))]


@given(st.permutations([f"she {number}" for number in range(60)]), st.integers(0, 60))
def test_a_row_that_joins_takes_the_place_of_one_at_most(texts: list[str], before: int) -> None:
    sample, known = asked(texts), asked(texts[:before])
    assert sample == asked(sorted(texts)), "whatever the order of the rows"
    assert len(set(known) - set(sample)) <= len(texts) - before
    assert set(known) & set(sample) == set(sample) & set(texts[:before]), "none leaves for another reason"


def test_only_rows_that_the_swap_changes_are_asked() -> None:
    assert asked(["the film", "he is rude", "it is she"]) in (
        ["he is rude", "it is she"],
        ["it is she", "he is rude"],
    )


@given(st.integers(0, 19))
def test_rows_that_are_alike_do_not_take_the_whole_sample(which: int) -> None:
    others = [f"she {number}" for number in range(500)]
    sample = asked([*others, *[f"he {which}"] * 500])
    assert 2 <= sample.count(f"he {which}") <= 18
