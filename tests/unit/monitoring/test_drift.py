"""Drift: found where it is, quiet where it is not, and never a retrain for broken data."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts import DriftDecision, DriftRequest, SnapshotPart, StepContext
from tasks.errors import FrozenSetMismatch, InvalidProject
from tasks.ledger import entries
from tasks.monitoring import comparison, domain_classifier, drift
from tasks.monitoring.decide import Findings, decide, replay
from tasks.settings import PROJECT
from tasks.spec import MonitorSpec, PipelineSpec
from tasks.stores.lake import Lake
from tasks.stores.row_hash import sha256_of_rows
from tests.unit import judged

SPEC = PipelineSpec.load(PROJECT / "models" / "review_sentiment" / "pipeline.yaml")
RULES = MonitorSpec(minimum_window_rows=200, minimum_new_rows=500)
START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def texts(count: int, seed: int, *, shift: float = 0.0, words: int = 25) -> list[str]:
    """Texts over a vocabulary with Zipf's frequencies; `shift`
    is the share of words that come from another part of it.
    """
    rng = np.random.default_rng(seed)
    ranks = np.minimum(rng.zipf(1.4, size=(count, words)), 3000)
    moved = rng.random((count, words)) < shift
    return [
        " ".join(f"w{rank + 4000 * other}" for rank, other in zip(*row, strict=True))
        for row in zip(ranks, moved, strict=True)
    ]


def frame(*columns: Any, **named: Any) -> pd.DataFrame:
    return pd.DataFrame({"text": columns[0]} if columns else named)


def separate(window: pd.DataFrame, reference: pd.DataFrame, **declared: Any) -> domain_classifier.Separation:
    kinds = domain_classifier.kinds_of(declared or {"text": "string"}, reference)
    return domain_classifier.separate(
        domain_classifier.distinct(window, kinds), domain_classifier.distinct(reference, kinds), kinds, 0.01
    )


@pytest.fixture
def few_relabellings(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests in which the null does not matter: it takes most of the time."""
    monkeypatch.setattr(domain_classifier, "RELABELLINGS", 2)


# --- the domain classifier ----------------------------------------------------------------------------------


def test_texts_of_one_kind_are_not_told_apart_and_texts_of_two_are() -> None:
    reference = frame(texts(400, 1))

    same, other = (
        separate(frame(texts(300, 2)), reference),
        separate(frame(texts(300, 3, shift=0.3)), reference),
    )

    assert same.auc < same.null_auc < 0.65
    assert other.auc > 0.9


def test_the_null_rises_with_fewer_rows_and_with_fewer_false_alarms() -> None:
    reference = frame(texts(300, 1))
    kinds = domain_classifier.kinds_of({"text": "string"}, reference)

    few = domain_classifier.separate(frame(texts(40, 2)), reference[:40], kinds, 0.01)
    many = domain_classifier.separate(frame(texts(300, 2)), reference, kinds, 0.01)
    strict = domain_classifier.separate(frame(texts(300, 2)), reference, kinds, 0.001)

    assert few.null_auc > many.null_auc
    assert strict.null_auc > many.null_auc


def test_false_alarms_are_as_rare_as_asked_for() -> None:
    """At most one in a hundred is asked for; two of fifteen would come about once in a hundred times."""
    pairs = [(frame(texts(80, seed, words=8)), frame(texts(80, 1000 + seed, words=8))) for seed in range(15)]
    found = [separate(*pair) for pair in pairs]
    assert sum(each.auc > each.null_auc for each in found) <= 1


def test_the_same_rows_give_the_same_answer() -> None:
    sides = frame(texts(200, 1, shift=0.05)), frame(texts(200, 2))
    assert separate(*sides) == separate(*sides)


def test_a_replay_of_the_reference_is_no_drift(few_relabellings: None) -> None:
    """A classifier that learnt a text on one side would call
    its copy on the other side wrong, and end far below a half.
    """
    reference = frame(texts(300, 1))
    found = separate(reference.sample(200, random_state=1), reference)
    assert 0.4 < found.auc < 0.6


def test_a_text_that_is_sent_again_and_again_is_one_row(few_relabellings: None) -> None:
    window = frame([*texts(250, 2), *["always the same words of one robot"] * 500])
    found = separate(window, frame(texts(300, 1)))
    assert found.window_rows == 251
    assert found.auc < 0.65


def test_a_joint_change_that_no_column_shows_is_found(few_relabellings: None) -> None:
    rng = np.random.default_rng(3)
    x, y, z = rng.normal(size=(3, 1500))
    reference = pd.DataFrame({"x": x, "y": y})
    window = pd.DataFrame({"x": z, "y": z * 0.9 + rng.normal(size=1500) * 0.43})

    found = separate(window, reference, x="float64", y="float64")

    assert found.auc > 0.65
    assert all(
        each.distance < 0.12
        for each in domain_classifier.column_distances(window, reference, {"x": "number", "y": "number"})
    )


