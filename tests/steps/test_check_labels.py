"""New labels from the check to the snapshot: what is quarantined is not trained on until a person says so."""

from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import (
    Action,
    BatchDecision,
    CheckLabelsRequest,
    DataSnapshot,
    DecideBatchRequest,
    LabelCheck,
    ModelVersion,
    Quarantine,
    QuarantineRequest,
    SnapshotRequest,
)
from tasks.data import batches
from tasks.data.snapshot import PARTS, snapshot
from tasks.errors import InvalidRequest
from tasks.ledger import entries
from tasks.monitoring.labels.check_labels import check_labels
from tasks.monitoring.labels.decide_batch import decide_batch
from tasks.monitoring.labels.quarantine import quarantine
from tasks.spec import PipelineSpec
from tasks.stores import files, lake_history, registry
from tasks.stores.lake import Lake
from tasks.stores.parts import read_part
from tests.archives import write_archive
from tests.unit import judged
from tests.unit.reviews import SPEC, as_table, context, review

HANDLER = """
class Handler:
    def initialize(self, context):
        pass

    def handle(self, data, context):
        return [self.answer(*item["body"]["text"].split()) for item in data]

    def answer(self, label, _is, _said, number):
        said = int(label) if int(number) % 10 else 1 - int(label)
        return {"prediction": said, "score": 0.1 + 0.8 * said}
"""


def spec_of(**data: Any) -> PipelineSpec:
    document = SPEC.model_dump()
    document["data"] |= {"minimum_rows": 10, "split": {"by": "review_id"}, **data}
    return PipelineSpec.model_validate(document)


def land(batch: str, rows: int, first: int, *, inverted: bool = False, **changes: Any) -> None:
    """Append a batch whose texts name their label."""
    made = [
        review(number, text=f"{number % 2} is said {number}", label=(number + inverted) % 2, **changes)
        for number in range(first, first + rows)
    ]
    Lake().append("reviews", as_table(made), batch_id=batch)


def check(home: Path, step: str, spec: PipelineSpec) -> tuple[LabelCheck, Quarantine]:
    found = check_labels(CheckLabelsRequest(context=context(home, step), spec=spec))
    asked = QuarantineRequest(context=context(home, step), spec=spec, check=found)
    written = quarantine(asked)
    assert quarantine(asked) == written, "tried again, it is written once"
    return found, written


def take(home: Path, step: str, spec: PipelineSpec, found: LabelCheck | None = None) -> DataSnapshot:
    return snapshot(SnapshotRequest(context=context(home, step), spec=spec, label_check=found))


def keys(taken: DataSnapshot) -> set[str]:
    return {key for part in PARTS for key in read_part(getattr(taken, part))["review_id"].to_pylist()}


def decide(home: Path, batch_id: str, decision: str) -> BatchDecision:
    asked = {"model": SPEC.name, "batch_id": batch_id, "decision": decision, "reason": "I looked."}
    step = f"decide-{batch_id}-{decision}"
    return decide_batch(DecideBatchRequest.model_validate({"context": context(home, step), **asked}))


@pytest.fixture
def trained(home: Path, monkeypatch: pytest.MonkeyPatch) -> PipelineSpec:
    """A model whose champion was trained on six batches of 250 rows and is right on nine of ten."""
    spec = spec_of()
    for number in range(6):
        land(f"old{number}", 250, number * 250)
    monkeypatch.setattr(registry, "aliased_version", lambda _: None)
    first, _ = check(home, "first", spec)
    assert {verdict.state for verdict in first.verdicts} == {"cannot_tell"}
    assert "first batches" in first.verdicts[0].why
    file = home / "champion.mar"
    write_archive(file, model="m", version="1", handler=HANDLER)
    about = {"url": str(file), "sha256": files.sha256(str(file)), "size_bytes": file.stat().st_size}
    run = judged.run(snapshot=take(home, "trained", spec))
    version = ModelVersion(
        model=spec.name,
        version="1",
        run_id=run.run_id,
        archive=judged.archive(**about),
        decision_ledger_hash="",
        tags={},
    )
    monkeypatch.setattr(registry, "aliased_version", lambda _: "1")
    monkeypatch.setattr(registry, "get_version", lambda *_: version)
    monkeypatch.setattr(registry, "training_run", lambda _: run)
    return spec


