"""pipeline.yaml: what a clumsy hand does to it is said with the file and the field."""

import copy
import re
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.errors import InvalidProject
from tasks.spec import PipelineSpec, declared_classes, in_order, load_specs, read_specs
from tests.conftest import PROJECT

SHIPPED = PROJECT / "models" / "review_sentiment" / "pipeline.yaml"


@pytest.fixture
def document() -> dict[str, Any]:
    return yaml.safe_load(SHIPPED.read_text())


def written(folder: Path, document: Any, name: str = "review_sentiment") -> Path:
    path = folder / name / "pipeline.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return path


@pytest.mark.parametrize(
    "path", sorted(PROJECT.glob("models/*/pipeline.yaml")), ids=lambda path: path.parent.name
)
def test_every_shipped_specification_loads_and_survives_a_json_round_trip(path: Path) -> None:
    spec = PipelineSpec.load(path)

    assert PipelineSpec.model_validate_json(spec.model_dump_json()) == spec
    for schedule in (spec.training.schedule, spec.monitor.schedule):
        assert schedule
        assert re.fullmatch(r"\d+ \d+ \* \* \*", schedule), "trained and watched every day"


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        (("data", "key"), "no_such_column", "data: key 'no_such_column'"),
        (("data", "split", "test_share"), 1.5, "data.split.test_share"),
        (("data", "columns", "text"), "varchar", "data.columns.text"),
        (("data", "columns", "batch_id"), "string", "added by the lake"),
        (("data", "feature"), ["text"], "data.feature"),
        (("data", "features"), ["text", "mood"], "the features ['mood'] are not among the columns"),
        (("data", "label"), "stars", "the label 'stars' is not among the columns"),
        (
            ("serving", "label_schema"),
            {"type": "number"},
            "serving.label_schema lets a label be number, but data.columns.label is int64",
        ),
        (("serving", "label_schema"), {"type": ["integer", "string"]}, "lets a label be string"),
        (("serving", "label_schema"), {"type": "number", "enum": [0, 0.5]}, "lets a label be number"),
        (("data", "columns", "label"), "bool", "lets a label be integer, but data.columns.label is bool"),
        (("data", "columns", "text"), "int64", "text may be of type string, but the column text is int64"),
        (("gate", "margin"), -0.1, "gate.margin"),
        (("serving", "input_schema"), {"properties": {}}, "serving.input_schema"),
        (
            ("serving", "input_schema"),
            {"type": "array"},
            "serving.input_schema.type: an instance is an object",
        ),
        (
            ("serving", "input_schema", "required"),
            ["text", "stars"],
            "serving.input_schema.required: ['stars'] are not among data.features ['text']",
        ),
        (
            ("serving", "input_schema", "properties"),
            {"stars": {}},
            "the features ['text'] are not there, and additionalProperties is false",
        ),
        (
            ("serving", "input_example"),
            {"text": ""},
            "serving.input_example.text: breaks serving.input_schema",
        ),
        (("serving", "input_example"), {}, "serving.input_example: breaks serving.input_schema: 'text' is a"),
        (
            ("serving", "input_schema", "properties", "text"),
            {"type": "string", "pattern": "("},
            "serving.input_schema: this is not a JSON Schema: '(' is not a 'regex'",
        ),
        (("serving", "label_schema"), {"type": "string", "pattern": "["}, "'[' is not a 'regex'"),
        (
            ("serving", "input_schema", "properties", "text"),
            {"$ref": "https://example.org/text.json"},
            "serving.input_schema: cannot be applied to serving.input_example: ",
        ),
        (("serving", "input_schema", "$ref"), "#", "cannot be applied to serving.input_example: "),
        (("serving", "hander"), "h.py", "serving.hander: there is no such field; do you mean handler?"),
        (("data", "split", "bye"), "key", "data.split.bye: there is no such field; do you mean by?"),
        (("mood",), "good", "mood: there is no such field."),
        (("data", "suite"), "reviews.json", "data.suite: 'reviews.json' cannot be a name; use"),
        (("training", "trigger"), "data", "trigger is 'data', but schedule is '0 3 * * *'"),
        (("training",), {"trigger": "both"}, "trigger is 'both', but there is no schedule"),
        (("training", "minimum_new_rows"), 0, "training.minimum_new_rows"),
        (("training", "deadline_hours"), 0, "training.deadline_hours"),
        (("training", "deadline_hours"), 1000, "training.deadline_hours"),
        (("training", "timeout_seconds"), "soon", "training.timeout_seconds"),
        (("resources", "gpus"), "two", "resources.gpus"),
        (("name",), "Review Sentiment", "name"),
    ],
)
def test_a_wrong_field_is_named_with_its_file(
    tmp_path: Path, document: dict[str, Any], field: tuple[str, ...], value: Any, named: str
) -> None:
    part = document
    for step in field[:-1]:
        part = part[step]
    part[field[-1]] = value
    path = written(tmp_path, document)

    with pytest.raises(InvalidProject) as refused:
        PipelineSpec.load(path)

    assert str(path) in str(refused.value)
    assert named in str(refused.value)


