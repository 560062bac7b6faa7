"""What a model's task asks of the other parts of pipeline.yaml; each fault as `field: what is wrong`."""

from collections.abc import Iterator

from tasks.spec.data import DataSpec
from tasks.spec.gate import GateSpec
from tasks.spec.metrics import METRICS, Task, metrics_of
from tasks.spec.serving import ServingSpec

NUMBERS = {"int64", "float64"}
ONE_SIDED = {"recall": "says yes to every row", "precision": "says yes to the surest row alone"}
"""Metrics in which a useless model can be perfect: thresholds may name them, nothing is compared by them."""


def faults_of_metrics(task: Task, gate: GateSpec) -> Iterator[str]:
    """Metrics that the task does not have, or that nothing can be compared by."""
    if how := ONE_SIDED.get(gate.primary_metric):
        yield (
            f"gate.primary_metric: a model that {how} is perfect in {gate.primary_metric}; compare by f1, "
            f"roc_auc or average_precision, and ask for {gate.primary_metric} in gate.minimum"
        )
    named = [("primary_metric", gate.primary_metric)]
    named += [(field, name) for field, name, _ in gate.thresholds()]
    for field, name in named:
        if task not in METRICS[name].tasks:
            known = ", ".join(metrics_of(task))
            yield f"gate.{field}: {name} is not a metric of a {task} task; its metrics are {known}"


def faults_of_labels(task: Task, data: DataSpec, serving: ServingSpec) -> Iterator[str]:
    """Labels that the task cannot have."""
    schema = serving.label_schema
    values = schema.get("enum")
    if task == "regression":
        if data.columns.get(data.label, "float64") not in NUMBERS:
            yield f"data.columns.{data.label}: the label of a regression is a number (int64 or float64)"
        if schema["type"] not in {"number", "integer"}:
            yield "serving.label_schema: the label of a regression is of type number or integer"
    elif task == "binary" and schema["type"] != "boolean" and (values is None or len(values) != 2):
        yield (
            "serving.label_schema: a binary task has two labels; name them in `enum`, or set task: multiclass"
        )
    elif task == "multiclass" and values is not None and len(values) < 3:
        yield "serving.label_schema: a multiclass task has three labels or more; set task: binary for two"


def faults_of_margins(gate: GateSpec, data: DataSpec) -> Iterator[str]:
    """A regression's margins have units, so that no default fits."""
    wanted = ["margin", *(["slice_margin"] if data.slice_by else [])]
    for field in wanted:
        if field not in gate.model_fields_set:
            yield f"gate.{field}: a regression has to say it, in units of {gate.primary_metric}"
