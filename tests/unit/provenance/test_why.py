"""The auditor's question: from an answer to its rows and decisions, and from a batch to its answers."""

import hashlib
import json
import re

import pyarrow.parquet as pq
import pytest

from tasks.contracts import Action, LedgerEntry
from tasks.errors import NotFound
from tasks.ledger import entries
from tasks.provenance.looks import look
from tasks.provenance.subject import find, find_batch
from tasks.provenance.tell import tell
from tasks.provenance.training_rows import read_rows
from tasks.provenance.why import why
from tasks.settings import settings
from tasks.stores import files, registry
from tests.unit.provenance.conftest import ANSWER, FIRST, LATER, POISON, POISONED
from tests.unit.provenance.world import MODEL, TABLE, World


def actions(found: object) -> list[tuple[str, str | None]]:
    return [(entry.action, entry.after) for entry in found.decisions]  # type: ignore[attr-defined]


def test_an_answer_leads_to_its_request_version_run_and_rows(world: World) -> None:
    found = why(POISONED)

    lineage = found.lineage
    assert lineage is not None
    assert lineage.answer is not None
    assert (lineage.answer.request, lineage.answer.prediction) == ({"text": "A film."}, 1)
    assert (lineage.answer.latency_seconds, lineage.answer.labels[0].label) == (0.0125, 0)
    second = world.runs[1]
    assert (lineage.run, lineage.run_id) == (second, second.run_id)
    assert lineage.version is not None
    assert (lineage.version.version, lineage.archive) == ("2", lineage.version.archive)
    rows = lineage.training_rows
    assert rows is not None
    assert {batch.file: batch.rows for batch in rows.batches} == {"first.csv": 80, "poison.csv": 40}
    assert (rows.rows, len(read_rows(second.snapshot))) == (120, 120)
    assert pq.read_table(second.snapshot.train.url).num_rows == second.snapshot.train.rows
    assert lineage.notes == ()


def test_an_answer_leads_to_every_decision_behind_it(world: World) -> None:
    found = why(POISONED)

    assert actions(found) == [
        ("drift", "retrain"),
        ("retrain", "granted"),
        ("gate", "promote"),
        ("deploy", "2"),
    ]
    assert found.gate is not None
    assert found.gate.run_id == world.runs[1].run_id
    assert found.evaluation is not None
    assert found.evaluation.champion is not None
    assert found.why[-1] == "It serves now."
    assert any("the traffic changed" in sentence for sentence in found.why)
    assert found.broken_entries == ()


def test_an_answer_of_an_earlier_version_says_what_serves_now(world: World) -> None:
    found = why(ANSWER)
    assert actions(found) == [("gate", "promote"), ("deploy", "1")]
    assert found.why[-1] == "Now version 2 serves."


def test_a_batch_leads_to_the_versions_and_the_answers_that_used_it(world: World) -> None:
    usage = why(POISON).usage

    assert usage is not None
    assert (usage.batches[0].file, usage.batches[0].rows, usage.notes) == ("poison.csv", 40, ())
    second, third = usage.uses
    assert (second.run_id, second.version, second.verdict) == (world.runs[1].run_id, "2", "promote")
    assert (second.rows, second.serves, second.answers.rows) == (40, True, 1)
    assert (third.run_id, third.version, third.verdict) == (world.runs[2].run_id, None, "hold")
    assert (third.serves, third.answers.rows) == (False, 0)


def test_a_batch_says_what_each_model_decided_about_its_labels(world: World) -> None:
    usage = why(POISON).usage
    assert usage is not None
    for state, actor in (("quarantined", f"airflow:train_{MODEL}/other/quarantine"), ("confirmed", "ann")):
        entries.record(
            model=MODEL, actor=actor, action=Action.BATCH, before=usage.batches[0].batch_id, after=state,
            why=f"It is {state}", evidence={},
        )  # fmt: skip
    found = why(POISON)
    assert [each.after for each in found.decisions] == ["quarantined", "confirmed"]
    (told,) = [sentence for sentence in found.why if "(entry" in sentence]
    assert f"for {MODEL} it was confirmed as bad, so that it is never trained on (entry " in told
    assert told.endswith('"It is confirmed"')


def test_a_batch_that_a_training_did_not_see_is_none_of_its(world: World) -> None:
    usage = why("later.csv").usage
    assert usage is not None
    assert [use.run_id for use in usage.uses] == [world.runs[2].run_id]


def test_a_row_leads_to_the_batches_that_it_came_in_and_to_the_answers(world: World) -> None:
    usage = why(f"{TABLE}:r90").usage
    assert usage is not None
    assert [batch.file for batch in usage.batches] == ["first.csv", "poison.csv"]
    assert [(use.version, use.rows) for use in usage.uses] == [("1", 1), ("2", 1), (None, 1)]


@pytest.mark.parametrize("text", [f"{MODEL}/2", f"{MODEL} 2", f"models:/{MODEL}/2", f"{MODEL} v2"])
def test_a_version_is_named_in_several_ways(world: World, text: str) -> None:
    found = why(text)
    assert (found.subject.kind, found.subject.run_id) == ("version", world.runs[1].run_id)


