"""Profile the rows of windows on the reference's scales, in one pass of DuckDB over each column."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import duckdb

from tasks.contracts import ColumnProfile, ColumnScale, WindowProfile
from tasks.monitoring.profiles.columns import Followed
from tasks.monitoring.profiles.scales import MOST_VALUES, sources
from tasks.stores.lake_sql import quote


def profile(
    session: duckdb.DuckDBPyConnection,
    view: str,
    columns: Sequence[Followed],
    scales: Sequence[ColumnScale],
    start: datetime,
    end: datetime,
) -> WindowProfile:
    """What is kept of the rows of the window [start, end).

    Args:
        view: In `session`, the window's rows, with the columns that `columns` are about.
        columns, scales: In the same order.
    """
    different = f"approx_count_distinct(hash({', '.join(sources(columns))}))" if columns else "0"
    whole = f"count(*), {different}"
    parts = [_counted(column, scale) for column, scale in zip(columns, scales, strict=True)]
    found = session.execute(f"SELECT {', '.join([whole, *parts])} FROM {quote(view)}").fetchall()[0]  # noqa: S608
    count, unlike, values = found[0], found[1], iter(found[2:])
    profiles = {}
    for column, scale in zip(columns, scales, strict=True):
        own = [next(values) for _ in range(WIDTHS[column.kind])]
        counts = _categories(session, view, column, scale) if column.kind == "category" else _bins(own, scale)
        profiles[scale.column] = _column(count, own, *counts)
    return WindowProfile(start=start, end=end, rows=count, different_rows=unlike, columns=profiles)


WIDTHS = {"number": 7, "category": 4, "time": 4}
"""So many values `_counted` asks for."""


def _counted(column: Followed, scale: ColumnScale) -> str:
    value = column.value
    common = f"count({value}), approx_count_distinct({value}), min({value})::VARCHAR, max({value})::VARCHAR"
    if column.kind != "number":
        return common
    edges = f"{list(scale.edges)}::DOUBLE[]"
    outside = (
        f"count(*) FILTER ({value} < {scale.minimum!r} OR {value} > {scale.maximum!r})"
        if scale.minimum is not None
        else f"count({value})"
    )
    return f"{common}, sum({value}), {outside}, histogram({value}, {edges})"


def _bins(own: list[Any], scale: ColumnScale) -> tuple[tuple[int, ...], int, float | None]:
    """The counts of a number's bins, and beyond them; none of a time."""
    if scale.kind == "time":
        return (), 0, None
    total, outside, histogram = own[4:]
    counted = dict(histogram or {})
    inside = [counted.pop(edge, 0) for edge in scale.edges]
    return (*inside, sum(counted.values())), outside, total


def _categories(
    session: duckdb.DuckDBPyConnection, view: str, column: Followed, scale: ColumnScale
) -> tuple[tuple[int, ...], int, None]:
    """The counts of the scale's values, and how many rows have another one."""
    counted = dict(
        session.execute(
            f"SELECT {column.value} AS value, count(*) FROM {quote(view)} "  # noqa: S608 - quoted
            "GROUP BY value HAVING value IS NOT NULL"
        ).fetchall()
    )
    inside = tuple(counted.pop(value, 0) for value in scale.values)
    return inside, 0 if scale.known > MOST_VALUES else sum(counted.values()), None


def _column(
    rows: int, own: list[Any], counts: tuple[int, ...], new: int, total: float | None
) -> ColumnProfile:
    filled, distinct, least, most = own[:4]
    return ColumnProfile(
        nulls=rows - filled,
        counts=counts,
        new=new,
        distinct=distinct,
        total=total,
        least=least,
        most=most,
    )
