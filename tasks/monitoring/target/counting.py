"""Count a window's predictions and their labels: the only place where its rows are read.

Numbers that are counted (`Tally.sums`), each over the rows that have it:

| name | of |
|---|---|
| `score` | the score |
| `confidence`, `doubt` | the probability p that the answer is right, by the score; and p (1 - p) |
| `labelled_confidence`, `labelled_doubt` | the same of labelled rows |
| `prediction`, `labelled_prediction`, `label`, `product` | a regression's numbers |
| `absolute_error`, `squared_error` | a regression's errors |
| `brier`, `log_loss` | a binary model's losses |
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pyarrow as pa

from tasks.contracts import ScoreBin, Sums, Tally
from tasks.spec import PipelineSpec, Task, bin_names
from tasks.spec.labels import declared_classes, label_text
from tasks.stores.lake import Lake
from tasks.stores.lake_sql import literal

BINS = 50
SMALLEST = 2.220446049250313e-16
"""A probability is not taken to be nearer to 0, as in the evaluation."""
MOST_GROUPS = 50
MISSING = "missing"

_CLASSES: dict[str, str] = {
    "score": "score",
    "confidence": "confidence",
    "doubt": "confidence * (1 - confidence)",
    "labelled_confidence": "CASE WHEN label IS NOT NULL THEN confidence END",
    "labelled_doubt": "CASE WHEN label IS NOT NULL THEN confidence * (1 - confidence) END",
}
_TWO: dict[str, str] = {
    **_CLASSES,
    "brier": "(chance - is_positive) ** 2",
    "log_loss": f"-ln(CASE is_positive WHEN 1 THEN greatest(chance, {SMALLEST}) "
    f"WHEN 0 THEN greatest(1 - chance, {SMALLEST}) END)",
}
_NUMBERS: dict[str, str] = {
    "prediction": "number",
    "labelled_prediction": "CASE WHEN truth IS NOT NULL THEN number END",
    "label": "CASE WHEN number IS NOT NULL THEN truth END",
    "product": "number * truth",
    "absolute_error": "abs(number - truth)",
    "squared_error": "(number - truth) ** 2",
}
NUMBERS_OF: Mapping[Task, Mapping[str, str]] = {
    "binary": _TWO,
    "multiclass": _CLASSES,
    "regression": _NUMBERS,
}


@dataclass(frozen=True)
class Group:
    """A column that the rows are divided by; `edges` where numbers are put into bins."""

    column: str
    edges: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Counted:
    """What was counted of all rows, by score, and by group."""

    every: Tally
    bins: tuple[ScoreBin, ...]
    groups: tuple[Tally, ...]
    not_numbers: int
    without_score: int


def count(lake: Lake, rows: pa.Table, task: Task, positive: str | None, groups: Sequence[Group]) -> Counted:
    """Count rows with the columns `prediction`, `label` (both JSON), `score`, and those of the groups."""
    asked = _Counting(lake, rows, task, positive)
    [every] = asked.tallies(None) or [Tally(rows=0)]
    return Counted(
        every=every,
        bins=asked.bins() if task == "binary" else (),
        groups=tuple(tally for group in groups for tally in asked.tallies(group)),
        not_numbers=asked.number_of(f"isnan({asked.answer}) OR isinf({asked.answer})"),
        without_score=asked.number_of("score IS NULL"),
    )


def positive_class(spec: PipelineSpec) -> str | None:
    """The text of a binary model's positive class."""
    classes = declared_classes(spec.serving.label_schema) or ()
    return label_text(classes[-1]) if spec.task == "binary" and classes else None


