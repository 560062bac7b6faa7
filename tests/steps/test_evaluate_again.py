"""An evaluation that is asked for again keeps what was
decided on before, and sees that pipeline.yaml was changed.
"""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tasks.contracts import Archive, EvaluateRequest, EvaluationReport, TrainedFor
from tasks.errors import CheckFailed
from tasks.evaluation import evaluate
from tasks.spec import PipelineSpec, SliceSpec
from tasks.stores import files
from tests.archives import write_archive
from tests.steps.evaluated import HANDLER, OF_NUMBERS, SPEC, request, spec_of, version
from tests.unit import judged


def with_data(**changes: Any) -> PipelineSpec:
    return SPEC.model_copy(update={"data": SPEC.data.model_copy(update=changes)})


def asked_after(trained: PipelineSpec, home: Path, archive: Archive, now: PipelineSpec) -> EvaluateRequest:
    """The evaluation by the specification `now` of a candidate that was trained for another."""
    asked = request(home, archive)
    run = asked.run.model_copy(update={"trained_for": TrainedFor.of(trained)})
    return asked.model_copy(update={"run": run, "spec": now})


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (spec_of("regression", OF_NUMBERS), "task was binary and is regression. Start a new training"),
        (with_data(label="source"), "data.label was label and is source"),
        (with_data(features=("source", "text")), "data.features was text and is source, text"),
    ],
)
def test_a_candidate_that_was_trained_for_something_else_is_not_measured(
    home: Path, now: PipelineSpec, said: str
) -> None:
    asked = asked_after(SPEC, home, judged.archive(), now)
    with pytest.raises(CheckFailed, match=said):
        evaluate.compare(asked, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"label": "stars"},
        {"features": ("text", "stars")},
        {"slice_by": (SliceSpec(column="stars"),)},
        {"key": "stars"},
    ],
)
def test_a_column_that_the_snapshot_has_not_is_named(home: Path, changes: dict[str, Any]) -> None:
    """Of a run of before it was kept what it was trained for."""
    asked = request(home, judged.archive()).model_copy(update={"spec": with_data(**changes)})
    with pytest.raises(
        CheckFailed, match=r"test\.parquet has no column 'stars', but models/review_sentiment"
    ):
        evaluate.compare(asked, None)


def test_a_cleared_evaluation_leaves_the_report_that_was_decided_on(home: Path) -> None:
    """After the promotion it meets itself, and would say something else under the same name."""
    body = 'return {"prediction": int(text[0]), "score": float(text[0])}'
    file = home / "right.mar"
    write_archive(file, model="m", version="right", handler=HANDLER.format(body=body))
    archive = judged.archive(url=str(file), sha256=files.sha256(str(file)))
    asked = asked_after(SPEC, home, archive, SPEC)

    first = evaluate.compare(asked, None)
    second = evaluate.compare(asked, version(archive))

    for report in (first, second):
        assert EvaluationReport.model_validate_json(Path(report.report_url).read_text()) == report
    answers = [
        pq.read_table(Path(report.report_url).with_name("answers.parquet")) for report in (first, second)
    ]
    assert ["champion_prediction" in each.column_names for each in answers] == [False, True]
