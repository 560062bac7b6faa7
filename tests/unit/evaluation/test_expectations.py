"""What a behavioural test calls a failure, and which words take each other's place."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.evaluation.behaviour import swapped
from tasks.evaluation.expectations import Answer, fault_of
from tasks.spec import BehaviourTest

numbers = st.floats(0, 1)


def asks(kind: Any, **fields: Any) -> BehaviourTest:
    changed = () if kind == "minimum_functionality" else ({"text": "b"},)
    return BehaviourTest(
        **{"name": "a", "kind": kind, "instances": ({"text": "a"},), "changed": changed} | fields
    )


UP, DOWN = (asks("directional", direction=way, by=0.1) for way in ("up", "down"))
SAME, NEARLY = asks("invariance"), asks("invariance", tolerance=0.1)


@given(before=numbers, after=numbers)
def test_a_direction_is_one_way_only(before: float, after: float) -> None:
    pair = Answer(0, number=before), Answer(0, number=after)

    up, down = (fault_of(test, "binary", *pair) is None for test in (UP, DOWN))

    assert not (up and down)
    assert up == (after - before >= 0.1)
    assert down == (before - after >= 0.1)


@given(before=numbers, after=numbers, label=st.integers(0, 1), other=st.integers(0, 1))
def test_what_should_not_change_may_move_within_the_tolerance_and_keeps_its_label(
    before: float, after: float, label: int, other: int
) -> None:
    pair = Answer(label, number=before), Answer(other, number=after)
    assert (fault_of(SAME, "binary", *pair) is None) == (label == other)
    assert (fault_of(NEARLY, "binary", *pair) is None) == (label == other and abs(after - before) <= 0.1)


@pytest.mark.parametrize("test", [SAME, NEARLY, UP, asks("minimum_functionality", answer=1)])
@pytest.mark.parametrize("broken", [Answer(None, refused="too long"), Answer("maybe", is_label=False)])
def test_a_refused_instance_and_an_answer_that_is_no_label_fail(test: BehaviourTest, broken: Answer) -> None:
    assert fault_of(test, "binary", broken, Answer(1, number=0.9))


@pytest.mark.parametrize("test", [NEARLY, UP])
def test_an_answer_without_a_number_moves_nowhere(test: BehaviourTest) -> None:
    assert fault_of(test, "binary", Answer(1), Answer(1)) == "An answer has no number that could be compared."


def test_a_number_is_expected_between_its_bounds() -> None:
    test = asks("minimum_functionality", at_least=2, at_most=3)
    assert [fault_of(test, "regression", Answer(value), None) is None for value in (1.9, 2, 3.0, 3.1)] == [
        False,
        True,
        True,
        False,
    ]


def test_of_several_classes_the_probability_of_the_named_one_is_looked_at() -> None:
    test = asks("directional", direction="up", of="wasp")
    first, second = (Answer("bee", number=0.5, by_class={"wasp": value}) for value in (0.1, 0.2))
    assert fault_of(test, "multiclass", first, second) is None
    assert fault_of(test, "multiclass", second, first) == "It moved by -0.1."


def test_terms_take_each_others_place_as_words_in_their_case() -> None:
    pairs = [("he", "she"), ("his", "her"), ("him", "her"), ("leading man", "leading lady")]
    text = "He told her the theory: SHE, his leading man, saw him."
    assert swapped({"text": text, "year": 1999}, pairs) == {
        "text": "She told his the theory: HE, her leading lady, saw her.",
        "year": 1999,
    }


@given(st.text())
def test_two_words_that_change_places_twice_are_where_they_were(text: str) -> None:
    lower = {"text": text.lower().replace("a", " one two ")}
    assert swapped(swapped(lower, [("one", "two")]), [("one", "two")]) == lower