class _Counting:
    """Queries over the rows of one window.

    Attributes:
        answer: The column that has to be a number.
    """

    def __init__(self, lake: Lake, rows: pa.Table, task: Task, positive: str | None) -> None:
        self._lake = lake
        self._rows = rows
        self._numbers = NUMBERS_OF[task]
        self._with = _typed(task, positive)
        self.answer = "score" if task != "regression" else "raw"

    def tallies(self, group: Group | None) -> list[Tally]:
        """All rows in one, or one for each group, the largest first."""
        name = "''" if group is None else _group_name(group)
        sums = ", ".join(
            f"count({each}) FILTER (isfinite({each})), coalesce(sum({each}) FILTER (isfinite({each})), 0), "
            f"coalesce(sum(({each}) ** 2) FILTER (isfinite({each})), 0)"
            for each in self._numbers.values()
        )
        found = self._ask(
            f"SELECT {name} AS name, predicted, label, count(*) AS rows, {sums} FROM typed "  # noqa: S608
            "GROUP BY ALL ORDER BY name, predicted, label"
        )
        column = group.column if group else ""
        each = (self._tally(column, key, list(own)) for key, own in groupby(found, lambda row: row[0]))
        return sorted(each, key=lambda tally: -tally.rows)[:MOST_GROUPS]

    def _tally(self, column: str, value: str, found: list[Sequence[Any]]) -> Tally:
        labelled = [row for row in found if row[2] is not None]
        return Tally(
            column=column,
            value=value,
            rows=sum(row[3] for row in found),
            labelled=sum(row[3] for row in labelled),
            predicted=_by_class((row[1], row[3]) for row in found),
            labels=_by_class((row[2], row[3]) for row in labelled),
            answered=_by_class((row[1], row[3]) for row in labelled),
            right=_by_class((row[2], row[3]) for row in labelled if row[1] == row[2]),
            sums={
                name: Sums(
                    rows=sum(row[4 + 3 * place] for row in found),
                    total=sum(row[5 + 3 * place] for row in found),
                    squares=sum(row[6 + 3 * place] for row in found),
                )
                for place, name in enumerate(self._numbers)
            },
        )

    def bins(self) -> tuple[ScoreBin, ...]:
        found = self._ask(
            f"SELECT least(floor(chance * {BINS}), {BINS - 1})::INTEGER AS number, count(*), sum(chance), "  # noqa: S608
            "count(is_positive), coalesce(sum(is_positive), 0)::INTEGER, "
            "coalesce(sum(chance) FILTER (is_positive IS NOT NULL), 0) "
            "FROM typed WHERE chance IS NOT NULL GROUP BY 1 ORDER BY 1"
        )
        names = ("number", "rows", "score_sum", "labelled", "positive", "labelled_score_sum")
        return tuple(ScoreBin.model_validate(dict(zip(names, row, strict=True))) for row in found)

    def number_of(self, condition: str) -> int:
        [[found]] = self._ask(f"SELECT count(*) FILTER ({condition}) FROM typed")  # noqa: S608 - our own
        return int(found)

    def _ask(self, sql: str) -> list[list[Any]]:
        found = self._lake.query(f"{self._with} {sql}", {"logged": self._rows})
        columns = [found.column(place).to_pylist() for place in range(found.num_columns)]
        return [list(row) for row in zip(*columns, strict=True)]


def _typed(task: Task, positive: str | None) -> str:
    """The rows with typed columns. `predicted` and `label` are classes by their text; of a regression `label`
    only says whether there is one.
    """
    if task == "regression":
        return f"""
            WITH read AS (SELECT *, {_number("prediction")} AS raw, {_number("label")} AS said FROM logged),
            typed AS (SELECT * EXCLUDE (label), NULL AS predicted,
                CASE WHEN isfinite(raw) THEN raw END AS number,
                CASE WHEN isfinite(said) THEN said END AS truth,
                CASE WHEN isfinite(said) THEN '' END AS label FROM read)
        """  # noqa: S608 - parts of our own
    chance = "CASE WHEN isfinite(score) AND score BETWEEN 0 AND 1 THEN score END"
    right = literal(positive or "")
    sure = f"CASE WHEN predicted = {right} THEN chance ELSE 1 - chance END" if task == "binary" else "chance"
    return f"""
        WITH read AS (SELECT * EXCLUDE (label, prediction), {_class("prediction")} AS predicted,
            {_class("label")} AS label, {chance} AS chance FROM logged),
        typed AS (SELECT *, {sure} AS confidence,
            CASE WHEN label IS NOT NULL THEN (label = {right})::INTEGER END AS is_positive FROM read)
    """  # noqa: S608 - parts of our own


def _number(column: str) -> str:
    return f"TRY_CAST({column} AS DOUBLE)"


def _class(column: str) -> str:
    """The text of a class that is kept as JSON: 1.0 and 1 are the same one."""
    return (
        f"CASE WHEN {column} IS NULL OR NOT json_valid({column}) OR json_type({column}) = 'NULL' THEN NULL "
        f"WHEN TRY_CAST({column} AS DOUBLE) = TRY_CAST({column} AS BIGINT) "
        f"THEN TRY_CAST({column} AS BIGINT)::VARCHAR ELSE {column} ->> '$' END"
    )


def _group_name(group: Group) -> str:
    column = f'"group {group.column}"'
    if group.edges is None:
        return f"coalesce({column}::VARCHAR, '{MISSING}')"
    names = bin_names(group.edges)
    cases = " ".join(
        f"WHEN {column}::DOUBLE < {edge!r} THEN {literal(name)}"
        for edge, name in zip(group.edges, names, strict=False)
    )
    missing = f"{column} IS NULL OR isnan({column}::DOUBLE)"
    return f"CASE WHEN {missing} THEN '{MISSING}' {cases} ELSE {literal(names[-1])} END"


def _by_class(found: Iterable[tuple[str | None, int]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name, rows in found:
        if name is not None:
            counts[name] = counts.get(name, 0) + rows
    return counts
