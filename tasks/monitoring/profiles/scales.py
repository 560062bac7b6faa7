"""Set the scales by which columns are counted, from the rows of a reference."""

from collections.abc import Sequence
from typing import Any

import duckdb

from tasks.contracts import ColumnScale
from tasks.monitoring.profiles.columns import Followed
from tasks.stores.lake_sql import quote

BINS = 20
MOST_VALUES = 1000
"""So many values of a category are counted one by one. A column with more of them has no new ones: nearly
every window has."""


def set_scales(
    session: duckdb.DuckDBPyConnection, view: str, columns: Sequence[Followed]
) -> tuple[ColumnScale, ...]:
    """The scale of each column.

    Args:
        view: In `session`, the reference's rows, with the columns that `columns` are about.
    """
    return tuple(_scale(session, view, column) for column in columns)


def _scale(session: duckdb.DuckDBPyConnection, view: str, column: Followed) -> ColumnScale:
    return {"number": _number, "category": _category, "time": _time}[column.kind](session, view, column)


def _number(session: duckdb.DuckDBPyConnection, view: str, column: Followed) -> ColumnScale:
    inner = [step / BINS for step in range(1, BINS)]
    value = column.value
    quantiles, known, least, most, mean, deviation, few = _one(
        session,
        f"SELECT quantile_disc({value}, {inner}), approx_count_distinct({value}), "  # noqa: S608 - quoted
        f"min({value}), max({value}), avg({value}), stddev_pop({value}), "
        f"CASE WHEN approx_count_distinct({value}) <= {2 * BINS} THEN list_sort(list(DISTINCT {value})) END "
        f"FROM {quote(view)}",
    )
    discrete = [edge for edge in few or [] if edge is not None]
    # A number with few values has a bin for each, so that none hides in its neighbour's.
    edges = discrete[:-1] if 0 < len(discrete) <= BINS else sorted(set(quantiles or []))
    return ColumnScale(
        column=column.name,
        kind="number",
        edges=tuple(edges),
        known=known,
        minimum=least,
        maximum=most,
        mean=mean,
        deviation=deviation,
    )


def _category(session: duckdb.DuckDBPyConnection, view: str, column: Followed) -> ColumnScale:
    counted = f"SELECT {column.value} AS value, count(*) AS rows FROM {quote(view)} GROUP BY value"  # noqa: S608
    values, known = _one(
        session,
        "SELECT list(value ORDER BY rows DESC, value), count(*) "  # noqa: S608
        f"FROM ({counted}) WHERE value IS NOT NULL",
    )
    values = (values or [])[:MOST_VALUES]
    return ColumnScale(column=column.name, kind="category", values=tuple(values), known=known)


def _time(_session: duckdb.DuckDBPyConnection, _view: str, column: Followed) -> ColumnScale:
    return ColumnScale(column=column.name, kind="time")


def _one(session: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    row: tuple[Any, ...] = session.execute(sql).fetchall()[0]
    return row


def sources(columns: Sequence[Followed]) -> list[str]:
    """The columns of the rows that are read, quoted, each once."""
    return [quote(name) for name in dict.fromkeys(column.source for column in columns)]
