"""A comparison that lives is left alone; one that the gateway and the ledger do not agree on is settled."""

import pytest

from tasks.contracts import Action, Comparison, SeenModel, TrafficSplit
from tasks.release.ab_under_way import comparison_under_way, split_of_comparison
from tasks.release.states import mismatch
from tests.unit.release.test_ab_compare import comparison
from tests.unit.release.test_states import Told


def compared(told: Told, after: str = "started") -> Comparison:
    one = comparison()
    told.add(Action.AB, "1", after, comparison_id=one.comparison_id, comparison=one.model_dump(mode="json"))
    return one


def serving() -> Told:
    told = Told()
    told.served("1", 1)
    return told


def with_split(told: Told, split: TrafficSplit | None) -> SeenModel:
    return told.seen("1", 1, "1").model_copy(update={"split": split})


def test_a_living_comparison_is_not_closed_as_one_that_nobody_follows_also_once_it_was_reported() -> None:
    told = serving()
    split = split_of_comparison(compared(told))
    assert mismatch(with_split(told, split)) is None
    compared(told, "reported")
    assert mismatch(with_split(told, split)) is None


def test_one_whose_start_was_killed_or_that_the_gateway_lost_is_carried_on() -> None:
    told = serving()
    compared(told)
    found = mismatch(with_split(told, None))
    assert found is not None
    assert (found.kind, found.entry is not None) == ("ab", True)
    assert "does not divide" in found.why


@pytest.mark.parametrize("after", ["stopped", "closed"])
def test_one_whose_end_was_killed_is_ended(after: str) -> None:
    told = serving()
    split = split_of_comparison(compared(told))
    compared(told, after)
    found = mismatch(with_split(told, split))
    assert found is not None
    assert (found.kind, found.entry) == ("ab", None)
    assert mismatch(with_split(told, None)) is None


@pytest.mark.parametrize("action", [Action.DEPLOY, Action.ROLLBACK, Action.WITHDRAW])
def test_a_change_of_what_serves_ends_it(action: Action) -> None:
    told = serving()
    compared(told)
    assert comparison_under_way(told.entries) is not None
    told.switch(action, "1", None if action == Action.WITHDRAW else "2", 1)
    assert comparison_under_way(told.entries) is None


def test_a_split_of_another_comparison_is_replaced_by_the_one_of_the_ledger() -> None:
    told = serving()
    other = split_of_comparison(compared(told)).model_copy(update={"release_id": "ab-m-2-other"})
    found = mismatch(with_split(told, other))
    assert found is not None
    assert found.kind == "ab"
