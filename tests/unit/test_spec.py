"""pipeline.yaml: what a clumsy hand does to it is said with the file and the field."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.errors import InvalidProject
from tasks.spec import PipelineSpec, load_specs
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


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        (("data", "key"), "no_such_column", "data: Value error, key 'no_such_column'"),
        (("data", "split", "test_share"), 1.5, "data.split.test_share"),
        (("data", "columns", "text"), "varchar", "data.columns.text"),
        (("data", "columns", "batch_id"), "string", "added by the lake"),
        (("data", "feature"), ["text"], "data.feature"),
        (("data", "features"), ["text", "mood"], "the features ['mood'] are not among the columns"),
        (("data", "label"), "stars", "the label 'stars' is not among the columns"),
        (("gate", "margin"), -0.1, "gate.margin"),
        (("serving", "input_schema"), {"properties": {}}, "serving.input_schema"),
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


@pytest.mark.parametrize("content", ["", "a: [", "- 1\n- 2", "\x00", "version: 1"])
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


@pytest.mark.parametrize(
    ("task", "changes", "fault"),
    [
        (
            "regression",
            {"label_schema": {"type": "string"}},
            "serving.label_schema: the label of a regression is of type number",
        ),
        ("regression", {"gate": {"primary_metric": "rmse"}}, "gate.margin: a regression has to say it"),
        (
            "regression",
            {"gate": {"primary_metric": "accuracy"}},
            "accuracy is not a metric of a regression task",
        ),
        (
            "multiclass",
            {"gate": {"primary_metric": "roc_auc"}},
            "roc_auc is not a metric of a multiclass task",
        ),
        ("multiclass", {}, "a multiclass task has three labels or more"),
        ("binary", {"label_schema": {"type": "integer"}}, "a binary task has two labels"),
        (
            "binary",
            {"gate": {"minimum": {"log_loss": 0.5}}},
            "less log_loss is better; declare it in maximum",
        ),
        (
            "binary",
            {"gate": {"primary_metric": "recall"}},
            "a model that says yes to every row is perfect in recall; compare by f1",
        ),
        ("ranking", {}, "task: Input should be 'binary', 'multiclass' or 'regression'"),
    ],
)
def test_a_task_that_the_other_parts_do_not_fit_is_refused_by_field(
    tmp_path: Path, task: str, changes: dict[str, Any], fault: str
) -> None:
    text = (PROJECT / "models" / "flight_delay" / "pipeline.yaml").read_text(encoding="utf-8")
    document = yaml.safe_load(text) | {"task": task, "gate": changes.get("gate", {})}
    document["serving"] |= {"label_schema": changes.get("label_schema", document["serving"]["label_schema"])}
    (tmp_path / "flight_delay").mkdir()
    (tmp_path / "flight_delay" / "pipeline.yaml").write_text(yaml.safe_dump(document))

    with pytest.raises(InvalidProject, match=re.escape(fault)):
        PipelineSpec.load(tmp_path / "flight_delay" / "pipeline.yaml")


def test_a_regression_is_compared_by_its_error_where_nothing_is_said(tmp_path: Path) -> None:
    text = (PROJECT / "models" / "flight_delay" / "pipeline.yaml").read_text(encoding="utf-8")
    document = yaml.safe_load(text) | {"task": "regression", "gate": {"margin": 1, "slice_margin": 2}}
    document["serving"]["label_schema"] = {"type": "number"}

    assert PipelineSpec.model_validate(document).gate.primary_metric == "rmse"
