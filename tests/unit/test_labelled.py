"""A label and a feature become training data as what they are, or not at all."""

from pathlib import Path
from typing import Any

import pytest

from tasks.data.labelled import labelled, not_landed, prepare
from tasks.spec import PipelineSpec
from tasks.stores.lake import Lake
from tests.unit.logged import Log
from tests.unit.reviews import SPEC


def spec_with(**columns: str) -> PipelineSpec:
    document = SPEC.model_dump()
    document["data"]["columns"] |= columns
    document["data"]["features"] = ["text", *(name for name in columns if name != "label")]
    document["data"]["feedback_query"] = "SELECT * FROM labelled -- all of it"
    return PipelineSpec.model_validate(document)


SEEN: dict[str, list[tuple[Any, Any]]] = {
    "int64": [(1, 1), (1.0, 1), (2**53 + 1, 2**53 + 1), (0.5, None), (4.5, None), ("1", None), (True, None)],
    "float64": [(4.5, 4.5), (4, 4.0), ("4.5", None)],
    "bool": [(True, True), ("yes", None), ("true", None), (1, None)],
    "string": [("x", "x"), (1, None)],
}
"""By the column's type: what was sent, and what it becomes."""


@pytest.mark.parametrize("kind", SEEN)
def test_what_is_not_of_the_columns_type_is_null_and_nothing_is_rounded(home: Path, kind: str) -> None:
    told, seen = zip(*SEEN[kind], strict=True)
    log = Log(Lake(), spec_with(label=kind))
    log.predict("first", text="Film.")
    # This feature came when the table was there already: it is read from the whole request.
    log.spec = spec_with(label=kind, later=kind)
    for number, value in enumerate(told):
        log.predict(f"p{number}", text="Film.", later=value)
        log.label(f"p{number}", value, by="shop")
    prepare(log.lake, log.spec)
    versions = (log.lake.latest(f"{SPEC.name}__{name}") for name in ("predictions", "feedback"))

    rows = labelled(log.lake, log.spec, not_landed(*versions)).to_pylist()

    for column in ("label", "later"):
        assert [row[column] for row in rows] == [*seen]
        assert [type(row[column]) for row in rows] == [type(value) for value in seen]
