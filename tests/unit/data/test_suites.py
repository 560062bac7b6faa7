"""A suite is what its file says, all of it, or it is an error: nothing passes because nobody looked."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tasks.data.findings import Finding
from tasks.data.judge import judging
from tasks.data.suites import Suite, load_suite, load_suites
from tasks.errors import InvalidProject
from tasks.settings import settings
from tasks.spec import PipelineSpec
from tests.conftest import PROJECT

LABELS = {
    "type": "expect_column_values_to_be_in_set",
    "kwargs": {"column": "label", "value_set": [0, 1], "mostly": 0.5},
}
WRONG_REGEXES = ("(", "a)", "*", "[z-a]", "a{99999999999}", "(" * 3000 + ")" * 3000, 5, None)
ROWS = pa.table({"label": [0, 1, 2, 1], "text": ["a", None, "c", "d"]})


@pytest.fixture
def suites(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Great Expectations project without suites."""
    folder = home / "great_expectations"
    (folder / "expectations").mkdir(parents=True)
    configuration = PROJECT / "great_expectations" / "great_expectations.yml"
    (folder / "great_expectations.yml").write_text(configuration.read_text())
    monkeypatch.setenv("PERENNIAL_SUITES", str(folder))
    settings.cache_clear()
    return folder


def declare(suites: Path, *expectations: Any, **fields: Any) -> None:
    document = {"name": "checked", "expectations": list(expectations), **fields}
    (suites / "expectations" / "checked.json").write_text(json.dumps(document))


def matches(regex: Any, argument: str = "regex") -> dict[str, Any]:
    kind = f"expect_column_values_to_match_{argument}"
    return {"type": kind, "kwargs": {"column": "text", argument: regex}}


def columns_are(listed: Any) -> dict[str, Any]:
    return {"type": "expect_table_columns_to_match_set", "kwargs": {"column_set": listed}}


def content_of(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def evaluate(suite: Suite, rows: pa.Table = ROWS) -> list[Finding]:
    with judging(suite) as judge:
        return judge.evaluate(suite.expectations, rows)


@pytest.mark.parametrize(
    "path",
    sorted((PROJECT / "great_expectations" / "expectations").glob("*.json")),
    ids=lambda path: path.stem,
)
def test_every_shipped_suite_loads(path: Path) -> None:
    suite = load_suite(path.stem)
    assert suite.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(suite.expectations) == len(json.loads(path.read_text())["expectations"])


def test_each_expectation_says_which_rows_break_it(suites: Path) -> None:
    declare(
        suites,
        LABELS,
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "text"}},
        {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 5}},
    )

    labels, texts, count = evaluate(load_suite("checked"))

    assert (labels.met, labels.broken.tolist(), labels.judged, labels.samples) == (True, [2], 4, ("2",))
    assert (texts.met, texts.broken.tolist()) == (False, [1])
    assert (count.met, count.broken, count.observed) == (False, None, "Observed: 4.")


def test_a_run_rewrites_no_versioned_file(suites: Path) -> None:
    declare(
        suites,
        LABELS,
        {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "label", "max_value": 9}},
    )
    before = content_of(suites)
    evaluate(load_suite("checked"))
    assert content_of(suites) == before


