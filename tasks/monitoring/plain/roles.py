"""How each column of a file is compared, or why it is not.

Some columns differ between any two files by nature and say nothing about drift: times and the calendar, ids,
what only runs on with the rows, what stays the same for long (an interest rate in a file of calls), and
prices that are set by decree.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from tasks.spec import ColumnType

Role = Literal["number", "money", "category", "text"]

TEXT_WORDS = 3.0
CODES = 12
"""Whole numbers of at most so many different values, on both sides together, are codes: 1, 2, 3 for the kind
of payment. More are counts or degrees, of which the next month has others, unless the name is that of a key.
"""
MOST_CATEGORIES = 1000
MOST_TARIFFS = 60
SAME_FOR_LONG = 0.15
"""So many times fewer changes from row to row than in a random order: the rows of a day share the value."""
FEWEST_CHANGES = 10
RUNS_ON = 0.98
"""Rank correlation with the order of the rows."""
LOOKED_AT = 2000
"""Texts whose words are counted."""

CALENDAR = re.compile(
    r"(^|_)(year|yr|month|mnth|mon|day|dayofweek|weekday|week|quarter|season|hour|hr|minute|doy|dow|holiday|workingday"
    r"|period|date|datetime|time|timestamp)s?($|_)",
    re.IGNORECASE,
)
WORD = r"\S+"
PERIOD = r"^\d{4}[-/]?(0[1-9]|1[0-2]|Q[1-4]|W\d\d)([-/](0[1-9]|[12]\d|3[01]))?$"
KEY = re.compile(r"(^|_)(id|key|uuid|guid|no|nr|number|index|row)$", re.IGNORECASE)
MONEY = re.compile(
    r"(^|_)(price|fare|fares|tip|tips|toll|tolls|tax|fee|fees|cost|costs|charge|surcharge|extra|extras|total"
    r"|rent|wage|salary|usd|eur|gbp|dollars|euros)(_|$)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Roles:
    """The columns by what is done with them.

    Attributes:
        compared: How each column is compared.
        left_out: Why the others are not: a part of a sentence that begins with the column.
    """

    compared: dict[str, Role]
    left_out: dict[str, str]


def roles_of(reference: pd.DataFrame, current: pd.DataFrame, kinds: Mapping[str, ColumnType]) -> Roles:
    """The role of each column that both files have.

    Args:
        reference: Rows in the order in which they happened, as far as that is known.
        kinds: The types that read the values of both.
    """
    compared: dict[str, Role] = {}
    left_out: dict[str, str] = {}
    for name, kind in kinds.items():
        own, other = reference[name].dropna(), current[name].dropna()
        reason = _left_out_because(name, kind, own, other)
        if reason:
            left_out[name] = reason
        else:
            compared[name] = _role(name, kind, own, other)
    return Roles(compared, left_out)


def _left_out_because(  # noqa: PLR0911 - a list of reasons, the first of which counts
    name: str, kind: ColumnType, own: pd.Series, other: pd.Series
) -> str | None:
    if kind in {"timestamp", "date"}:
        return "is a time, which always moves on"
    if not len(own):
        return "has no value in the reference" + (", and has some now" if len(other) else "")
    if is_calendar(name, own):
        return "is a part of the calendar, which always moves on"
    if is_id(name, kind, own):
        return "identifies rows"
    different = own.nunique()
    if different == 1:
        now = other.nunique()
        if now == 1 and _text(other.iloc[0]) == _text(own.iloc[0]):
            return "has one and the same value throughout"
        return (
            f"is {_shown(own.iloc[0])} in all of the reference, so that no model can have learnt from it"
            + (
                f", and {_shown(other.iloc[0])} now"
                if now == 1
                else ", and has other values now"
                if now
                else ""
            )
        )
    if kind in {"int64", "float64"} and (
        _stays(own) or (len(other) and _stays(other) and other.nunique() > 1)
    ):
        return "stays the same for many rows in a row, so that any two files differ in it"
    if kind in {"int64", "float64"} and _runs_on(own):
        return "runs on with the rows"
    if MONEY.search(name) and different <= MOST_TARIFFS and kind in {"int64", "float64"}:
        return "is a tariff of few amounts, which changes by decree"
    return None


def _role(name: str, kind: ColumnType, own: pd.Series, other: pd.Series) -> Role:
    if kind == "string":
        words = own.iloc[:LOOKED_AT].astype(str).str.count(WORD)
        return "text" if words.mean() > TEXT_WORDS else "category"
    whole = kind in {"int64", "float64"} and bool((own % 1 == 0).all())  # floats, where a file had gaps
    if kind == "bool" or (whole and len(set(own.unique()) | set(other.unique())) <= CODES):
        return "category"
    if whole and KEY.search(name) and own.nunique() <= MOST_CATEGORIES:
        return "category"
    return "money" if MONEY.search(name) else "number"


def is_calendar(name: str, values: pd.Series) -> bool:
    """Whether a column is named for a part of the calendar and has few values, or holds months as text."""
    if pd.api.types.is_numeric_dtype(values):
        return bool(CALENDAR.search(name)) and values.nunique() <= 366 and bool((values % 1 == 0).all())
    texts = values.astype(str)
    named = CALENDAR.search(name) is not None and texts.nunique() <= 366
    return named or bool(texts.str.fullmatch(PERIOD).mean() > 0.95)


def is_id(name: str, kind: ColumnType, values: pd.Series) -> bool:
    """Whether a column identifies things: nearly all values differ, or many do and it is called so."""
    different = values.nunique()
    if kind == "string":
        prose = bool(values.astype(str).str.count(WORD).mean() > TEXT_WORDS)
        many = different > 0.5 * len(values) and different > 20
        return not prose and (many or (bool(KEY.search(name)) and different > MOST_CATEGORIES / 5))
    if kind != "int64" or different < 0.95 * len(values) or len(values) < 3:
        return False
    return bool(KEY.search(name)) or different == len(values) > 100


def _stays(values: pd.Series) -> bool:
    """Whether the values change from row to row much less often than in a random order."""
    codes = pd.factorize(values)[0]
    shares = np.bincount(codes) / len(codes)
    expected = len(codes) * (1 - float((shares**2).sum()))
    changes = int((np.diff(codes) != 0).sum())
    return expected >= FEWEST_CHANGES and changes < SAME_FOR_LONG * expected


def _runs_on(values: pd.Series) -> bool:
    if len(values) < 30:
        return False
    found = stats.spearmanr(np.arange(len(values)), values.to_numpy(dtype=float)).statistic
    return bool(abs(found) > RUNS_ON)


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _shown(value: object) -> str:
    return _text(value)[:40]
