"""The whole drift check of a window, on a real lake: what it says, keeps and records."""

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.contracts import Action, ColumnShares, MeasuredWindows, SnapshotPart
from tasks.errors import FrozenSetMismatch, InvalidProject, InvalidRequest, LakeError
from tasks.ledger import entries
from tasks.ledger.precedent import require_drift_decision
from tasks.monitoring import drift_report, event_times
from tasks.monitoring.decide import replay
from tasks.monitoring.look import reference_of
from tasks.monitoring.new_rows import NewRows, count_new_rows
from tasks.monitoring.page import write
from tasks.monitoring.record_check import record_check
from tasks.monitoring.windows import rows_between
from tasks.settings import settings
from tasks.spec import PipelineSpec
from tasks.stores.lake import Lake
from tasks.stores.row_hash import sha256_of_rows
from tests.unit.monitoring.traffic import DAY, SPEC, START, answer, check, labelled, predict, texts


def test_of_a_regression_too_only_the_features_are_compared(home: Path, trained: Any) -> None:
    document = SPEC.model_dump() | {"task": "regression", "gate": {"margin": 1, "slice_margin": 1}}
    document["serving"]["label_schema"] = {"type": "number"}
    document["data"]["feedback_query"] = None
    document["monitor"]["slo"] = {}  # it promises another metric
    rows = pq.read_table(home / "validation.parquet")
    labels = pa.array([number / 7 for number in range(400)])
    changed = rows.set_column(rows.column_names.index("label"), "label", labels)
    pq.write_table(changed, home / "validation.parquet")
    part = SnapshotPart(url=str(home / "validation.parquet"), rows=400, sha256=sha256_of_rows(changed))
    run = trained.model_copy(update={"snapshot": trained.snapshot.model_copy(update={"validation": part})})
    predict(texts(400, 3, shift=0.4))

    decision = check(home, run, spec=PipelineSpec.model_validate(document))

    assert decision.verdict == "wait"
    assert [each.column for each in decision.columns] == ["text"]


def test_quiet_traffic_is_reported_and_recorded(home: Path, trained: Any) -> None:
    predict([*texts(400, 3)])

    decision = check(home, trained)

    assert decision.verdict == "quiet"
    assert decision.domain_auc is not None
    assert decision.domain_auc < 0.6
    assert (decision.window_rows, decision.reference_rows) == (400, 400)
    assert [each.column for each in decision.columns] == ["text"]
    page = Path(str(decision.report_url)).read_text(encoding="utf-8")
    assert "text: words" in page
    entry = entries.find(str(decision.ledger_hash))
    assert entry is not None
    assert (entry.action, entry.before, entry.after) == ("drift", trained.run_id, "quiet")
    assert replay(entry) == ("quiet", decision.why)
    kept = [ColumnShares.model_validate(each) for each in entry.evidence["distributions"]]
    assert {each.column for each in kept} == {"text: characters", "text: words", "text: share of letters"}
    for each in kept:
        assert each.rows[1] == 400
        assert [sum(side) for side in zip(*each.shares, strict=True)] == pytest.approx([1, 1], abs=2e-3)
    assert entry.evidence["measured"] is None, "no label has come"
    check_page = Path(str(decision.page_url)).read_text(encoding="utf-8")
    for told in ("text: words", str(decision.ledger_hash), entry.evidence["reference"], "Volume"):
        assert told in check_page


def test_the_page_shows_the_checks_before_it_and_what_was_decided_is_in_the_ledger_with_its_page(
    home: Path, trained: Any, few_relabellings: None
) -> None:
    predict(texts(400, 3), batch="first")
    predict(texts(400, 4, shift=0.3), at=START + DAY, batch="second")
    Lake().append("reviews", labelled(500, 9, shift=0.3), batch_id="labels")
    check(home, trained)
    answer(100, wrong=20, batch="first")

    decision = check(home, trained, start=START + DAY)

    assert decision.verdict == "retrain"
    require_drift_decision(decision, SPEC.name)
    first, second = (entry.evidence["measured"] for entry in entries.history(SPEC.name))
    assert first is None, "no label had come"
    [window] = MeasuredWindows.model_validate(second).windows
    assert (window.start, window.labelled, window.value) == (START, 100, 0.8)
    assert window.low < 0.8 < window.high
    page = Path(str(decision.page_url)).read_text(encoding="utf-8")
    assert "Quiet, 2026-03-01" in page
    assert "ROC AUC, 1 Mar" in page
    assert "ROC AUC, 2 Mar" in page
    with pytest.raises(InvalidRequest, match="differs from what the ledger holds"):
        require_drift_decision(decision.model_copy(update={"page_url": "elsewhere"}), SPEC.name)


