"""What answers rest on, asked of archives whose answers rest on what is known."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tasks.contracts import Archive, Explanations, TrainingRun
from tasks.errors import ArchiveMismatch, InvalidProject, InvalidRequest
from tasks.provenance.card.explain import explain
from tasks.spec import CardSpec, PipelineSpec
from tests.steps.evaluated import SPEC
from tests.unit import judged
from tests.unit.judged import part
from tests.unit.provenance.test_card_changes import DRAWS

BY_A_WORD = 'return {"prediction": int("great" in text), "score": 0.9 if "great" in text else 0.2}'


def run_on(home: Path, rows: pa.Table) -> TrainingRun:
    return judged.run(snapshot=judged.snapshot().model_copy(update={"test": part(home, "test", rows)}))


def reviews(count: int) -> pa.Table:
    texts = [f"film number n{row} was {'great' if row % 2 else 'dull'} today" for row in range(count)]
    return pa.table({"review_id": [f"r{row:03d}" for row in range(count)], "text": texts})


def test_the_word_that_the_archive_looks_for_is_what_its_answers_rest_on(home: Path, archives: Any) -> None:
    archive: Archive = archives("by_a_word", BY_A_WORD)

    found: Explanations = explain(SPEC, run_on(home, reviews(60)), archive, latency_seconds=0.001)

    assert found.overall[0].name == "great"
    assert found.overall[0].change == pytest.approx(0.7)
    assert all(one.change == 0 for one in found.overall[1:])
    assert found.asked == 60 * 7
    assert [row.row for row in found.rows] == ["r000", "r001", "r002"]
    assert [row.answer for row in found.rows] == ["negative (0)", "positive (1)", "negative (0)"]
    assert [row.label for row in found.rows] == [None] * 3
    assert found.rows[1].effects[0].name == "great"
    assert found.number == "the score of the positive class, positive (1)"


def test_a_row_is_shown_with_its_text_and_its_label(home: Path, archives: Any) -> None:
    rows = reviews(20).append_column(SPEC.data.label, pa.array([1] * 20))
    long = pa.array([f"{text.as_py()} {'and so on ' * 40}" for text in rows["text"]])
    rows = rows.set_column(1, "text", long)

    found = explain(SPEC, run_on(home, rows), archives("by_a_word", BY_A_WORD), latency_seconds=None)

    assert (found.rows[0].answer, found.rows[0].label) == ("negative (0)", "positive (1)")
    assert found.rows[0].text == f"{long[0].as_py()[:300]}…"


def test_a_slow_archive_is_asked_less_and_rows_are_shown_only_where_they_may_be(
    home: Path, archives: Any
) -> None:
    spec = SPEC.model_copy(update={"card": CardSpec(samples=0)})
    found = explain(spec, run_on(home, reviews(150)), archives("by_a_word", BY_A_WORD), latency_seconds=10)
    assert found.asked <= 600
    assert found.rows == ()


def test_the_column_that_the_archive_reads_is_what_its_answers_rest_on(home: Path, archives: Any) -> None:
    document = SPEC.model_dump(mode="json")
    document["data"] |= {"features": ["text", "source"], "query": "SELECT * FROM reviews"}
    document["serving"]["input_schema"]["properties"]["source"] = {"type": "string"}
    document["serving"]["input_schema"]["required"] = ["text", "source"]
    document["serving"]["input_example"] = {"text": "x", "source": "imdb"}
    spec = PipelineSpec.model_validate(document)
    sources = [["imdb", "traffic", "shop"][row % 3] for row in range(50)]
    rows = reviews(50).append_column("source", pa.array(sources))

    found = explain(spec, run_on(home, rows), archives("by_a_word", BY_A_WORD), latency_seconds=None)

    assert [one.name for one in found.overall] == ["text", "source"]
    assert found.overall[0].low > 0
    assert found.overall[1].change == 0
    assert found.asked == 50 * 3 + 3 * 2 * DRAWS
    assert found.rows[1].effects[0].value == rows["text"][1].as_py()


def test_the_archive_sees_no_secret_of_the_platform(
    home: Path, archives: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PERENNIAL_LEDGER_KEY", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "a" * 64)
    spies = """
        import os
        secret = os.environ.get("PERENNIAL_LEDGER_KEY") or os.environ.get("MLFLOW_TRACKING_PASSWORD")
        return {"prediction": 1 if secret else 0, "score": 0.5}
    """
    found = explain(SPEC, run_on(home, reviews(10)), archives("spies", spies), latency_seconds=None)
    assert {row.answer for row in found.rows} == {"negative (0)"}


def test_what_cannot_be_explained_says_why(home: Path, archives: Any, tmp_path: Path) -> None:
    archive = archives("by_a_word", BY_A_WORD)
    numbers = reviews(20).set_column(1, "text", pa.array([" ".join(map(str, range(60)))] * 20))
    with pytest.raises(InvalidRequest, match="one feature, text, which is no text"):
        explain(SPEC, run_on(home, numbers), archive, latency_seconds=None)
    with pytest.raises(InvalidRequest, match="has no rows"):
        explain(SPEC, run_on(home, reviews(1).slice(1)), archive, latency_seconds=None)
    broken = archives("no_python", "return this is no Python")
    with pytest.raises(InvalidProject):
        explain(SPEC, run_on(home, reviews(5)), broken, latency_seconds=None)
    changed = tmp_path / "changed.mar"
    changed.write_bytes(Path(archive.url).read_bytes() + b"!")
    altered = archive.model_copy(update={"url": str(changed)})
    with pytest.raises(ArchiveMismatch):
        explain(SPEC, run_on(home, reviews(5)), altered, latency_seconds=None)
