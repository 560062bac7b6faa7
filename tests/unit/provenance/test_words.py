"""`perennial why`, `lineage` and `recall`: what people, pipes and programs get."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.unit.cli.conftest import Ask, ask
from tests.unit.provenance.conftest import POISON, POISONED
from tests.unit.provenance.world import MODEL, TABLE, World

__all__ = ["ask"]


@pytest.fixture(autouse=True)
def running(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command's platform is the world's; nothing here asks its Airflow."""
    monkeypatch.delenv("PERENNIAL_URL", raising=False)
    monkeypatch.setenv("PERENNIAL_AIRFLOW_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("PERENNIAL_TOKEN", "a token")


def test_why_tells_people_the_rules_and_the_decisions(ask: Ask) -> None:
    told = ask("why", POISONED, columns=160)
    assert told.code == 0
    assert told.shown.startswith("2026-01-05 12:00:00 UTC: review_sentiment answered 1")
    assert "minimum accuracy" in told.shown
    assert "The traffic changed" in told.shown


def test_a_version_may_be_two_words(ask: Ask) -> None:
    assert ask("why", MODEL, "2").shown == ask("why", f"{MODEL}/2").shown


def test_programs_get_the_whole_explanation(ask: Ask, world: World) -> None:
    found = json.loads(ask("why", POISONED, "--json").shown)
    assert found["lineage"]["answer"]["prediction_id"] == POISONED
    assert found["gate"]["verdict"] == "promote"
    assert [entry["action"] for entry in found["decisions"]] == ["drift", "retrain", "gate", "deploy"]


def test_the_page_is_written_to_a_file_or_handed_on(ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "why.html"
    told = ask("why", POISONED, "--html", str(file))
    assert (told.code, told.shown, told.said) == (0, "", f"Written to {file}.\n")
    assert file.read_text(encoding="utf-8").startswith("<!doctype html>")
    refused = ask("why", POISONED, "--html", str(tmp_path / "no" / "why.html"))
    assert (refused.code, "No such file or directory" in refused.said) == (20, True)


def test_the_training_rows_of_an_answer_become_a_file(ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    told = ask("lineage", POISONED, "--rows", str(file))
    rows = pq.read_table(file)
    assert (told.code, len(rows), set(rows["part"].to_pylist())) == (0, 120, {"train", "validation", "test"})
    assert ["rows as a file", str(file)] in told.rows
    assert ask("lineage", POISON, "--rows", str(file)).code == 20, "a batch has no training rows"


def test_a_batch_is_shown_with_the_versions_and_answers_that_used_it(ask: Ask, world: World) -> None:
    told = ask("lineage", "poison.csv")
    assert [row[:5] for row in told.rows] == [[MODEL, "2", "yes", "40", "1"], [MODEL, "-", "no", "40", "0"]]
    assert told.said == f"{TABLE}: poison.csv {POISON}, 40 rows\n"
    found = json.loads(ask("lineage", f"{TABLE}:r119", "--json").shown)
    assert [use["run_id"] for use in found["usage"]["uses"]] == [run.run_id for run in world.runs[1:]]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["why", "nothing"], 20, "Nothing has the name 'nothing'. It was looked for in"),
        (["lineage", "f" * 32], 20, "the gateway's log"),
        (
            ["recall", MODEL, "--why", "bad"],
            20,
            "is the model review_sentiment, and only a batch can be recalled",
        ),
        (["recall", "poison.csv", "--why", " "], 2, "say why in a sentence"),
        (["recall", "poison.csv", "nothing.csv", "--why", "bad"], 20, "has the name 'nothing.csv'"),
        (["recall", "poison.csv", "later.csv", "--why", "bad"], 4, "127.0.0.1:1"),
    ],
)
def test_what_cannot_be_asked_for_is_said_with_its_code(
    ask: Ask, words: list[str], code: int, says: str
) -> None:
    told = ask(*words)
    assert (told.code, told.shown) == (code, "")
    assert says in " ".join(told.said.split())