@pytest.mark.parametrize(
    ("task", "schema", "kind"),
    [
        ("binary", {"type": ["integer", "null"], "minimum": 0, "maximum": 1}, "int64"),
        ("binary", {"type": "number", "enum": [0, 1.0, None]}, "int64"),
        ("binary", {"type": "boolean"}, "bool"),
        ("binary", {"type": "string", "enum": ["no", "yes"]}, "string"),
        ("multiclass", {"type": "string"}, "string"),
        ("multiclass", {"type": "integer", "enum": [1, 2, 3]}, "int64"),
        ("regression", {"type": "number"}, "float64"),
        ("regression", {"type": ["integer", "null"]}, "float64"),
        ("regression", {"type": "integer", "minimum": 0}, "int64"),
    ],
)
def test_labels_that_fit_the_task_and_their_column_are_accepted(
    tmp_path: Path, document: dict[str, Any], task: str, schema: dict[str, Any], kind: str
) -> None:
    document["task"] = task
    document["gate"] = {"margin": 1, "slice_margin": 1}
    document["monitor"] = {}
    document["serving"]["label_schema"] = schema
    document["data"]["columns"]["label"] = kind

    spec = PipelineSpec.load(written(tmp_path, document))

    assert spec.serving.label_schema == schema
    assert spec.gate.primary_metric == ("rmse" if task == "regression" else "accuracy")
    assert PipelineSpec.model_validate_json(spec.model_dump_json()) == spec


def test_a_field_that_is_missing_is_said_to_be(tmp_path: Path, document: dict[str, Any]) -> None:
    del document["data"]["query"]
    with pytest.raises(InvalidProject, match=r"data\.query: is missing\. Correct"):
        PipelineSpec.load(written(tmp_path, document))


def test_a_fault_that_ends_in_a_question_has_no_full_stop_behind_it(
    tmp_path: Path, document: dict[str, Any]
) -> None:
    document["data"]["minimum_row"] = 5
    with pytest.raises(InvalidProject, match=r"do you mean minimum_rows\? Correct these fields"):
        PipelineSpec.load(written(tmp_path, document))


def test_a_key_that_is_written_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    text = "version: 1\ndata:\n  suite: reviews\n  table: reviews\n  suite: critics\n"
    with pytest.raises(InvalidProject, match=r"(?s)line 5, column 3: 'suite' is there already in line 3"):
        PipelineSpec.load(written(tmp_path, text))


def test_mappings_may_share_their_keys_by_an_anchor(tmp_path: Path) -> None:
    shared = "&shared {type: integer}\n    other: {<<: *shared, type: string}"
    text = SHIPPED.read_text().replace("properties:\n", f"properties:\n      stars: {shared}\n", 1)
    text = text.replace("\n    other", "\n      other")
    spec = PipelineSpec.load(written(tmp_path, text))
    assert spec.serving.input_schema["properties"]["other"] == {"type": "string"}


def test_an_examples_numbers_have_their_columns_types(tmp_path: Path, document: dict[str, Any]) -> None:
    document["data"]["columns"] |= {"stars": "int64", "weight": "float64"}
    document["data"]["features"] += ["stars", "weight"]
    types = {"stars": {"type": ["integer", "null"]}, "weight": {"type": "number"}}
    document["serving"]["input_schema"]["properties"] |= types
    document["serving"]["input_example"] |= {"stars": 4.0, "weight": 2}
    example = PipelineSpec.load(written(tmp_path, document)).serving.input_example
    assert repr((example["stars"], example["weight"])) == "(4, 2.0)"