def test_traffic_that_turned_waits_for_labels_and_then_retrains(home: Path, trained: Any) -> None:
    predict([*texts(400, 3, shift=0.3)])
    assert check(home, trained).verdict == "wait"

    Lake().append("reviews", labelled(500, 9, shift=0.3), batch_id="labels")
    decision = check(home, trained)

    assert (decision.verdict, decision.new_rows) == ("retrain", 500)
    assert "500 new labelled rows" in decision.why
    assert [entry.after for entry in entries.history(SPEC.name)] == ["wait", "retrain"]


@pytest.mark.parametrize("end", ["-- the rows with labels", "; -- the rows with labels", " ;"])
def test_a_comment_at_the_end_of_the_query_hides_no_new_row(home: Path, trained: Any, end: str) -> None:
    Lake().append("reviews", labelled(500, 9), batch_id="labels")
    data = SPEC.data.model_copy(update={"query": SPEC.data.query + end})
    assert count_new_rows(trained.snapshot, data) == NewRows(500)


def test_broken_traffic_is_an_incident_even_where_it_is_also_new(home: Path, trained: Any) -> None:
    Lake().append("reviews", labelled(900, 9), batch_id="labels")
    predict([*texts(200, 3, shift=0.9), *[None] * 80, *["..."] * 20])

    decision = check(home, trained)

    assert decision.verdict == "incident"
    assert "33.3% of 300" in decision.why
    assert decision.domain_auc is None
    assert decision.validation is not None
    assert not decision.validation.success
    assert Path(decision.validation.url).exists()


def test_a_few_broken_rows_are_left_out_of_the_comparison(home: Path, trained: Any) -> None:
    predict([*texts(400, 3), *[None] * 20])
    decision = check(home, trained)
    assert decision.verdict == "quiet"
    assert entries.history()[0].evidence["findings"]["usable_rows"] == 400


def test_no_traffic_little_traffic_and_one_repeated_text_are_too_few(home: Path, trained: Any) -> None:
    assert check(home, trained).verdict == "too_few"
    predict([*texts(100, 3)], batch="a")
    predict([*texts(400, 3)], at=START + DAY, batch="tomorrow")
    predict([*texts(400, 3)], at=START - timedelta(microseconds=1), batch="yesterday")
    assert (decision := check(home, trained)).verdict == "too_few"
    assert decision.window_rows == 100
    predict(["the very same text every time"] * 400, batch="b")
    assert (decision := check(home, trained)).verdict == "incident"
    assert [signal.reason for signal in decision.signals if signal.level == "incident"] == ["repeated_rows"]


def test_small_windows_are_judged_together_by_the_classifier_too(
    home: Path, trained: Any, few_relabellings: None
) -> None:
    Lake().append("reviews", labelled(500, 9, shift=0.5), batch_id="labels")
    found = []
    for day in range(6):
        predict(texts(120, 3 + day, shift=0.5 * (day > 1)), at=START + day * DAY, batch=f"day {day}")
        found.append(check(home, trained, start=START + day * DAY))

    assert [decision.verdict for decision in found[:5:2]] == ["too_few"] * 3
    assert (found[1].verdict, found[1].window_rows) == ("quiet", 240)
    assert "Judged together with the windows since 2026-03-01 00:00" in found[1].why
    assert found[3].domain_auc is not None
    assert found[3].domain_auc > 0.65
    assert found[5].verdict == "retrain"
    assert "joint" in {signal.reason for signal in found[5].signals if signal.level == "alarm"}


def test_a_feature_that_was_added_after_the_log_was_made_is_read_from_the_whole_request(
    home: Path, trained: Any
) -> None:
    predict(["a", None])
    columns = {**SPEC.data.columns, "added_later": "int64", "added_today": "string"}
    data = SPEC.data.model_copy(
        update={"features": ("text", "added_later", "added_today"), "columns": columns}
    )
    serving = SPEC.serving.model_copy(update={"input_schema": {"type": "object"}})
    spec = SPEC.model_copy(update={"data": data, "serving": serving})

    window = rows_between(Lake(), spec, START, START + DAY)

    assert window["added_later"].to_pylist() == [1, 1]
    assert window["text"].to_pylist() == ["a", None]
    assert window["added_today"].null_count == 2