@pytest.mark.parametrize(
    ("declared", "named"),
    [
        (
            {"type": "expect_column_values_to_be_in_sett", "kwargs": {"column": "label"}},
            "expect_column_values_to_be_in_sett",
        ),
        ({"type": LABELS["type"], "kwargs": {"column": "label", "valueset": [0, 1]}}, "valueset"),
        ({"type": LABELS["type"], "kwargs": {"column": "label", "value_set": [0, 1], "mostly": 8}}, "mostly"),
        ({"type": LABELS["type"], "kwargs": {"colum": "label", "value_set": [0, 1]}}, "colum"),
        ({**LABELS, "severity": "fatal"}, "fatal"),
        ({**LABELS, "kwarg": {}}, "kwarg"),
        *((matches(regex), "is no regular expression: ") for regex in WRONG_REGEXES),
        (matches(["a", "("], "regex_list"), "'(' is no regular expression: missing )"),
        (columns_are(None), "column_set must be a list of the names of columns, and is None"),
        (columns_are([["label"]]), "column_set must be a list of the names of columns"),
        ({"type": LABELS["type"]}, "kwargs"),
        ({"expectation_type": LABELS["type"], "kwargs": {}}, "expectation_type"),
        ({"type": None, "kwargs": {}}, "expectations"),
        ("expect_column_to_exist", "expectations"),
    ],
)
def test_a_wrong_expectation_is_named_with_its_place(suites: Path, declared: Any, named: str) -> None:
    declare(suites, LABELS, declared)
    with pytest.raises(InvalidProject, match=r"checked\.json: expectations\[1\]") as error:
        load_suite("checked")
    assert named in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"name": "checked", "expectations": []}', "at least one"),
        ('{"name": "checked"}', "at least one"),
        ('{"name": "checked", "expectations": {}}', "at least one"),
        ('{"name": "other", "expectations": [{}]}', "'other'"),
        ('{"expectation_suite_name": "checked", "expectations": [{}]}', "expectation_suite_name"),
        ('{"name": "checked", "expectations": [{}], "expectations": []}', "given twice"),
        ('{"name": "checked", "expectations": [', "cannot be read"),
        ("[" * 3000 + "]" * 3000, "more than 200 levels"),
        ("[]", "object"),
        ("null", "object"),
        ("", "cannot be read"),
        ("\xff", "cannot be read"),
    ],
)
def test_a_broken_suite_file_is_named_with_what_is_wrong(suites: Path, content: str, said: str) -> None:
    (suites / "expectations" / "checked.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(InvalidProject, match=r"checked\.json.*" + said):
        load_suite("checked")


def test_a_missing_suite_and_a_missing_configuration_are_named(suites: Path) -> None:
    with pytest.raises(InvalidProject, match=r"checked\.json"):
        load_suite("checked")
    declare(suites, LABELS)
    (suites / "great_expectations.yml").unlink()
    with pytest.raises(InvalidProject, match=r"great_expectations\.yml"):
        evaluate(load_suite("checked"))


def test_an_expectation_that_cannot_be_evaluated_is_an_error_not_a_verdict(suites: Path) -> None:
    declare(
        suites,
        LABELS,
        {"type": LABELS["type"], "kwargs": {"column": "nowhere", "value_set": [1], "mostly": 0.1}},
    )
    with pytest.raises(InvalidProject, match=r"could not be evaluated.*nowhere"):
        evaluate(load_suite("checked"))


def test_an_expectation_that_great_expectations_cannot_even_begin_with_is_named_among_others(
    suites: Path,
) -> None:
    weights = {"values": ["a", "c"], "weights": [0.5, 0.6]}
    kind = "expect_column_kl_divergence_to_be_less_than"
    declare(
        suites,
        {**LABELS, "severity": "warning"},
        {"type": kind, "kwargs": {"column": "text", "partition_object": weights, "threshold": 0.1}},
    )
    with pytest.raises(InvalidProject, match=f"The suite 'checked': {kind} .* could not be evaluated"):
        evaluate(load_suite("checked"))


def test_a_regular_expression_of_a_condition_is_python_s_too(suites: Path) -> None:
    condition = r"text.str.contains('^\w{1,2000}$')"
    declare(
        suites,
        {**LABELS, "kwargs": {**LABELS["kwargs"], "row_condition": condition, "condition_parser": "pandas"}},
    )
    (finding,) = evaluate(load_suite("checked"), pa.table({"label": [0, 2, 2], "text": ["é", "ß", "-"]}))
    assert finding.broken.tolist() == [1]


def test_an_argument_that_its_column_cannot_be_compared_with_is_an_error(suites: Path) -> None:
    declare(
        suites, {"type": "expect_column_values_to_be_between", "kwargs": {"column": "at", "min_value": 5}}
    )
    with pytest.raises(InvalidProject, match="could not be evaluated"):
        evaluate(load_suite("checked"), pa.table({"at": [datetime(2026, 1, 1, tzinfo=UTC)]}))


def test_an_expectation_that_is_declared_twice_is_not_counted_once(suites: Path) -> None:
    declare(suites, LABELS, LABELS)
    assert [finding.broken.tolist() for finding in evaluate(load_suite("checked"))] == [[2], [2]]


def test_more_broken_rows_than_great_expectations_shows_are_all_named(suites: Path) -> None:
    declare(suites, LABELS)
    (finding,) = evaluate(load_suite("checked"), pa.table({"label": [0, 5] * 3000}))
    assert len(finding.broken) == 3000
    assert finding.samples == ("5",)


def test_the_suites_of_joined_tables_speak_of_the_columns_that_a_models_own_table_lacks() -> None:
    data = PipelineSpec.load(PROJECT / "models" / "flight_minutes" / "pipeline.yaml").data

    suite = load_suites(data)

    assert suite.name == "flights + weather"
    about = [expectation.columns for expectation in suite.expectations]
    assert about.count(("wind_mph",)) == 2
    assert ("weather_id",) in about
    origins, own = (
        [(each.type, each.arguments) for each in some.expectations if each.columns == ("origin",)]
        for some in (suite, load_suite("flights"))
    )
    assert origins == own
    assert suite.sha256 != load_suite("flights").sha256
    alone = load_suites(data.model_copy(update={"tables": ()}))
    assert (alone.name, alone.sha256) == ("flights", load_suite("flights").sha256)