def test_a_run_that_the_gate_held_says_so(world: World) -> None:
    found = why(world.runs[2].run_id)
    assert found.subject.kind == "run"
    assert found.lineage is not None
    assert found.lineage.version is None
    assert any(sentence.startswith("The gate said hold: ") for sentence in found.why)


@pytest.mark.parametrize("text", ["scheduled__3", f"train_{MODEL}/scheduled__3"])
def test_a_run_of_airflow_leads_to_its_training(world: World, text: str) -> None:
    subject = why(text).subject
    assert (subject.kind, subject.run_id) == ("run", world.runs[2].run_id)


def test_a_run_of_airflow_that_trained_nothing_leads_to_what_it_decided(world: World) -> None:
    entries.record(
        model=MODEL, actor=f"airflow:train_{MODEL}/manual__9/quarantine, asked for by ann", before="b9",
        action=Action.BATCH, after="quarantined", why="It is quarantined", evidence={},
    )  # fmt: skip
    found = why("manual__9")
    assert (found.subject.kind, found.subject.airflow_run) == ("airflow_run", f"train_{MODEL}/manual__9")
    assert found.why[0].startswith(f"No training of the run train_{MODEL}/manual__9 of Airflow is recorded")
    assert "asked for by ann" in found.why[1]
    assert actions(found) == [("batch", "quarantined")]
    with pytest.raises(NotFound):
        why("train_other/manual__9")


def test_an_entry_is_explained_with_its_run_by_its_number(world: World) -> None:
    gate = next(each for each in entries.history(MODEL) if each.action == Action.GATE)
    done = entries.complete(gate, "It was registered.")
    for text, number in ((str(gate.sequence), gate.sequence), (f"entry {done.sequence}", done.sequence)):
        found = why(text)
        assert [each.sequence for each in found.decisions] == [gate.sequence, done.sequence]
        assert f"(entry {number}, " in found.why[0]
    found = why(str(gate.sequence))
    assert found.gate is not None
    assert (found.gate.run_id, found.gate.verdict) == (world.runs[0].run_id, "promote")


def test_a_model_is_explained_by_what_serves_and_its_newest_decisions(world: World) -> None:
    found = why(MODEL)
    assert found.lineage is not None
    assert found.lineage.run_id == world.runs[1].run_id
    assert ("gate", "hold") in actions(found), "of a candidate since"


@pytest.mark.parametrize(
    "text", ["", " ", "a\0b", "a\nb", "x" * 301, "nothing", "f" * 32, "../etc", f"{MODEL}/9", "999999"]
)
def test_what_nothing_has_the_name_of_says_where_it_was_looked_for(world: World, text: str) -> None:
    with pytest.raises(NotFound) as raised:
        why(text)
    assert "Give a prediction's id" in str(raised.value)
    if text == "f" * 32:
        assert "the gateway's log" in str(raised.value)
        assert f"batches and files of the table '{TABLE}'" in str(raised.value)


def test_a_name_of_two_things_names_both(world: World) -> None:
    world.lake.append(
        "other", world.lake.read(TABLE).slice(0, 1).drop(["batch_id", "ingested_at"]), batch_id=LATER
    )
    with pytest.raises(NotFound, match="is the name of 2 things") as raised:
        why(LATER)
    assert f"the batch {LATER} of {TABLE} (batch:{TABLE}:{LATER})" in str(raised.value)
    assert find(f"batch:{TABLE}:{LATER}").table == TABLE


def test_a_file_that_was_refused_is_told_with_its_reason(world: World) -> None:
    refused = files.at(settings().landing, TABLE) / ".refused" / "bad.csv.reason.json"
    files.write_whole(refused, json.dumps({"reason": "bad.csv has no column 'label'."}).encode())
    with pytest.raises(NotFound, match=r"refused and joined no row to reviews: bad\.csv has no column"):
        why("bad.csv")


def test_a_row_is_asked_for_by_any_text(world: World) -> None:
    with pytest.raises(NotFound, match="has no row whose review_id is"):
        why(f"{TABLE}:r1' OR 'a'='a")


def test_where_the_gateway_is_away_the_lake_answers_and_the_rest_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERENNIAL_GATEWAY_URL", "http://127.0.0.1:1")
    settings.cache_clear()
    found = why(FIRST)
    settings.cache_clear()
    monkeypatch.undo()
    settings.cache_clear()
    assert found.usage is not None
    assert {use.serves for use in found.usage.uses} == {None}
    assert any("the gateway does not answer" in note.lower() for note in found.usage.notes)
    assert (found.usage.complete, found.why[1].startswith("MLflow or the gateway")) == (False, True)


