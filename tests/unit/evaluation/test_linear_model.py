"""The linear baseline learns from columns, categories and words, and gets the same answers each time."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tasks.evaluation import linear_model
from tasks.evaluation.answers import Target
from tasks.spec import ColumnType

TWO, THREE, NUMBER = Target("binary", (0, 1)), Target("multiclass", ("a", "b", "c")), Target("regression")
COLUMNS: dict[str, ColumnType] = {
    "place": "string",
    "text": "string",
    "code": "string",
    "size": "float64",
    "at": "timestamp",
    "on": "date",
    "express": "bool",
}
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def rows(count: int, seed: int = 0) -> dict[str, list[Any]]:
    rng = np.random.default_rng(seed)
    which = rng.integers(0, 3, count).tolist()
    return {
        "place": ["north" if kind else None for kind in which],
        "text": [f"number {row} {['awful', 'plain', 'lovely'][kind]}" for row, kind in enumerate(which)],
        "code": [f"{row}-{row * 7}" for row in range(count)],
        "size": [None if row % 9 == 0 else kind + 0.1 for row, kind in enumerate(which)],
        "at": [NOON + timedelta(days=kind) for kind in which],
        "on": [date(2026, 1, 1 + kind) for kind in which],
        "express": [kind == 2 for kind in which],
        "which": which,
    }


@pytest.mark.parametrize("only", [["text"], ["size", "at", "on"], ["place", "express"], [*COLUMNS]])
def test_it_learns_from_each_kind_of_column(only: list[str]) -> None:
    data, columns = rows(300), {name: COLUMNS[name] for name in only}
    train = pa.table(data).append_column("label", pa.array([int(kind > 0) for kind in data["which"]]))

    model = linear_model.fit(train.slice(0, 200), "label", columns, TWO)

    assert model is not None
    answers = list(model.answers(train.slice(200)))
    right = [
        said == truth for (said, _, _), truth in zip(answers, train["label"][200:].to_pylist(), strict=True)
    ]
    assert np.mean(right) > 0.95
    assert all(score is not None and 0 <= score <= 1 for _, score, _ in answers)
    again = linear_model.fit(train.slice(0, 200), "label", columns, TWO)
    assert again is not None
    assert list(again.answers(train.slice(200))) == answers


def test_it_has_a_probability_for_each_class_and_numbers_for_a_regression() -> None:
    data = rows(200)
    train = pa.table(data | {"kind": [["a", "b", "c"][kind] for kind in data["which"]]})
    several = linear_model.fit(train, "kind", COLUMNS, THREE)
    number = linear_model.fit(train, "which", COLUMNS, NUMBER)

    assert several is not None
    assert number is not None
    said, score, by_class = next(several.answers(train))
    assert by_class is not None
    assert (said, score) == (max(by_class, key=by_class.__getitem__), max(by_class.values()))
    assert sum(by_class.values()) == pytest.approx(1)
    errors = [
        value - truth for (value, _, _), truth in zip(number.answers(train), data["which"], strict=True)
    ]
    assert np.abs(errors).mean() < 0.3


def test_one_label_teaches_it_nothing_and_rows_without_one_are_left_out() -> None:
    data = rows(50)
    columns: dict[str, ColumnType] = {"size": "float64"}
    assert linear_model.fit(pa.table(data | {"label": [1] * 50}), "label", columns, TWO) is None
    assert linear_model.fit(pa.table(data | {"label": [None, 1] * 25}), "label", columns, TWO) is None


def test_it_takes_no_more_rows_than_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_model, "MOST_ROWS", 10)
    assert linear_model._spread(pa.table({"n": list(range(91))}))["n"].to_pylist() == list(range(0, 91, 10))
