"""What a check keeps of its columns says what its profiles say, in little room."""

import json

import pytest

from tasks.contracts import Reference, Signal, WindowProfile
from tasks.monitoring.distributions import LETTERS, MOST_COLUMNS, distributions_of
from tests.unit.monitoring.page.world import COLUMN, DAY, START, reference, rows, window

MISSING = Signal(question="input", reason="nulls", subject=COLUMN, level="alarm", why="Many are missing.")


@pytest.fixture(scope="module")
def known() -> Reference:
    return reference(3)


def test_shares_then_and_now_are_those_of_the_rows(known: Reference) -> None:
    now = window(known, rows(400, 9, shift=2.0), START + DAY)
    amount, *_ = (each for each in distributions_of(known, now, ()) if each.column == "amount")
    own = now.columns["amount"]
    assert [pair[1] for pair in amount.shares] == pytest.approx(
        [count / 400 for count in own.counts], abs=1e-4
    )
    assert sum(pair[0] for pair in amount.shares) == pytest.approx(1, abs=2e-3)
    assert (amount.rows, amount.missing, len(amount.places)) == ((1200, 400), (0, 0), 21)
    assert amount.new == (0, pytest.approx(own.new / 400, abs=1e-4))


def test_what_was_noticed_comes_first_and_then_what_has_changed_the_most(known: Reference) -> None:
    now = window(known, rows(400, 9, shift=2.0, missing=0.1), START + DAY)
    assert [each.column for each in distributions_of(known, now, ())] == ["amount", COLUMN, "stars"]
    noticed = distributions_of(known, now, (MISSING,))
    assert [each.column for each in noticed] == [COLUMN, "amount", "stars"], "a time is not counted"
    assert noticed[0].missing == (0, pytest.approx(now.columns[COLUMN].nulls / 400))


def test_long_values_and_many_columns_stay_small(known: Reference) -> None:
    now = window(known, rows(400, 9), START + DAY)
    many = known.model_copy(
        update={
            "scales": tuple(
                scale.model_copy(update={"column": f"{scale.column} {number}"})
                for number in range(20)
                for scale in known.scales
            ),
            "whole": renamed(known.whole),
        }
    )
    kept = distributions_of(many, renamed(now), ())
    assert len(kept) == MOST_COLUMNS
    assert max(len(label) for each in kept for label in each.labels) <= LETTERS
    assert len(json.dumps([each.model_dump(mode="json") for each in kept])) < 20_000


def test_without_rows_there_is_nothing_to_keep(known: Reference) -> None:
    assert distributions_of(known, window(known, rows(0, 9), START + DAY), ()) == ()


def renamed(profile: WindowProfile) -> WindowProfile:
    columns = profile.columns
    more = {f"{name} {number}": own for number in range(20) for name, own in columns.items()}
    return profile.model_copy(update={"columns": more})