def test_a_changed_reference_is_no_reference(home: Path, trained: Any) -> None:
    predict([*texts(400, 3)])
    pq.write_table(labelled(400, 5), home / "validation.parquet")
    with pytest.raises(FrozenSetMismatch, match="Restore it"):
        check(home, trained)


def test_a_model_whose_features_are_all_times_is_told_so(home: Path, trained: Any) -> None:
    data = SPEC.data.model_copy(update={"columns": {**SPEC.data.columns, "text": "timestamp"}})
    predict([*texts(400, 3)])
    with pytest.raises(InvalidProject, match="every feature is a time"):
        check(home, trained, spec=SPEC.model_copy(update={"data": data}))


def test_the_same_check_again_is_recorded_once(home: Path, trained: Any) -> None:
    predict([*texts(400, 3)])
    assert check(home, trained) == check(home, trained)
    assert len(entries.history()) == 1


def test_a_check_that_is_tried_again_later_after_a_retrain_is_recorded_once_too(
    home: Path, trained: Any, few_relabellings: None
) -> None:
    predict([*texts(400, 3)])
    before = check(home, trained, start=START - DAY)
    entries.record(
        model=SPEC.name, actor="a", action=Action.RETRAIN, before=None, after="granted", why="w",
        evidence={"train_run_id": "retrain__1", "drift_decision": before.ledger_hash},
    )  # fmt: skip

    first, second = check(home, trained), check(home, trained)

    assert first == second
    [entry] = entries.history(SPEC.name, {Action.DRIFT})[1:]
    assert entry.evidence["memory"]["seconds_since_grant"] > 0
    assert replay(entry) == (first.verdict, first.why)


def test_what_a_killed_try_decided_holds_until_something_else_than_the_time_is_another(home: Path) -> None:
    def record(verdict: str, since: float, actor: str = "drift/day_1", **found: Any) -> int:
        evidence = {"findings": found, "memory": {"seconds_since_grant": since, "runs": 1}}
        return record_check(
            model=SPEC.name, actor=actor, action=Action.DRIFT, before="r1", after=verdict, why="w",
            evidence=evidence,
        ).sequence  # fmt: skip

    assert record("wait", 1.0) == record("retrain", 9.0) == 1
    assert record("retrain", 9.0, actor="drift/day_2") == 2
    assert record("retrain", 9.5) == 1
    assert record("retrain", 9.0, new_rows=5) == 3


# --- what must not keep the check from its verdict ----------------------------------------------------------


def test_a_page_that_cannot_be_drawn_changes_neither_verdict_nor_record(
    home: Path, trained: Any, few_relabellings: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Any) -> str:
        raise ValueError("no room")

    predict(texts(400, 3))
    with monkeypatch.context() as broken:
        broken.setattr(write, "page_of", fail)
        decision = check(home, trained)

    assert decision.verdict == "quiet"
    assert "could not be drawn" in Path(str(decision.page_url)).read_text(encoding="utf-8")
    assert check(home, trained) == decision, "tried again, it is drawn, and decided and recorded as it was"
    assert "Volume" in Path(str(decision.page_url)).read_text(encoding="utf-8")
    assert len(entries.history()) == 1