@pytest.mark.parametrize(
    ("window", "reference", "declared"),
    [
        ({"c": ["a", "b"] * 100}, {"c": ["a"] * 180 + ["b"] * 20}, {"c": "string"}),
        ({"c": ["new"] * 200}, {"c": ["a", "b"] * 100}, {"c": "string"}),
        ({"c": [None] * 200}, {"c": ["a", "b"] * 100}, {"c": "string"}),
        ({"x": [None] * 120 + [1.0] * 80}, {"x": [1.0] * 200}, {"x": "float64"}),
        ({"b": [True] * 200}, {"b": [True, False] * 100}, {"b": "bool"}),
        ({"x": [float("inf")] * 200}, {"x": list(range(200))}, {"x": "int64"}),
        ({"x": [10**18] * 200}, {"x": list(range(200))}, {"x": "int64"}),
    ],
)
def test_a_change_of_a_single_column_is_found(
    few_relabellings: None, window: Any, reference: Any, declared: Any
) -> None:
    found = separate(pd.DataFrame(window), pd.DataFrame(reference), **declared)
    assert found.auc > 0.65


@pytest.mark.parametrize(
    ("values", "declared"),
    [
        ([None] * 100, "string"),
        ([None] * 100, "float64"),
        (["constant"] * 100, "string"),
        ([7] * 100, "int64"),
        (["the same four words"] * 100, "string"),
        (["!"] * 100, "string"),
        ([f"id-{number}" for number in range(100)], "string"),
    ],
)
def test_columns_that_say_nothing_are_no_drift(
    few_relabellings: None, values: list[Any], declared: Any
) -> None:
    rows = pd.DataFrame({"c": values, "x": np.random.default_rng(1).normal(size=100)})
    found = separate(rows, rows.iloc[::-1].reset_index(drop=True), c=declared, x="float64")
    assert found.auc < 0.65


def test_text_and_table_decide_together(few_relabellings: None) -> None:
    rng = np.random.default_rng(5)
    reference = pd.DataFrame(
        {"text": texts(300, 1), "n": rng.normal(size=300), "c": rng.choice(list("ab"), 300)}
    )
    by_text = pd.DataFrame(
        {"text": texts(300, 2, shift=0.4), "n": rng.normal(size=300), "c": rng.choice(list("ab"), 300)}
    )
    by_number = pd.DataFrame(
        {"text": texts(300, 3), "n": rng.normal(2, size=300), "c": rng.choice(list("ab"), 300)}
    )
    declared: dict[str, Any] = {"text": "string", "n": "float64", "c": "string"}

    assert domain_classifier.kinds_of(declared, reference) == {"text": "text", "n": "number", "c": "category"}
    assert separate(by_text, reference, **declared).auc > 0.8
    assert separate(by_number, reference, **declared).auc > 0.8


def test_times_are_not_compared_because_they_always_move_on() -> None:
    assert domain_classifier.kinds_of({"at": "timestamp", "on": "date", "x": "int64"}, pd.DataFrame()) == {
        "x": "number"
    }


def test_distances_name_the_column_that_moved() -> None:
    rng = np.random.default_rng(1)
    reference = pd.DataFrame(
        {"n": rng.normal(size=300), "c": ["a"] * 300, "t": texts(300, 1), "e": [None] * 300}
    )
    window = pd.DataFrame(
        {"n": rng.normal(3, size=300), "c": ["b"] * 300, "t": texts(300, 2), "e": [None] * 300}
    )

    found = domain_classifier.column_distances(
        window, reference, {"n": "number", "c": "category", "t": "text", "e": "number"}
    )

    distances = {each.column: each.distance for each in found}
    assert 2.5 < distances["n"] < 3.5
    assert distances["c"] == 1
    assert distances["t"] == pytest.approx(0.5, abs=0.1)
    assert "e" not in distances


# --- the verdict --------------------------------------------------------------------------------------------


def found(**changes: Any) -> Findings:
    fields: dict[str, Any] = {
        "window_rows": 500,
        "bad_share": 0.0,
        "usable_rows": 500,
        "reference_rows": 900,
        "domain_auc": 0.9,
        "null_auc": 0.55,
        "new_rows": 600,
    }
    return Findings(**(fields | changes))


@pytest.mark.parametrize(
    ("changes", "verdict", "said"),
    [
        ({}, "retrain", "600 new labelled rows"),
        ({"domain_auc": 0.64}, "quiet", "not above 0.650"),
        ({"domain_auc": 0.65}, "quiet", "not above 0.650"),
        ({"domain_auc": 0.7, "null_auc": 0.75}, "quiet", "what chance gives"),
        ({"domain_auc": 0.1}, "quiet", "not above"),
        ({"new_rows": 499}, "wait", "only 499 new"),
        ({"window_rows": 199}, "too_few", "199 predictions are too few"),
        ({"usable_rows": 3}, "too_few", "only 3 are whole and different"),
        ({"domain_auc": None, "null_auc": None, "reference_rows": 5}, "too_few", "only 5 different rows"),
        ({"bad_share": 0.11}, "incident", "11.0% of 500"),
        ({"bad_share": 1.0, "domain_auc": None, "usable_rows": None}, "incident", "100.0%"),
        ({"domain_auc": float("nan")}, "cannot_tell", "the classifier's ROC AUC is nan"),
        ({"null_auc": float("nan")}, "cannot_tell", "the ROC AUC that chance gives is nan"),
        ({"domain_auc": float("inf")}, "cannot_tell", "is inf"),
        ({"bad_share": float("nan")}, "cannot_tell", "the share of broken rows is nan"),
    ],
)
def test_the_verdict_follows_from_the_findings(changes: dict[str, Any], verdict: str, said: str) -> None:
    decided, why = decide(found(**changes), RULES)
    assert decided == verdict
    assert said in why