def test_what_a_column_holds_does_not_matter_where_no_labels_come_back(
    tmp_path: Path, document: dict[str, Any]
) -> None:
    document["serving"]["label_schema"] = {"type": "string", "enum": ["bad", "good"]}
    with pytest.raises(InvalidProject, match=r"lets a label be string, but data\.columns\.label is int64"):
        PipelineSpec.load(written(tmp_path, document))

    del document["data"]["feedback_query"]
    assert PipelineSpec.load(written(tmp_path, document)).data.feedback_query is None


@pytest.mark.parametrize(("content", "place"), [("- 1", "document"), ("data: reviews", "data")])
def test_where_fields_are_expected_something_else_is_told_so(
    tmp_path: Path, content: str, place: str
) -> None:
    with pytest.raises(InvalidProject, match=f"{place}: fields with their values are expected here"):
        PipelineSpec.load(written(tmp_path, content))


def test_an_empty_file_is_called_empty(tmp_path: Path) -> None:
    with pytest.raises(InvalidProject, match=r"is empty\. Describe the model in it"):
        PipelineSpec.load(written(tmp_path, ""))


@pytest.mark.parametrize("content", ["a: [", "- 1\n- 2", "\x00", "version: 1"])
def test_a_file_that_is_no_specification_is_refused_with_its_name(tmp_path: Path, content: str) -> None:
    path = written(tmp_path, content)

    with pytest.raises(InvalidProject, match=r"pipeline\.yaml"):
        PipelineSpec.load(path)


def test_a_specification_in_the_wrong_folder_is_refused(tmp_path: Path, document: dict[str, Any]) -> None:
    with pytest.raises(InvalidProject, match="the folder is 'other'"):
        PipelineSpec.load(written(tmp_path, document, name="other"))


def test_two_models_may_share_a_table_only_if_they_describe_it_alike(
    tmp_path: Path, document: dict[str, Any]
) -> None:
    written(tmp_path, document)
    written(tmp_path, {**document, "name": "twin"}, name="twin")
    assert len(load_specs(tmp_path)) == 2

    document["data"]["suite"] = "another"
    written(tmp_path, {**document, "name": "twin"}, name="twin")
    with pytest.raises(
        InvalidProject,
        match=r"models/review_sentiment and models/twin describe the table 'reviews' differently",
    ):
        load_specs(tmp_path)


LABELS = "serving.label_schema"
REGRESSION = {
    "task": "regression",
    "data.columns.label": "float64",
    LABELS: {"type": "number"},
    "gate": {"primary_metric": "rmse", "margin": 0.5, "slice_margin": 1, "maximum": {"mae": 20}},
}
MULTICLASS = {
    "task": "multiclass",
    "data.columns.label": "string",
    LABELS: {"type": "string", "enum": ["bad", "fair", "good"]},
    "gate": {"primary_metric": "macro_f1", "minimum": {"recall.bad": 0.3}, "maximum": {"log_loss": 1}},
}
YAML_WORDS = {"type": "string", "enum": [False, True]}


