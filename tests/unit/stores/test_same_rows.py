"""Rows of two tables are the same where key and values are, whatever else the tables have."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.stores.same_rows import same_rows

values = st.fixed_dictionaries(
    {
        "label": st.sampled_from([0, 1]),
        "text": st.sampled_from([None, "a", "b"]),
        "number": st.sampled_from([None, 0.5, float("nan")]),
        "pixels": st.sampled_from([None, [1, 2], [1, 3]]),
    }
)
tables = st.dictionaries(st.integers(0, 5), values, max_size=5)
SCHEMA = pa.schema(
    {
        "id": pa.int64(),
        "label": pa.int64(),
        "text": pa.string(),
        "number": pa.float64(),
        "pixels": pa.list_(pa.int64()),
    }
)


def table(rows: dict[int, dict[str, object]]) -> pa.Table:
    return pa.Table.from_pylist([{"id": key, **rows[key]} for key in sorted(rows)], SCHEMA)


@given(tables, tables)
def test_a_row_is_the_same_where_every_value_is(
    own: dict[int, dict[str, object]], others: dict[int, dict[str, object]]
) -> None:
    """Two NaN are the same, and so are a NaN and no number: neither says anything."""

    def said(row: dict[str, object]) -> dict[str, object]:
        return {name: None if value != value else value for name, value in row.items()}

    expected = [key in others and said(own[key]) == said(others[key]) for key in sorted(own)]
    assert same_rows(table(own), table(others), "id", ("label",)).tolist() == expected


def test_a_column_that_only_one_has_is_not_compared_unless_it_is_needed() -> None:
    rows = pa.table({"id": [1, 2], "label": [0, 1], "text": ["a", "b"]})
    older = rows.drop_columns("text")

    assert same_rows(rows, older, "id", ("label",)).tolist() == [True, True]
    assert same_rows(rows, older, "id", ("text",)).tolist() == [False, False]


@pytest.mark.parametrize("column", ["id", "label"])
def test_a_value_of_another_type_is_another_value(column: str) -> None:
    rows = pa.table({"id": [1, 2], "label": [0, 1]})
    others = rows.set_column(rows.column_names.index(column), column, pa.array(["1", "2"]))

    assert not np.any(same_rows(rows, others, "id", ("label",)))
