"""The ingest DAG from end to end, with real child processes. The real step runs in it in tests/system."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.dags.runs import RunDag, SetScript, asked, states, tries

INGEST = "ingest_reviews"


def outcome(file: str, status: str, rows: int = 0, reason: str | None = None) -> dict[str, Any]:
    counts = {"published_rows": rows, "quarantined_rows": 0}
    return {"file": file, "status": status, "batch_id": file, **counts, "reason": reason, "report_url": None}


def asset_events() -> list[dict[str, Any]]:
    """The extra information of each event of the table's asset, oldest first."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session

    query = sa.select(AssetEvent.extra).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
    with create_session() as session:
        return list(session.scalars(query.where(AssetModel.name == "lake/reviews").order_by(AssetEvent.id)))


def test_published_rows_are_announced_with_their_number_and_version(
    run_dag: RunDag, heavy: SetScript, home: Path
) -> None:
    before = len(asset_events())

    run = run_dag(INGEST, {"files": ["a.csv"]})

    assert states(run) == dict.fromkeys(("ingest", "publish", "report_refused"), "success")
    [request] = asked(home, "ingest")
    assert request["files"] == ["a.csv"]
    assert request["table"]["key"] == "review_id"
    assert asset_events()[before:] == [{"rows": 3, "table_version": 4, "files": ["a.csv"]}]


def test_refused_files_fail_the_run_with_their_reasons_and_do_not_stop_the_others(
    run_dag: RunDag, heavy: SetScript, capfd: pytest.CaptureFixture[str]
) -> None:
    files = [
        outcome("good.csv", "published", 7),
        outcome("bad.csv", "refused", reason="Line 3 is cut off."),
        outcome("odd.csv", "refused", reason="odd.csv is empty."),
    ]
    heavy({"ingest": [{"result": {"files": files, "published_rows": 7}}]})
    before = len(asset_events())

    run = run_dag(INGEST)

    assert run.state == "failed"
    assert states(run) == {"ingest": "success", "publish": "success", "report_refused": "failed"}
    printed = capfd.readouterr().out
    assert "bad.csv: Line 3 is cut off." in printed
    assert "odd.csv is empty." in printed
    assert "odd.csv: odd.csv" not in printed
    assert [event["files"] for event in asset_events()[before:]] == [["good.csv"]]


def test_nothing_is_announced_when_no_row_joined(run_dag: RunDag, heavy: SetScript) -> None:
    heavy({"ingest": [{"result": {"files": [outcome("a.csv", "empty")], "published_rows": 0}}]})
    before = len(asset_events())

    run = run_dag(INGEST)

    assert run.state == "success"
    assert states(run)["publish"] == "skipped"
    assert len(asset_events()) == before


def test_what_was_decided_before_the_ingest_failed_is_announced_and_reported(
    run_dag: RunDag, heavy: SetScript, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files = [outcome("a.csv", "published", 7), outcome("b.csv", "refused", reason="Line 3 is cut off.")]
    heavy({"ingest": [{"outcomes": files, "error": "The disk is full.", "exit": 1}] * 3})
    before = len(asset_events())

    run = run_dag(INGEST)

    assert run.state == "failed"
    assert states(run) == {"ingest": "failed", "publish": "success", "report_refused": "failed"}
    assert tries(run)["ingest"] == 3
    assert [(event["rows"], event["files"]) for event in asset_events()[before:]] == [(7, ["a.csv"])]
    said = capfd.readouterr().out
    assert "b.csv: Line 3 is cut off." in said
    assert "The task ingest is failed" in said


def test_an_ingest_that_was_killed_before_it_decided_anything_announces_nothing(
    run_dag: RunDag, heavy: SetScript
) -> None:
    heavy({"ingest": [{"killed": True}] * 3})
    before = len(asset_events())

    run = run_dag(INGEST)

    assert states(run) == {"ingest": "failed", "publish": "skipped", "report_refused": "failed"}
    assert len(asset_events()) == before


def test_a_fault_that_passes_is_tried_again_and_everything_is_announced_once(
    run_dag: RunDag, heavy: SetScript
) -> None:
    heavy({"ingest": [{"outcomes": [outcome("a.csv", "published", 3)], "error": "No memory.", "exit": 1}]})
    before = len(asset_events())

    run = run_dag(INGEST)

    assert states(run) == dict.fromkeys(("ingest", "publish", "report_refused"), "success")
    assert [event["rows"] for event in asset_events()[before:]] == [3]