def changed(document: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    for path, value in changes.items():
        *folders, field = path.split(".")
        part = document
        for folder in folders:
            part = part[folder]
        part[field] = value
    return document


@pytest.mark.parametrize(
    ("task", "changes", "fault"),
    [
        ({}, {"gate.primary_metric": "rmse"}, "gate.primary_metric: rmse is not a metric of a binary task"),
        ({}, {"gate.minimum": {"macro_f1": 0.5}}, "gate.minimum: macro_f1 is not a metric of a binary task"),
        ({}, {"gate.minimum": {"log_loss": 0.5}}, "gate: minimum.log_loss: less log_loss is better; declare"),
        ({}, {"gate.first_model_maximum": {"f1": 0.5}}, "first_model_maximum.f1: more f1 is better; declare"),
        ({}, {"gate.minimum": {"accurcay": 0.5}}, "'accurcay' is none of the metrics accuracy, balanced_"),
        ({}, {LABELS: {"type": "integer"}}, "serving.label_schema: a binary task has two labels; name"),
        ({}, {LABELS: {"type": "integer", "enum": [0, 1, 2]}}, "a binary task has two labels"),
        ({}, {LABELS: {"type": "integer", "enum": [0, "one"]}}, "its labels are of several types"),
        ({}, {LABELS: {"type": "array", "enum": [[0], [1]]}}, "a label is a text, a number or a boolean"),
        (
            {},
            {LABELS: {"type": "interger"}},
            "label_schema: this is not a JSON Schema: 'interger' is not valid",
        ),
        ({}, {LABELS: YAML_WORDS}, "[False, True] are not of the type string; without quotes YAML reads yes"),
        (REGRESSION, {"gate": {"primary_metric": "rmse"}}, "gate.margin: a regression has to say it, in un"),
        (
            REGRESSION,
            {"gate": {"margin": 1}},
            "gate.slice_margin: a regression has to say it, in units of rm",
        ),
        (
            REGRESSION,
            {"gate.primary_metric": "accuracy"},
            "accuracy is not a metric of a regression task; it",
        ),
        (
            REGRESSION,
            {LABELS: {"type": "number", "enum": [1, 2]}},
            "is of type number or integer, without en",
        ),
        (
            REGRESSION,
            {LABELS: {"type": "string"}},
            "serving.label_schema: the label of a regression is of ty",
        ),
        (
            REGRESSION,
            {"data.columns.label": "string"},
            "data.columns.label: the label of a regression is a n",
        ),
        (
            MULTICLASS,
            {LABELS: {"type": "string", "enum": ["a", "b"]}},
            "has three labels or more; set task: b",
        ),
        (MULTICLASS, {LABELS: {"type": "number"}}, "of a multiclass task is of type string or integer; set "),
        (
            MULTICLASS,
            {"gate.minimum": {"recall.great": 0.5}},
            "recall.great is of no label; the labels are ba",
        ),
        (
            MULTICLASS,
            {"gate.primary_metric": "roc_auc"},
            "roc_auc is not a metric of a multiclass task; its ",
        ),
        (MULTICLASS, {"task": "ranking"}, "task: Input should be 'binary', 'multiclass' or 'regression'"),
    ],
)
def test_what_does_not_fit_the_task_is_refused_with_its_field(
    tmp_path: Path, document: dict[str, Any], task: dict[str, Any], changes: dict[str, Any], fault: str
) -> None:
    document = changed(changed(document, copy.deepcopy(task)), changes)

    with pytest.raises(InvalidProject, match=re.escape(fault)):
        PipelineSpec.load(written(tmp_path, document))


@pytest.mark.parametrize(
    ("schema", "classes"),
    [
        ({"type": "integer", "enum": [1, 0]}, (0, 1)),
        ({"type": "boolean"}, (False, True)),
        ({"type": "integer", "minimum": 1, "maximum": 5}, (1, 2, 3, 4, 5)),
        ({"type": "integer", "minimum": 0, "maximum": 10**9}, None),
        ({"type": "integer", "minimum": 0}, None),
        ({"type": "string"}, None),
    ],
)
def test_the_labels_that_a_schema_names(schema: dict[str, Any], classes: tuple[Any, ...] | None) -> None:
    assert declared_classes(schema) == classes


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([1, 0, 1], (0, 1)),
        ([True, False], (False, True)),
        (["no", "yes"], ("no", "yes")),
        ([1, "a", 2.5], (2.5, 1, "a")),
    ],
)
def test_labels_of_any_type_have_one_order(labels: list[object], classes: tuple[object, ...]) -> None:
    assert in_order(labels) == in_order(labels[::-1]) == classes


def test_a_model_may_join_tables_that_others_describe_alike(tmp_path: Path, document: dict[str, Any]) -> None:
    joined = {"table": "critics", "key": "critic", "columns": {"critic": "string"}, "suite": "critics"}
    document["data"] |= {"tables": [joined], "features": ["text", "critic"]}
    document["serving"]["input_schema"]["properties"]["critic"] = {}
    written(tmp_path, document)
    written(tmp_path, {**document, "name": "twin"}, name="twin")

    spec = load_specs(tmp_path)[0]
    assert [table.table for table in spec.data.all_tables] == ["reviews", "critics"]
    assert spec.data.feature_types == {"text": "string", "critic": "string"}

    other = {**document["data"], "tables": [{**joined, "columns": {"critic": "int64"}}]}
    written(tmp_path, {**document, "name": "twin", "data": other}, name="twin")
    with pytest.raises(InvalidProject, match="and models/twin describe the table 'critics' differently"):
        load_specs(tmp_path)