def test_a_report_that_cannot_be_drawn_changes_neither_verdict_nor_record(
    home: Path, trained: Any, few_relabellings: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> str:
        raise ValueError("Too many bins for data range")

    monkeypatch.setattr(drift_report, "_draw", fail)
    predict(texts(400, 3))

    decision = check(home, trained)

    assert (decision.verdict, decision.report_url) == ("quiet", None)
    assert "could not be drawn" in decision.why
    assert "Too many bins" in decision.why
    [entry] = entries.history()
    assert (entry.entry_hash, entry.why) == (decision.ledger_hash, decision.why)
    assert replay(entry) == ("quiet", decision.why)


@pytest.mark.parametrize(
    "window",
    [
        [0.3, 0.1 + 0.2] * 100,
        [1.7e308, -1.7e308] + [0.3] * 198,
        [float("inf"), float("nan")] * 100,
    ],
    ids=["rounding noise", "huge", "no numbers"],
)
def test_numbers_that_leave_no_room_for_a_histogram_are_drawn_all_the_same(
    home: Path, window: list[float]
) -> None:
    rows, reference = pd.DataFrame({"x": window}), pd.DataFrame({"x": [0.3] * 200})
    url = drift_report.write_report(rows, reference, {"x": "number"}, str(home))
    assert "<html" in Path(url).read_text(encoding="utf-8")


def with_stars(**data: Any) -> PipelineSpec:
    """The model once a feature was added to it."""
    columns = {**SPEC.data.columns, "stars": "int64"}
    changed = SPEC.data.model_copy(update={"columns": columns, "features": ("text", "stars"), **data})
    serving = SPEC.serving.model_copy(update={"input_schema": {"type": "object"}})
    return SPEC.model_copy(update={"data": changed, "serving": serving})


def test_a_feature_that_the_champion_was_not_trained_on_is_left_out_and_named(
    home: Path, trained: Any, few_relabellings: None
) -> None:
    predict(texts(400, 3, shift=0.4))

    decision = check(home, trained, spec=with_stars())

    assert decision.verdict == "wait"
    assert [each.column for each in decision.columns] == ["text"]
    assert "Not compared: stars. The champion was trained without" in decision.why


def test_features_none_of_which_the_champion_was_trained_on_cannot_be_compared(
    home: Path, trained: Any
) -> None:
    rows = pq.read_table(home / "validation.parquet").drop_columns(["text"])
    pq.write_table(rows, home / "validation.parquet")
    part = SnapshotPart(url=str(home / "validation.parquet"), rows=400, sha256=sha256_of_rows(rows))
    run = trained.model_copy(update={"snapshot": trained.snapshot.model_copy(update={"validation": part})})
    predict(texts(400, 3))

    decision = check(home, run)

    assert decision.verdict == "cannot_tell"
    assert "trained without the features text" in decision.why
    assert replay(entries.history()[0]) == ("cannot_tell", decision.why)


def make_anew(rows: int) -> None:
    shutil.rmtree(Path(settings().lake, "reviews"))
    Lake().append("reviews", labelled(rows, 39), batch_id="again")


@pytest.mark.parametrize("appended", [0, 2], ids=["the version's number exists", "it does not"])
def test_of_a_table_that_was_made_anew_all_rows_are_new(
    home: Path, trained: Any, few_relabellings: None, appended: int
) -> None:
    for number in range(appended):
        Lake().append("reviews", labelled(10, 100 + number), batch_id=f"later-{number}")
    version = Lake().latest("reviews")
    pinned = {"table_version": version, "version_at": Lake().committed_at("reviews", version)}
    run = trained.model_copy(update={"snapshot": trained.snapshot.model_copy(update=pinned)})
    make_anew(700)
    predict(texts(400, 3, shift=0.4))

    decision = check(home, run)

    assert (decision.verdict, decision.new_rows) == ("retrain", 700)
    assert "The table 'reviews' was made anew since the champion's snapshot" in decision.why


def test_of_a_table_under_another_name_all_rows_are_new(home: Path, trained: Any) -> None:
    Lake().append("critics", labelled(300, 39), batch_id="first")
    data = SPEC.data.model_copy(
        update={"table": "critics", "query": SPEC.data.query.replace("reviews", "critics")}
    )
    assert count_new_rows(trained.snapshot, data).rows == 300


def test_new_rows_that_cannot_be_counted_are_not_said_to_be_none(
    home: Path, trained: Any, few_relabellings: None
) -> None:
    shutil.rmtree(Path(settings().lake, "reviews"))
    predict(texts(400, 3, shift=0.4))

    decision = check(home, trained)

    assert decision.verdict == "cannot_tell"
    assert "The new training rows of 'reviews' cannot be counted: There is no table 'reviews'" in decision.why


def test_a_column_that_the_query_reads_and_the_champions_version_lacks_is_null_there(
    home: Path, trained: Any
) -> None:
    later = labelled(150, 9).append_column("stars", pa.array([5] * 150, pa.int64()))
    spec = with_stars(query="SELECT review_id, text, label, coalesce(stars, 0) AS stars FROM reviews")
    Lake().create("reviews", spec.data.columns)
    Lake().append("reviews", later, batch_id="later")
    assert count_new_rows(trained.snapshot, spec.data) == NewRows(150)


def test_a_reference_that_was_made_while_the_table_could_not_be_read_is_made_anew(
    home: Path, trained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise LakeError("There is no table 'reviews'.")

    predict([*texts(400, 3)])
    with monkeypatch.context() as broken:
        broken.setattr(event_times, "ask", away)
        first = reference_of(Lake(), trained, SPEC)
    second = reference_of(Lake(), trained, SPEC)

    assert (first.provisional, len(first.days)) == (True, 0)
    assert "There is no table" in first.notes[0]
    assert (second.provisional, second.time_column) == (False, "written_at")
    assert reference_of(Lake(), trained, SPEC) == second
