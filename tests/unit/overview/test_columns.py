"""Columns then and now: drawn is what the check kept, and what it did not keep is said."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts import ColumnShares
from tasks.overview.columns import BOTTOM, HEIGHT, LEFT, NAMES, NOT_KEPT, NOTHING, RIGHT, WIDTH, columns_of

shares = st.floats(0, 1)
SIGNAL = {"subject": "amount", "level": "suspicious", "why": "It has moved."}


def kept(**change: Any) -> dict[str, Any]:
    plain = ColumnShares(
        column="amount",
        kind="number",
        labels=("up to 3", "above 3"),
        shares=((0.75, 0.5), (0.25, 0.5)),
        missing=(0.0, 0.1),
        rows=(400, 1200),
    )
    return plain.model_copy(update=change).model_dump(mode="json")


def test_a_column_says_what_was_noticed_and_its_shares_then_and_now() -> None:
    alarm = SIGNAL | {"level": "alarm", "why": "It is off."}
    known = {"distributions": [kept(new=(0.0, 0.02))], "decision": {"signals": [SIGNAL, alarm]}}
    [column], why = columns_of(known)
    assert (why, column.level, column.tone, column.says) == (
        "",
        "alarm",
        "bad",
        ("It has moved.", "It is off."),
    )
    assert column.table == (("up to 3", "75 %", "50 %"), ("above 3", "25 %", "50 %"))
    assert column.facts == (
        ("Rows", "400", "1,200"),
        ("Missing", "0 %", "10 %"),
        ("Outside of the reference's range", "0 %", "2 %"),
    )
    assert [bar.then / bar.now for bar in column.bars] == pytest.approx([1.5, 0.5], rel=0.01)


def test_new_values_and_all_others_are_values_of_a_category_where_there_are_any() -> None:
    category = kept(
        kind="category", labels=("mail",), shares=((1.0, 0.9),), others=(0.0, 0.0), new=(0.0, 0.1)
    )
    [column], _ = columns_of({"distributions": [category]})
    assert [bar.label for bar in column.bars] == ["mail", "new values"]


def test_a_check_of_before_says_that_nothing_was_kept_and_one_without_rows_that_there_was_nothing() -> None:
    assert columns_of({"decision": {}}) == ((), NOT_KEPT)
    assert columns_of({"distributions": [{"column": "of another version"}]}) == ((), NOT_KEPT)
    assert columns_of({"distributions": []}) == ((), NOTHING)


@given(st.lists(st.tuples(shares, shares), min_size=1, max_size=21), st.booleans(), st.booleans())
def test_every_bar_is_within_its_drawing(
    pairs: list[tuple[float, float]], is_number: bool, to_scale: bool
) -> None:
    places = tuple(float(number**2) for number in range(len(pairs) + 1)) if to_scale else ()
    labels = tuple(f"value {number}" for number in range(len(pairs)))
    kind = "number" if is_number else "category"
    [column], _ = columns_of(
        {"distributions": [kept(kind=kind, labels=labels, shares=tuple(pairs), places=places)]}
    )
    assert len(column.bars) == len(pairs)
    for bar in column.bars:
        longest = HEIGHT - BOTTOM if is_number else WIDTH - RIGHT - NAMES
        assert min(bar.then, bar.now) >= 0
        assert max(bar.then, bar.now) <= longest
        end = (WIDTH - RIGHT) if is_number else column.height
        assert (LEFT if is_number else 0) <= bar.place
        assert bar.place + bar.width <= end + 0.1