def test_a_batch_with_inverted_labels_is_an_incident_and_the_others_are_trained_on(
    home: Path, trained: PipelineSpec
) -> None:
    land("good", 300, 2_000)
    land("bad", 300, 3_000, inverted=True)
    land("replaces", 250, 0, inverted=True)
    land("small", 50, 4_000)

    found, written = check(home, "second", trained)
    land("late", 300, 5_000)
    taken = take(home, "second", trained, found)

    states = {verdict.findings.batch_id: verdict.state for verdict in found.verdicts}
    assert states == {
        "good": "passed",
        "bad": "quarantined",
        "replaces": "quarantined",
        "small": "cannot_tell",
    }
    good, bad = found.verdicts[0].findings.agreement, found.verdicts[1].findings.agreement
    assert good is not None
    assert bad is not None
    assert (round(good.batch, 1), round(bad.batch, 1)) == (0.8, -0.8)
    assert written.new == written.left_out == taken.left_out_batches == ("bad", "replaces")
    expected = {f"r{n}" for n in (*range(1_500), *range(2_000, 2_300), *range(4_000, 4_050))}
    assert keys(taken) == expected, (
        "what a quarantined row had replaced counts again, and no unseen batch does"
    )
    told = [entry for entry in entries.history(SPEC.name) if entry.after == "quarantined"]
    assert [(entry.action, entry.before) for entry in told] == [
        (Action.BATCH, "bad"),
        (Action.BATCH, "replaces"),
    ]


def test_a_person_releases_or_confirms_a_batch_and_the_next_snapshot_goes_by_it(
    home: Path, trained: PipelineSpec
) -> None:
    land("bad", 300, 3_000, inverted=True)
    check(home, "second", trained)

    with pytest.raises(InvalidRequest, match=r"No batch 'other' .* Quarantined are: bad"):
        decide(home, "other", "confirm")
    with pytest.raises(InvalidRequest, match="is cannot_tell, so it is trained on already"):
        decide(home, "old0", "release")
    released = decide(home, "bad", "release")
    assert (released.before, released.after) == ("quarantined", "released")
    assert decide(home, "bad", "release") == released.model_copy(update={"before": "released"})
    assert take(home, "released", trained).rows == 1_800
    assert check(home, "third", trained)[0].verdicts == (), "what was judged once is not judged again"
    assert decide(home, "bad", "confirm").before == "released"
    assert decide(home, "old0", "confirm").before == "cannot_tell"
    assert take(home, "confirmed", trained).rows == 1_250
    assert batches.left_out(Lake(), SPEC.name, "reviews") == ("bad", "old0")
    assert entries.broken_entries() == []


def test_a_decision_counts_though_the_clock_went_back(
    home: Path, trained: PipelineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Earlier(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Earlier":
            return cls(2020, 1, 1, tzinfo=tz)

    with monkeypatch.context() as patched:
        patched.setattr(lake_history, "datetime", Earlier)
        assert decide(home, "old0", "confirm").after == "confirmed"
    assert "old0" in batches.left_out(Lake(), SPEC.name, "reviews")


def test_where_the_check_is_off_nothing_is_judged(home: Path, trained: PipelineSpec) -> None:
    land("bad", 300, 3_000, inverted=True)
    found, written = check(home, "second", spec_of(label_check={"enabled": False}))
    assert (found.verdicts, written.new) == ((), ())


def test_a_champion_that_does_not_answer_is_told_and_the_other_checks_judge(
    home: Path, trained: PipelineSpec
) -> None:
    (home / "champion.mar").write_bytes(b"changed")
    land("bad", 300, 3_000, inverted=True)
    [verdict] = check(home, "second", trained)[0].verdicts
    assert verdict.state == "quarantined"
    assert "was changed" in verdict.findings.untold[0]
