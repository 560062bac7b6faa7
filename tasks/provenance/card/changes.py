"""Which rows an archive is asked about to learn what moves its answers, and what follows from the answers.

Of a text each word is left out in turn; of a table each column gets the values of other rows. Both are
changes of the request alone, so that they work for whatever the handler does inside.

Sources: Zeiler and Fergus, ECCV 2014 (occlusion); Breiman, Machine Learning 45:5 (2001), for importance by
permutation, with the change of the answers in the place of the error, which needs no labels.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev
from typing import Any

from tasks.contracts import Effect, Importance

Row = Mapping[str, Any]
NumberOf = Callable[[int, int], float | None]
"""The number of the answer to the instance at one place, as that of the answer to the instance at another is
meant; None where it was refused.
"""
WORD = re.compile(r"\w+")
MOST_WORDS = 40
"""Of one text; later ones are not left out."""
FEWEST_ROWS = 5
"""Fewer rows with a word, or with a column's value exchanged, say nothing of others."""
SHOWN, SHOWN_OF_ROW = 20, 10
DRAWS = 10
"""So many values of other rows stand in for one value of a row that is explained by itself."""
NORMAL = 1.96


@dataclass(frozen=True)
class Asked:
    """An instance, and what it is to be compared with.

    Attributes:
        base: The place of the row as it is, among all instances.
        name: The word that it lacks, or the column that was exchanged; None for the row as it is.
        by_itself: Whether it tells of its row alone, and not of all.
    """

    instance: Row
    base: int
    name: str | None = None
    by_itself: bool = False


def words_of(text: str) -> list[str]:
    """The different words of a text, in small letters, in the order in which they come."""
    return list(dict.fromkeys(word.group().casefold() for word in WORD.finditer(text)))[:MOST_WORDS]


def without(text: str, word: str) -> str:
    """The text without a word, wherever it stands."""
    return " ".join(WORD.sub(lambda one: "" if one.group().casefold() == word else one.group(), text).split())


def by_words(rows: Sequence[Row], column: str) -> Iterator[Asked]:
    """Each row as it is, and without each of its words; a text is never asked about empty."""
    place = 0
    for row in rows:
        base, left = place, [(word, without(str(row[column]), word)) for word in words_of(str(row[column]))]
        yield Asked(row, base)
        place += 1
        for word, text in left:
            if text:
                yield Asked({**row, column: text}, base, word)
                place += 1


def by_columns(rows: Sequence[Row], columns: Sequence[str], alone: int) -> Iterator[Asked]:
    """Each row as it is, then with each column's value of another row; the first `alone` rows with those of
    `DRAWS` others, too.
    """
    yield from (Asked(row, place) for place, row in enumerate(rows))
    for number, column in enumerate(columns):
        step = 1 + number % max(1, len(rows) - 1)
        for place, row in enumerate(rows):
            yield Asked({**row, column: rows[(place + step) % len(rows)][column]}, place, column)
    for place, row in enumerate(rows[:alone]):
        for column in columns:
            for draw in range(DRAWS):
                other = rows[(place + 1 + draw * max(1, len(rows) // DRAWS)) % len(rows)]
                yield Asked({**row, column: other[column]}, place, column, by_itself=True)


def importances(asked: Sequence[Asked], number_of: NumberOf, *, signed: bool) -> tuple[Importance, ...]:
    """The mean change by each name, the surest first.

    Args:
        signed: Whether changes keep their sign.
    """
    changes: dict[str, list[float]] = defaultdict(list)
    for place, one in enumerate(asked):
        if one.name is not None and not one.by_itself:
            change = _change(place, one, number_of)
            if change is not None:
                changes[one.name].append(change if signed else abs(change))
    found = [_importance(name, each) for name, each in changes.items() if len(each) >= FEWEST_ROWS]
    return tuple(sorted(found, key=lambda one: (-_surely(one), -abs(one.change), one.name))[:SHOWN])


def effects(
    asked: Sequence[Asked], number_of: NumberOf, base: int, *, by_itself: bool, values: Row | None = None
) -> tuple[Effect, ...]:
    """What moved one row's answer, the strongest first.

    Args:
        base: The place of the row as it is.
        by_itself: Which of the instances tell of it.
        values: What the row has in each column; None where names are words.
    """
    changes: dict[str, list[float]] = defaultdict(list)
    for place, one in enumerate(asked):
        if one.base == base and one.name is not None and one.by_itself == by_itself:
            change = _change(place, one, number_of)
            if change is not None:
                changes[one.name].append(change)
    told = [
        Effect(name=name, value=None if values is None else str(values[name]), change=fmean(each))
        for name, each in changes.items()
    ]
    return tuple(sorted(told, key=lambda one: (-abs(one.change), one.name))[:SHOWN_OF_ROW])


def _change(place: int, one: Asked, number_of: NumberOf) -> float | None:
    before, after = number_of(one.base, one.base), number_of(place, one.base)
    return None if before is None or after is None else before - after


def _importance(name: str, changes: Sequence[float]) -> Importance:
    mean = fmean(changes)
    reach = NORMAL * stdev(changes) / sqrt(len(changes))
    return Importance(name=name, change=mean, low=mean - reach, high=mean + reach, rows=len(changes))


def _surely(one: Importance) -> float:
    """How far the interval is from 0; 0 where it holds it."""
    return max(one.low, -one.high, 0.0)
