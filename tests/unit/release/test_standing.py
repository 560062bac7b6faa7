"""Why a version serves, as the ledger tells it; and what is said where it tells nothing of it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from benchmarks.simulated_releases import BEGIN, spec_of, stage_of
from tasks.contracts import Counted, LedgerEntry, Serving, StageLook
from tasks.ledger import entries
from tasks.release.decide import decide as decide_stage
from tasks.release.standing import explain, so_far

pytestmark = pytest.mark.usefixtures("home")

FIRST, SECOND = "1" * 64, "2" * 64


def serving(sha256: str) -> Serving:
    return Serving(
        model_version="2", run_id="r", archive_sha256=sha256, since=datetime(2026, 1, 1, tzinfo=UTC)
    )


def decide(
    action: str, after: str, *, before: str | None = None, model: str = "reviews", **evidence: Any
) -> LedgerEntry:
    return entries.record(
        model=model,
        actor="somebody",
        action=action,
        before=before,
        after=after,
        why=f"{action} to {after}",
        evidence=evidence | {"of": before},
    )


def switch(action: str, after: str, sha256: str) -> LedgerEntry:
    return decide(action, after, route={"archive_sha256": sha256})


def no_entries(_: str) -> list[LedgerEntry]:
    return []


def test_the_newest_switch_says_why_a_version_serves() -> None:
    switch("deploy", "1", FIRST)
    decided = switch("deploy", "2", SECOND)
    decide("champion", "2", route={"archive_sha256": SECOND})
    standing = explain("reviews", serving(SECOND), entries.history)
    assert (standing.why, standing.by, standing.entry) == ("deploy to 2", "somebody", decided.sequence)
    assert standing.faults == ()


def test_a_version_that_serves_past_the_ledger_is_a_fault() -> None:
    switch("deploy", "1", FIRST)
    switch("rollback", "1", FIRST)
    standing = explain("reviews", serving(SECOND), entries.history)
    assert standing.why is None
    assert "changed past the ledger" in standing.faults[0]
    assert explain("reviews", serving(SECOND), no_entries).faults, "a ledger that knows nothing of it"


def test_a_model_that_never_served_stands_as_it_should() -> None:
    standing = explain("reviews", None, no_entries)
    assert (standing.serving, standing.why, standing.faults) == (None, None, ())


def test_a_label_incident_is_a_fault_until_a_person_answers_it() -> None:
    rule = {"rule": "label_incident", "passed": False, "value": 0.1}
    decide("gate", "hold", decision={"rules": [rule]})
    [fault] = explain("reviews", None, entries.history).faults
    assert "perennial answer reviews poison" in fault
    decide("label_incident", "poison")
    assert explain("reviews", None, entries.history).faults == ()


def test_an_incident_is_a_fault_until_the_next_look_finds_none() -> None:
    switch("deploy", "2", SECOND)
    decide("drift", "incident", look=1)
    [fault] = explain("reviews", serving(SECOND), entries.history).faults
    assert "drift to incident" in fault
    decide("drift", "quiet", look=2)
    assert explain("reviews", serving(SECOND), entries.history).faults == ()


@pytest.mark.parametrize("decided", ["released", "confirmed"])
def test_a_quarantined_batch_is_a_fault_until_a_person_decides(decided: str) -> None:
    decide("batch", "quarantined", before="b1", tables=[{"table": "rows"}])
    decide("batch", "passed", before="b2")
    [fault] = explain("reviews", None, entries.history).faults
    assert "perennial decide reviews b1 release --why " in fault
    decide("batch", decided, before="b1")
    assert explain("reviews", None, entries.history).faults == ()


@pytest.mark.parametrize("decided", ["released", "confirmed"])
def test_what_is_held_of_a_sender_is_a_fault_until_a_person_decides(decided: str) -> None:
    decide("door", "held", before="sender:a shop", rows=100)
    [fault] = explain("reviews", None, entries.history).faults
    assert "perennial decide reviews 'sender:a shop' release --why " in fault
    decide("door", decided, before="sender:a shop", still_held=300, still_held_for={"flood": 300})
    [fault] = explain("reviews", None, entries.history).faults
    assert "Held still: 300 for flood." in fault
    decide("door", decided, before="sender:a shop", still_held=0)
    assert explain("reviews", None, entries.history).faults == ()


def test_a_few_odd_requests_of_a_sender_are_a_note_and_no_fault() -> None:
    decide("door", "held", before="sender:bank", rows=2)

    standing = explain("reviews", None, entries.history)

    assert standing.faults == ()
    assert "perennial decide reviews sender:bank release" in standing.notes[0]
    decide("door", "released", before="sender:bank", still_held=0)
    assert explain("reviews", None, entries.history).notes == ()


def test_a_rollback_says_that_it_is_one_and_what_it_left() -> None:
    switch("deploy", "1", FIRST)
    decide("rollback", "1", before="2", route={"archive_sha256": FIRST})
    assert explain("reviews", serving(FIRST), no_entries).why is None
    why = explain("reviews", serving(FIRST), entries.history).why
    assert why == "Rolled back from version 2: rollback to 1"


def test_what_a_stage_has_shown_so_far_is_counted_of_both_versions() -> None:
    spec = spec_of()
    before = Counted(requests=50)
    stage = stage_of("canary_5", spec, before)
    candidate = Counted(requests=43, failed=13, reasons={"HTTP 500, too much.": 13})
    look = StageLook(at=BEGIN, seconds=35, candidate=candidate, stable=before)

    told = so_far(stage, decide_stage(stage, look, spec), 150)

    assert told.startswith(
        "So far, in 35 of at most 150 s: version 2 was asked 43 times and failed 13 times, version 1 was "
        "asked 50 times and failed 0 times. That is 46 % of the requests, where 5 % are wanted. "
    )
    assert "13 times: HTTP 500, too much." in told


@pytest.mark.parametrize(
    ("sticky_by", "stage", "candidate", "warns"),
    [
        ("sender", "canary_5", 45, True),
        ("sender", "canary_5", 0, False),  # of 95 requests, which chance may bring about
        ("header:X-User-Id", "canary_5", 9, False),
        ("", "canary_5", 45, False),
        ("sender", "canary_100", 45, False),
    ],
)
def test_a_share_that_few_callers_make_another_than_wanted_is_told(
    sticky_by: str, stage: str, candidate: int, *, warns: bool
) -> None:
    spec = spec_of()
    before = Counted(requests=95)
    opened = stage_of(stage, spec, before).model_copy(update={"sticky_by": sticky_by})
    look = StageLook(at=BEGIN, seconds=35, candidate=Counted(requests=candidate), stable=before)

    told = so_far(opened, decide_stage(opened, look, spec), 150)

    assert ("draws callers and not requests" in told) is warns
    assert ("are wanted" in told) is (stage != "canary_100")


def test_a_quarantined_batch_that_was_recalled_waits_for_nobody() -> None:
    decide("batch", "quarantined", before="b1", tables=[{"table": "rows"}])
    decide("recall", "left out", before="b2", model="rows")
    assert len(explain("reviews", None, entries.history).faults) == 1, "another batch was recalled"
    decide("recall", "left out", before="b1", model="rows")
    assert explain("reviews", None, entries.history).faults == ()
