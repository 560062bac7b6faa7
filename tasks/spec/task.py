"""What a model's task asks of the other parts of pipeline.yaml; each fault as `field: what is wrong`."""

from collections.abc import Callable, Iterator
from typing import Any

from tasks.spec.data import DataSpec
from tasks.spec.gate import GateSpec
from tasks.spec.json_schema import JsonSchema
from tasks.spec.labels import declared_classes, label_text, types_of
from tasks.spec.metrics import RECALL_OF, Task, kind_of, metrics_of
from tasks.spec.serving import ServingSpec, types_beyond

NUMBERS = {"int64", "float64"}


def faults_of_metrics(task: Task, gate: GateSpec, serving: ServingSpec) -> Iterator[str]:
    """Metrics that the task does not have, or of classes that are no label."""
    named = [("primary_metric", gate.primary_metric)]
    named += [(field, name) for field, name, _ in gate.thresholds()]
    for field, name in named:
        if task not in kind_of(name).tasks:
            known = ", ".join(metrics_of(task))
            yield f"gate.{field}: {name} is not a metric of a {task} task; its metrics are {known}"
        elif name.startswith(RECALL_OF) and (classes := declared_classes(serving.label_schema)):
            labels = [label_text(label) for label in classes]
            if name.removeprefix(RECALL_OF) not in labels:
                yield f"gate.{field}: {name} is of no label; the labels are {', '.join(labels)}"


def faults_of_labels(task: Task, data: DataSpec, serving: ServingSpec) -> Iterator[str]:
    """Labels that the task cannot have."""
    schema = serving.label_schema
    types, values = types_of(schema), schema.get("enum", [])
    if any(isinstance(value, list | dict) for value in values):
        yield "serving.label_schema.enum: a label is a text, a number or a boolean"
        return
    if len({_type_of(value) for value in values if value is not None}) > 1:
        yield "serving.label_schema.enum: its labels are of several types; give all of them one"
        return
    if "boolean" not in types and any(isinstance(value, bool) for value in values):
        yield (
            f"serving.label_schema.enum: {values} are not of the type {' or '.join(sorted(types))}; without "
            "quotes YAML reads yes, no, on and off as true and false"
        )
        return
    yield from _FAULTS_OF_LABELS[task](data, schema)


def _type_of(value: Any) -> type:
    """A label's type; a whole number may be written as 1.0."""
    return int if isinstance(value, float) and value.is_integer() else type(value)


def _faults_of_numbers(data: DataSpec, schema: JsonSchema) -> Iterator[str]:
    if data.columns.get(data.label, "float64") not in NUMBERS:
        yield f"data.columns.{data.label}: the label of a regression is a number (int64 or float64)"
    if not types_of(schema) <= {"number", "integer"} or "enum" in schema:
        yield "serving.label_schema: the label of a regression is of type number or integer, without enum"


def _faults_of_two(_data: DataSpec, schema: JsonSchema) -> Iterator[str]:
    classes = declared_classes(schema)
    if classes is None or len(classes) != 2:
        yield (
            "serving.label_schema: a binary task has two labels; name them in `enum`, as type boolean, or as "
            "integers from minimum 0 to maximum 1, or set task: multiclass or task: regression"
        )


def _faults_of_several(_data: DataSpec, schema: JsonSchema) -> Iterator[str]:
    classes = declared_classes(schema)
    if classes is not None and len(classes) < 3:
        yield "serving.label_schema: a multiclass task has three labels or more; set task: binary for two"
    elif classes is None and not types_of(schema) <= {"string", "integer"}:
        yield (
            "serving.label_schema: the label of a multiclass task is of type string or integer; set task: "
            "regression for numbers"
        )


_FAULTS_OF_LABELS: dict[Task, Callable[[DataSpec, JsonSchema], Iterator[str]]] = {
    "binary": _faults_of_two,
    "multiclass": _faults_of_several,
    "regression": _faults_of_numbers,
}


def faults_of_label_column(data: DataSpec, serving: ServingSpec) -> Iterator[str]:
    """Labels that come back and that their column cannot hold."""
    if data.feedback_query is None:
        return
    kind = data.columns[data.label]
    if beyond := types_beyond(serving.label_schema, kind):
        yield (
            f"serving.label_schema lets a label be {', '.join(beyond)}, but data.columns.{data.label} is "
            f"{kind}, which cannot hold each of those. Narrow the schema, or change the column's type"
        )


def faults_of_margins(task: Task, gate: GateSpec, data: DataSpec) -> Iterator[str]:
    """A regression's margins have units, so that no default fits."""
    wanted = ["margin", *(["slice_margin"] if data.slice_by else [])] if task == "regression" else []
    for field in wanted:
        if field not in gate.model_fields_set:
            yield f"gate.{field}: a regression has to say it, in units of {gate.primary_metric}"
