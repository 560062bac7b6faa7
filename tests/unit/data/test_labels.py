"""Labels that came back: what is of the column's type lands as it was sent, and nothing else does."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tasks.data.collect import feedback_table, prediction_table
from tasks.data.labels import land_labels
from tasks.settings import settings
from tasks.spec import ColumnType, PipelineSpec
from tasks.stores import files
from tasks.stores.lake import Lake
from tests.unit.reviews import DAY, SPEC, ingested, json_lines, land, review


def labelled_as(kind: ColumnType) -> PipelineSpec:
    """The shipped model with labels of a type."""
    columns = {**SPEC.data.columns, "label": kind}
    return SPEC.model_copy(update={"data": SPEC.data.model_copy(update={"columns": columns})})


def log(spec: PipelineSpec, labels: list[Any], first: int = 0, texts: list[str] | None = None) -> None:
    """Let each label have come back for a prediction."""
    predictions, feedback = [], []
    for number, label in enumerate(labels, start=first):
        at = (DAY + timedelta(minutes=number)).isoformat()
        key = {"sequence": number + 1, "prediction_id": f"p{number:03}"}
        text = texts[number - first] if texts else f"Film {number}."
        asked = {"features": {"text": text}, "prediction": 1, "score": 0.5}
        predictions.append({**key, **asked, "predicted_at": at, "model_version": "1", "run_id": "r"})
        feedback.append({**key, "label": label, "received_at": at})
    lake = Lake()
    for name, rows in (
        ("predictions", prediction_table(predictions, spec)),
        ("feedback", feedback_table(feedback)),
    ):
        lake.append(f"{spec.name}__{name}", rows, batch_id=f"{name}-{first}")


def landed(file: str | None) -> dict[str, Any]:
    """The label of each row of a landed file."""
    with files.at(str(file)).open("rb") as opened:
        return {row["review_id"]: row["label"] for row in pq.read_table(opened).to_pylist()}


def quarantined() -> dict[str, str]:
    """The reason for each label that was sent, as JSON."""
    rows = Lake().read("reviews__quarantine").to_pylist()
    return {json.dumps(json.loads(row["row"])["label"]): row["reason"] for row in rows}


@pytest.mark.parametrize(
    ("kind", "good", "misfits"),
    [
        ("int64", [0, 1, 1.0, -3, 2**53 + 1, None], [4.5, 0.5, "x", "1", True, [1], {"a": 1}, 2**63]),
        ("float64", [0.5, 1, -1e300, None], ["0.5", True, "x"]),
        ("bool", [True, False, None], ["yes", "true", 1, 0]),
        ("string", ["yes", "", "1", None], [1, True, ["yes"]]),
        ("date", ["2026-02-28", None], ["2026-02-30", "x", 20260228]),
    ],
)
def test_a_label_that_is_not_of_its_column_s_type_never_becomes_another_value(
    home: Path, kind: ColumnType, good: list[Any], misfits: list[Any]
) -> None:
    spec = labelled_as(kind)
    log(spec, [*good, *misfits])

    result = land_labels(Lake(), spec)

    assert (result.rows, result.quarantined) == (len(good), len(misfits))
    found = landed(result.file).values()
    assert [str(label) if kind == "date" and label else label for label in found] == good
    assert quarantined() == {
        json.dumps(label): f"The label {json.dumps(label)} is not of type {kind}." for label in misfits
    }


def test_bad_rows_of_collected_labels_keep_no_good_one_from_joining(home: Path) -> None:
    log(
        SPEC, [n % 2 for n in range(100)], texts=[f"Film {n}." if n % 10 < 7 else "10/10" for n in range(100)]
    )
    land_labels(Lake(), SPEC)
    result = ingested(home)
    assert (result.published_rows, result.quarantined_rows) == (70, 30)
    assert "expect_column_values_to_match_regex" in {
        row["expectation"] for row in Lake().read("reviews__quarantine").to_pylist()
    }


def test_the_same_rows_landed_by_hand_are_refused(home: Path) -> None:
    rows = [review(n, text=f"Film {n}." if n % 10 < 7 else "10/10") for n in range(100)]
    land(home, "a.jsonl", json_lines(rows))
    assert ingested(home).files[0].status == "refused"


def test_labels_of_which_none_fits_land_no_file_and_keep_no_later_one(home: Path) -> None:
    log(SPEC, ["x", "y"])
    assert land_labels(Lake(), SPEC) == (0, None, 2)
    assert land_labels(Lake(), SPEC) == (0, None, 0)
    log(SPEC, [1, "z"], first=2)
    result = land_labels(Lake(), SPEC)
    assert (result.rows, landed(result.file)) == (1, {"p002": 1})
    assert len(Lake().read("reviews__quarantine")) == 3
    assert not files.entries(files.at(settings().landing, "reviews", ".refused"))