def test_what_was_changed_in_mlflow_since_the_gate_judged_it_is_told(world: World) -> None:
    first = world.runs[0]
    test = first.snapshot.test.model_copy(update={"sha256": "0" * 64})
    changed = first.model_copy(update={"snapshot": first.snapshot.model_copy(update={"test": test})})
    registry.log_text(first.run_id, registry.LINEAGE, changed.model_dump_json())
    found = why(ANSWER)
    registry.log_text(first.run_id, registry.LINEAGE, first.model_dump_json())
    assert found.lineage is not None
    assert any("but the gate judged it on" in note for note in found.lineage.notes)
    assert any("The batches of its rows" in note for note in found.lineage.notes), "the part is another one"


@pytest.mark.parametrize("kind", ["model", "prediction", "row"])
def test_a_batch_that_is_called_like_something_else_is_found_too(world: World, kind: str) -> None:
    name = {"model": MODEL, "prediction": ANSWER, "row": f"{TABLE}:r1"}[kind]
    batch_id = hashlib.sha256(name.encode()).hexdigest()[:32]
    rows = world.lake.read(TABLE).slice(0, 1).drop(["batch_id", "ingested_at"])
    world.lake.append("other", rows, batch_id=batch_id, metadata={"file": name})

    with pytest.raises(NotFound, match="is the name of 2 things") as raised:
        find(name)

    chosen = [find(text).kind for text in re.findall(r"\(([^()]+)\)", str(raised.value))]
    assert sorted(chosen) == sorted(["batch", kind])
    assert find_batch(name, "can be recalled").batch_id == find(f"batch:{name}").batch_id == batch_id
    assert find(f"{kind}:{name}").kind == kind


def test_a_table_that_is_called_like_a_kind_has_rows_all_the_same(world: World) -> None:
    rows = world.lake.read(TABLE).slice(0, 1).drop(["batch_id", "ingested_at"])
    world.lake.append("batch", rows, batch_id="b1")
    assert find("batch:no such file").table == "batch"
    assert find("row:batch:b1").kind == "row"
    assert find("batch:b1").kind == "batch"


@pytest.mark.parametrize("text", [".", "..", f"batch:{TABLE}:..", "n" * 256, "batch:" + "é" * 128])
def test_what_can_be_no_file_is_no_batch_of_an_earlier_perennial(world: World, text: str) -> None:
    archived = files.at(settings().landing, TABLE, ".archive", "a" * 32, "earlier.csv")
    files.write_whole(archived, b"text,label")
    assert find("earlier.csv").batch_id == "a" * 32
    assert look(text, only="batch").found == []


def test_a_version_that_was_released_by_stages_tells_them_and_what_each_check_said(world: World) -> None:
    found = why(POISONED)
    [*_, deployed] = [each for each in found.decisions if each.action == Action.DEPLOY]
    said = {"check": "errors", "says": "good"}, {"check": "slices", "says": "open"}

    def release(run_id: str) -> LedgerEntry:
        decision = {"candidate": {"run_id": run_id}, "decision": {"checks": said}}
        changed = {"action": Action.RELEASE, "why": "Stage canary_5: proceed", "evidence": decision}
        return deployed.model_copy(update={**changed, "sequence": 77})

    more = (release(world.runs[1].run_id), release(world.runs[0].run_id))
    told = tell(found.model_copy(update={"decisions": (*found.decisions, *more)}))

    [sentence] = [each for each in told if "canary_5" in each]
    assert sentence.endswith(
        "Stage canary_5: proceed. The checks said: errors good, slices open. (entry 77, airflow:deploy)"
    )


def test_a_version_tells_its_way_through_environments_and_its_comparison(world: World) -> None:
    found = why(POISONED)
    [*_, deployed] = [each for each in found.decisions if each.action == Action.DEPLOY]
    first, second = ({"run_id": run.run_id, "model_version": "1"} for run in world.runs[:2])

    def entry(number: int, action: Action, after: str, said: str, **evidence: object) -> LedgerEntry:
        changed = {"action": action, "before": "1", "after": after, "why": said, "evidence": evidence}
        return deployed.model_copy(update={**changed, "sequence": number})

    def in_dev(number: int, after: str, said: str, route: object, before: object) -> LedgerEntry:
        more = {"environment": "dev", "route": route, "before": before}
        return entry(number, Action.ENVIRONMENT, after, said, **more)

    comparison = {"stable": first, "candidate": second}
    more = (
        in_dev(70, "entered", "In dev, version 1 passed.", first, None),
        in_dev(71, "entered", "In dev, version 2 passed.", second, first),
        in_dev(72, "rolled_back", "It is rude", first, second),
        in_dev(73, "rolled_back", "It was right", second, first),
        entry(74, Action.AB, "started", "Is it better?", comparison=comparison),
    )
    told = tell(found.model_copy(update={"decisions": (*found.decisions, *more)}))

    assert [each.partition("UTC: ")[2] for each in told if "(entry 7" in each] == [
        "In dev, version 2 passed. (entry 71, airflow:deploy)",
        "it serves in dev no longer. It is rude. (entry 72, airflow:deploy)",
        "it serves in dev again. It was right. (entry 73, airflow:deploy)",
        "the comparison (A/B) with version 1, started. Is it better? (entry 74, airflow:deploy)",
    ]
