"""What an archive is asked about, and that a word or a column that decides is found out."""

from collections.abc import Sequence

import pytest

from tasks.provenance.card.changes import (
    DRAWS,
    MOST_WORDS,
    Asked,
    NumberOf,
    by_columns,
    by_words,
    effects,
    importances,
    without,
    words_of,
)


def answered(asked: Sequence[Asked], number: object) -> NumberOf:
    numbers = [number(one.instance) for one in asked]  # type: ignore[operator]
    return lambda place, _: numbers[place]


def test_words_are_found_in_any_script_once_and_in_order() -> None:
    assert words_of("Good, GOOD film! Хорошее кино; 很好") == ["good", "film", "хорошее", "кино", "很好"]
    assert len(words_of(" ".join(map(str, range(500))))) == MOST_WORDS
    assert without("Good, good film", "good") == ", film"


def test_the_word_that_decides_is_the_surest_and_has_its_sign() -> None:
    rows = [{"text": f"film number n{row} was {'awful' if row % 2 else 'great'}"} for row in range(40)]
    asked = list(by_words(rows, "text"))
    number_of = answered(
        asked, lambda row: 0.5 + 0.4 * ("great" in row["text"]) - 0.4 * ("awful" in row["text"])
    )
    first, second, *others = importances(asked, number_of, signed=True)
    assert {first.name: round(first.change, 6), second.name: round(second.change, 6)} == {
        "great": 0.4,
        "awful": -0.4,
    }
    assert {one.name for one in others} == {"film", "number", "was"}, (
        "a word of one row says nothing of others"
    )
    assert all(one.low == one.change == one.high == 0 for one in others)
    assert effects(asked, number_of, 0, by_itself=False)[0].name == "great"


def test_a_text_is_never_asked_about_empty() -> None:
    assert [one.name for one in by_words([{"text": "good"}], "text")] == [None]


def test_the_column_that_decides_is_found_and_one_that_is_not_read_moves_nothing() -> None:
    rows = [{"read": row % 7, "unread": row % 5} for row in range(50)]
    asked = list(by_columns(rows, ("read", "unread"), alone=2))
    number_of = answered(asked, lambda row: float(row["read"]))
    first, second = importances(asked, number_of, signed=False)
    assert (first.name, second.name) == ("read", "unread")
    assert first.low > 0
    assert second.change == 0
    alone = effects(asked, number_of, 0, by_itself=True, values=rows[0])
    assert [(one.name, one.value) for one in alone] == [("read", "0"), ("unread", "0")]
    assert alone[0].change < 0, "others have more"
    assert len(asked) == 50 + 2 * 50 + 2 * 2 * DRAWS


@pytest.mark.parametrize("rows", [2, 3, 5, 9, 10, 11, 200])
def test_an_exchanged_value_is_always_another_rows(rows: int) -> None:
    table = [{name: f"{name}{row}" for name in "abcdefghijkl"} for row in range(rows)]
    for one in by_columns(table, "abcdefghijkl", alone=1):
        if one.name is not None and not one.by_itself:
            assert one.instance[one.name] != table[one.base][one.name]
        if one.by_itself and rows > DRAWS:
            assert one.instance[one.name or ""] != table[one.base][one.name or ""]


def test_refused_instances_count_for_nothing() -> None:
    rows = [{"text": f"good film n{row}"} for row in range(20)]
    asked = list(by_words(rows, "text"))
    assert importances(asked, lambda _place, _base: None, signed=True) == ()