def test_a_table_is_described_once_by_a_model(tmp_path: Path, document: dict[str, Any]) -> None:
    twice = {name: document["data"][name] for name in ("table", "key", "columns", "suite")}
    document["data"]["tables"] = [twice]

    with pytest.raises(InvalidProject, match=r"the tables \['reviews'\] are described twice"):
        PipelineSpec.load(written(tmp_path, document))


A_DATE = date(2026, 1, 1)
LADDER = pairwise(["1", *(f"*{letter}" for letter in "abcdef")])


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        (
            "serving.input_schema.examples",
            [A_DATE],
            "serving.input_schema: this is not JSON: .*dates in quotes",
        ),
        ("serving.label_schema.enum", [A_DATE, 1], "serving.label_schema: this is not JSON"),
        ("serving.input_schema.patternProperties", {1: {}}, "serving.input_schema: .* each key .* a text"),
        ("serving.input_schema.maxProperties", float("inf"), "serving.input_schema: this is not JSON"),
        ("serving.input_example", {"text": A_DATE}, "serving.input_example: this is not JSON"),
        (
            "training.parameters",
            {"seed": {"examples": [A_DATE]}},
            "training.parameters.seed: this is not JSON",
        ),
        ("task", ["binary"], "task: Input should be 'binary', 'multiclass' or 'regression'"),
        ("task", {"binary": 1}, "task: Input should be 'binary', 'multiclass' or 'regression'"),
    ],
)
def test_a_value_that_yaml_knows_and_json_does_not_is_one_models_fault(
    tmp_path: Path, document: dict[str, Any], field: str, value: Any, said: str
) -> None:
    written(tmp_path, {**document, "name": "good"}, name="good")
    written(tmp_path, changed(copy.deepcopy(document), {field: value}))

    [good], [fault] = read_specs(tmp_path)

    assert good.name == "good"
    assert fault.evidence["model"] == "review_sentiment"
    assert re.search(rf"review_sentiment/pipeline\.yaml: {said}", str(fault))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("schedule: 2026-02-30", "this is no timestamp: day is out of range for month"),
        ("timeout_seconds: 0b_", "this is no int"),
        (f"timeout_seconds: {'9' * 5000}", "this is no int"),
        (f"timeout_seconds: 0x{'f' * 5000}", "this number is beyond 1.8e308"),
        ("retries: !!bool maybe", "this is no bool: 'maybe'; put it in quotes if it is a text"),
        (f"trigger: {'[' * 3000}{']' * 3000}", "more than 100 levels are nested here"),
        ("trigger: &a [*a]", "*a is within what it stands for"),
    ],
)
def test_what_yamls_own_reader_stumbles_over_is_one_models_fault_with_its_line(
    tmp_path: Path, document: dict[str, Any], line: str, said: str
) -> None:
    written(tmp_path, {**document, "name": "good"}, name="good")
    written(tmp_path, f"version: 1\ntraining:\n  {line}\n")

    [good], [fault] = read_specs(tmp_path)

    assert good.name == "good"
    assert "review_sentiment/pipeline.yaml: cannot be read: " in str(fault)
    assert said in str(fault)
    assert "line " in str(fault)


def test_aliases_may_repeat_a_value_but_not_without_end(tmp_path: Path) -> None:
    tenfold = "".join(f"{name[1:]}: &{name[1:]} [{', '.join([below] * 10)}]\n" for below, name in LADDER)
    with pytest.raises(InvalidProject, match="100 levels or 100000 values begin here"):
        PipelineSpec.load(written(tmp_path, tenfold))


def test_what_nobody_foresaw_is_one_models_fault(
    tmp_path: Path, document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, document)
    written(tmp_path, {**document, "name": "good"}, name="good")
    load = PipelineSpec.load
    surprising = {"review_sentiment": RuntimeError("a surprise")}

    def stumble(path: Path) -> PipelineSpec:
        if error := surprising.get(path.parent.name):
            raise error
        return load(path)

    monkeypatch.setattr(PipelineSpec, "load", stumble)
    [good], [fault] = read_specs(tmp_path)

    assert good.name == "good"
    assert fault.evidence["model"] == "review_sentiment"
    assert "review_sentiment: this model cannot be used" in str(fault)
    assert "RuntimeError: a surprise" in str(fault)
