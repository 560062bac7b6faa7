"""What is read without Great Expectations is what it makes of the same declaration."""

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.data.plain_expectations import FORMS, judges_rows
from tests.conftest import PROJECT

NUMBERS = st.one_of(st.none(), st.integers(), st.floats(), st.booleans())
TIMES = st.sampled_from(["2026-01-01", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00+01:00", "noon", ""])
VALUES = st.one_of(NUMBERS, TIMES)
ARGUMENTS = {
    "column": st.one_of(st.sampled_from(["a", "", 1]), st.none()),
    "mostly": st.one_of(st.floats(0, 1), st.floats(), st.integers(-1, 2), st.booleans(), st.text()),
    "min_value": VALUES,
    "max_value": VALUES,
    "strict_min": st.one_of(st.booleans(), st.text()),
    "strict_max": st.one_of(st.booleans(), st.none()),
    "value_set": st.one_of(st.lists(VALUES), st.lists(st.integers()), st.text()),
    "regex": st.one_of(st.sampled_from(["^a+$", "(", "", 1]), st.text()),
    "column_set": st.one_of(st.lists(st.sampled_from(["a", "b", "", 1])), st.none()),
    "exact_match": st.one_of(st.booleans(), st.text()),
    "other": st.integers(),
}
LIKELY: dict[str, dict[str, Any]] = {
    "expect_column_values_to_not_be_null": {"column": "a"},
    "expect_column_values_to_be_between": {"column": "a", "min_value": 0, "max_value": 1.5, "mostly": 0.9},
    "expect_column_value_lengths_to_be_between": {"column": "a", "min_value": 1},
    "expect_column_values_to_be_in_set": {"column": "a", "value_set": ["x"]},
    "expect_column_values_to_match_regex": {"column": "a", "regex": "^a"},
    "expect_table_columns_to_match_set": {"column_set": ["a", "b"]},
}


@settings(deadline=None)  # its first example imports Great Expectations
@given(st.data())
def test_what_is_accepted_here_great_expectations_accepts_and_says_the_same_of(data: st.DataObject) -> None:
    from tasks.data import made_expectations

    kind = data.draw(st.sampled_from(sorted(FORMS)))
    changed = data.draw(st.lists(st.sampled_from(sorted(ARGUMENTS)), max_size=2))
    arguments = LIKELY[kind] | {name: data.draw(ARGUMENTS[name], label=name) for name in changed}
    severity = data.draw(st.sampled_from(["critical", "warning", "info", "fatal", None]))

    plain = judges_rows(kind, arguments, severity)

    if plain is not None:
        assert made_expectations.judges_rows(kind, arguments, severity) is plain


@pytest.mark.parametrize("kind", FORMS)
def test_the_likely_form_is_plain(kind: str) -> None:
    assert judges_rows(kind, LIKELY[kind], "critical") is not None
    assert judges_rows(kind, LIKELY[kind] | {"row_condition": "a > 1"}, "critical") is None


def test_the_shipped_suites_and_a_clean_file_do_not_import_great_expectations() -> None:
    """It takes seconds, of every ingest, validation and drift check; SciPy one, which a drift check needs."""
    names = sorted(path.stem for path in (PROJECT / "great_expectations" / "expectations").glob("*.json"))
    program = f"""
import json, sys
from tasks.data.judge import judging
from tasks.data.suites import load_suite
import tasks.data.ingest, tasks.data.validate
for name in {names!r}:
    with judging(load_suite(name)):
        pass
found = [name for name in ("great_expectations", "scipy") if name in sys.modules]
import tasks.monitoring.drift
print(json.dumps([*found, *(name for name in ("great_expectations", "evidently") if name in sys.modules)]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout) == []
