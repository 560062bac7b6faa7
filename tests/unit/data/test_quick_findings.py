"""What is seen at a glance is what Great Expectations sees: it is asked about the same rows."""

import itertools
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from tasks.data.findings import Finding
from tasks.data.judge import Judge, judging
from tasks.data.quick_findings import find_quickly
from tasks.data.suites import Expectation, Suite

DAY = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS: dict[str, list[Any]] = {
    "whole": [1, 5, 9, None],
    "large": [2**53 + 1, 2**53, 1, 2],
    "real": [0.5, 1.5, 7.5, None],
    "not_all": [1.5, 2.5, float("nan"), 2.5],
    "text": ["ab", "cd", "ab", None],
    "lines": ["ab\n", "ab", "ab", "ab"],
    "letters": ["é", "é", "ß", "ab"],
    "digits": ["1", "\u0661", "\u09e8", None],
    "nothing": [None, None, None, None],
    "time": [DAY, DAY + timedelta(hours=1), None, DAY + timedelta(days=1)],
}
TYPES = {"nothing": pa.string(), "time": pa.timestamp("us", "UTC")}
ROWS = pa.table({name: pa.array(values, TYPES.get(name)) for name, values in COLUMNS.items()})
BOUNDS = ({"min_value": 1, "max_value": 9}, {"min_value": 1, "max_value": 9, "strict_max": True})
TIMES = (
    {"min_value": "2025-12-31T00:00:00+00:00", "max_value": "2026-01-03T00:00:00Z"},
    {"min_value": "2026-01-01T00:00:00+00:00", "max_value": "2026-01-03T00:00:00+00:00"},
    {"min_value": "2026-01-01T00:30:00+01:00", "max_value": "2026-01-02T00:00:00+00:00"},
    {"min_value": "2025-12-31", "max_value": "2026-01-03"},
)
REGEXES = (
    "^[a-z]{2}$",
    r"^\w+$",
    r"^\w",
    "(?i)^[A-Zßé]",
    r"^\d+$",
    "^.{1,2000}$",
    r"(?P<n>[a-z])b(?P=n)?",
    r"a\Z|b",
)
ASKED = [
    *(("not_be_null", name, {}) for name in ROWS.column_names),
    *(("be_between", name, bounds) for name in ("whole", "large", "real", "not_all") for bounds in BOUNDS),
    *(("be_between", "time", bounds) for bounds in TIMES),
    *(
        ("match_regex", name, {"regex": regex})
        for name in ("text", "lines", "letters", "digits", "nothing")
        for regex in REGEXES
    ),
    ("be_in_set", "whole", {"value_set": [1, 5, 9]}),
    ("be_in_set", "whole", {"value_set": [1, 5]}),
    ("be_in_set", "text", {"value_set": ["ab", "cd"]}),
]


def _expectation(kind: str, column: str, arguments: dict[str, Any]) -> Expectation:
    declared = {"column": column, **arguments}
    kind = f"expect_column_values_to_{kind}"
    return Expectation(kind, declared, "critical", (column,), judges_rows=True, scope="row")


def _slowly(judge: Judge, expectation: Expectation) -> Finding | None:
    """What Great Expectations finds; None where it cannot say."""
    from tasks.data import suite_run

    try:
        return judge.run._evaluate([expectation], suite_run.frame_of(ROWS))[0]
    except suite_run.CannotEvaluate:
        return None


def test_a_glance_says_what_great_expectations_says_or_nothing() -> None:
    seen = set()
    with judging(Suite("asked", "0" * 64, ())) as judge:
        for kind, column, arguments in ASKED:
            expectation = _expectation(kind, column, arguments)
            if quick := find_quickly(expectation, ROWS):
                slow = _slowly(judge, expectation)
                assert slow is not None, expectation.arguments
                assert (slow.met, slow.unexpected) == (True, 0), expectation.arguments
                assert (slow.rows, slow.judged) == (quick.rows, quick.judged), expectation.arguments
                seen.add((kind, column))
    assert {("not_be_null", "lines"), ("be_between", "whole"), ("be_between", "time")} <= seen
    assert {
        ("match_regex", "text"),
        ("match_regex", "letters"),
        ("match_regex", "digits"),
        ("be_in_set", "text"),
    } <= seen


def test_a_regular_expression_means_at_a_glance_and_asked_what_it_means_to_python() -> None:
    with judging(Suite("asked", "0" * 64, ())) as judge:
        for name, regex in itertools.product(("text", "lines", "letters", "digits"), REGEXES):
            texts = [text for text in COLUMNS[name] if text is not None]
            broken = [
                place for place, text in enumerate(COLUMNS[name]) if text and not re.search(regex, text)
            ]
            expectation = _expectation("match_regex", name, {"regex": regex})
            slow = _slowly(judge, expectation)
            assert slow is not None, regex
            assert (slow.broken.tolist(), slow.judged) == (broken, len(texts)), (name, regex)
            assert (find_quickly(expectation, ROWS) is None) == bool(broken), (name, regex)


def test_a_table_that_has_the_declared_columns_is_seen_at_a_glance() -> None:
    declared = {"column_set": list(reversed(ROWS.column_names))}
    whole, more, fewer = (
        Expectation("expect_table_columns_to_match_set", arguments, "critical", (), False, "layout")
        for arguments in (
            declared,
            {"column_set": [*declared["column_set"], "more"]},
            {"column_set": declared["column_set"][1:], "exact_match": False},
        )
    )

    with judging(Suite("asked", "0" * 64, ())) as judge:
        assert find_quickly(whole, ROWS) == _slowly(judge, whole)

    assert (find_quickly(more, ROWS), find_quickly(fewer, ROWS)) == (None, None)
