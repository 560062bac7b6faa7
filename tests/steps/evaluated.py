"""Candidates of known quality, the rows that they answer, and the request that evaluates them."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.contracts import (
    Archive,
    Champion,
    EvaluateRequest,
    EvaluationReport,
    ModelVersion,
    StepContext,
)
from tasks.spec import GateSpec, PipelineSpec, Task
from tests.unit import judged
from tests.unit.judged import part

SPEC = judged.SPEC

HANDLER = """
class Handler:
    def initialize(self, context):
        pass

    def handle(self, data, context):
        return [self.answer(index, item["body"]["text"], context) for index, item in enumerate(data)]

    def answer(self, index, text, context):
        {body}
"""

# A text is `<label> <number>`: who reads the label is always right, and is made wrong on every so many
# numbers.
WRONG_EACH = """
        label, number = text.split()
        right = int(number) % {each} != 0
        said = int(label) if right else 1 - int(label)
        return {{"prediction": said, "score": 0.1 + 0.8 * said}}
"""


def rows(count: int, *, positive: float = 0.5, **columns: Any) -> pa.Table:
    labels = [int(number < count * positive) for number in range(count)]
    table = {
        "review_id": [f"r{number:05d}" for number in range(count)],
        "source": ["imdb" if number % 4 else "traffic" for number in range(count)],
        "text": [f"{label} {number}" for number, label in enumerate(labels)],
        "label": labels,
    }
    return pa.table(table | columns)


OF_NUMBERS = GateSpec(primary_metric="rmse", first_model_maximum={"rmse": 9}, margin=0.5, slice_margin=1)
KINDS = ("bee", "fly", "wasp")


def right(archives: Any, each: int) -> Archive:
    """An archive that is wrong on each so many-th row."""
    return archives(f"wrong_each_{each}", WRONG_EACH.format(each=each))  # type: ignore[no-any-return]


def version(archive: Archive) -> ModelVersion:
    return ModelVersion(
        model=SPEC.name, version="1", run_id=archive.run_id, archive=archive, decision_ledger_hash="", tags={}
    )


def request(
    home: Path, archive: Archive, test: pa.Table | None = None, spec: PipelineSpec = SPEC
) -> EvaluateRequest:
    train = part(home, "train", rows(200, positive=0.7))
    parts = {"train": train, "test": part(home, "test", rows(400) if test is None else test)}
    run = judged.run(run_id=archive.run_id, snapshot=judged.snapshot().model_copy(update=parts))
    context = StepContext(actor="evaluate", step_key="evaluate", work_url=str(home / "work"))
    champion = Champion(model=spec.name, version=None, serves=False)
    return EvaluateRequest(context=context, spec=spec, run=run, archive=archive, champion=champion)


def metric(report: EvaluationReport, role: str, name: str = "accuracy") -> float:
    return next(found.value for found in getattr(report, role).metrics if found.name == name)


def spec_of(task: Task, gate: GateSpec) -> PipelineSpec:
    kind, labels = {
        "binary": ("int64", {"type": "integer", "enum": [0, 1]}),
        "multiclass": ("string", {"type": "string", "enum": list(KINDS)}),
        "regression": ("float64", {"type": "number"}),
    }[task]
    document = SPEC.model_dump(mode="json") | {"task": task, "gate": gate.model_dump(exclude_unset=True)}
    document["data"]["columns"]["label"] = kind
    document["serving"]["label_schema"] = labels
    document["monitor"] |= {"slo": {}}  # what is promised of the accuracy is another thing for each task
    return PipelineSpec.model_validate(document)