@given(
    bad=st.floats(0.1, 1, exclude_min=True),
    auc=st.none() | st.floats(allow_nan=True),
    null=st.none() | st.floats(allow_nan=True),
    rows=st.integers(0, 10**6),
    new=st.integers(0, 10**6),
)
def test_broken_data_is_never_a_reason_to_retrain(
    bad: float, auc: float | None, null: float | None, rows: int, new: int
) -> None:
    findings = found(bad_share=bad, domain_auc=auc, null_auc=null, window_rows=rows, new_rows=new)
    assert decide(findings, RULES)[0] in {"incident", "too_few"}


@given(auc=st.floats(allow_nan=True), null=st.floats(allow_nan=True), new=st.integers(0, 2000))
def test_a_retrain_needs_an_effect_above_chance_and_something_to_learn(
    auc: float, null: float, new: int
) -> None:
    if decide(found(domain_auc=auc, null_auc=null, new_rows=new), RULES)[0] == "retrain":
        assert auc > RULES.domain_auc
        assert auc > null
        assert new >= RULES.minimum_new_rows


# --- the whole check, on a real lake ------------------------------------------------------------------------


def labelled(count: int, seed: int, **how: Any) -> pa.Table:
    return pa.table(
        {
            "review_id": [f"{seed}-{number}" for number in range(count)],
            "written_at": pa.array([START] * count, pa.timestamp("us", "UTC")),
            "source": ["imdb"] * count,
            "text": texts(count, seed, **how),
            "label": [number % 2 for number in range(count)],
        }
    )


def predict(rows: list[str | None], *, at: datetime = START, batch: str = "p") -> None:
    """Let the service have been asked these texts at a time."""
    count = len(rows)
    logged = {
        "prediction_id": [f"{batch}-{number:05d}" for number in range(count)],
        "predicted_at": pa.array([at] * count, pa.timestamp("us", "UTC")),
        "request": [json.dumps({"text": text, "added_later": 1}) for text in rows],
        "text": pa.array(rows, pa.string()),
    }
    Lake().append(f"{SPEC.name}__predictions", pa.table(logged), batch_id=batch)


@pytest.fixture
def trained(home: Path) -> Any:
    """A champion's run: its table has one version, its validation part 400 rows."""
    Lake().append("reviews", labelled(600, 1), batch_id="first")
    validation = labelled(400, 2).select(["review_id", "source", "text", "label"])
    pq.write_table(validation, home / "validation.parquet")
    part = SnapshotPart(url=str(home / "validation.parquet"), rows=400, sha256=sha256_of_rows(validation))
    frozen = {"validation": part, "table_version": Lake().latest("reviews")}
    return judged.run(snapshot=judged.snapshot().model_copy(update=frozen))


def check(home: Path, run: Any, *, spec: PipelineSpec = SPEC, start: datetime = START) -> DriftDecision:
    context = StepContext(actor="drift/day_1", step_key="drift", work_url=str(home / "work"))
    return drift.check(
        DriftRequest(context=context, spec=spec, window_start=start, window_end=start + DAY), run
    )


def test_of_a_regression_too_only_the_features_are_compared(home: Path, trained: Any) -> None:
    document = SPEC.model_dump() | {"task": "regression", "gate": {"margin": 1, "slice_margin": 1}}
    document["serving"]["label_schema"] = {"type": "number"}
    document["data"]["feedback_query"] = None
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
    assert comparison._new_rows(trained.snapshot, data) == 500


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
    assert "only 101 are whole and different" in check(home, trained).why


def test_a_feature_that_was_added_after_the_log_was_made_is_read_from_the_whole_request(
    home: Path, trained: Any
) -> None:
    predict(["a", None])
    columns = {**SPEC.data.columns, "added_later": "int64", "added_today": "string"}
    data = SPEC.data.model_copy(
        update={"features": ("text", "added_later", "added_today"), "columns": columns}
    )
    context = StepContext(actor="drift", step_key="drift", work_url=str(home))
    serving = SPEC.serving.model_copy(update={"input_schema": {"type": "object"}})
    spec = SPEC.model_copy(update={"data": data, "serving": serving})

    window = drift._window(
        DriftRequest(context=context, spec=spec, window_start=START, window_end=START + DAY)
    )

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


def test_two_thousand_against_two_thousand_take_less_than_twenty_seconds_of_this_process() -> None:
    sides = frame(texts(2000, 1, words=60)), frame(texts(2000, 2, words=60))
    started = time.process_time()
    separate(*sides)
    assert time.process_time() - started < 20
