"""Which entries led to a run: its own, the drift decision that asked for it, and what completed them."""

from datetime import UTC, datetime
from typing import Any

from tasks.contracts import LedgerEntry
from tasks.provenance.entries_about import entries_about, judgement, mentions, run_of

RUN, OTHER = "a" * 32, "b" * 32


def entry(sequence: int, action: str, evidence: dict[str, Any], **changes: Any) -> LedgerEntry:
    fields = {
        "sequence": sequence, "at": datetime(2026, 1, 5, tzinfo=UTC), "model": "m", "actor": "tests",
        "action": action, "before": None, "after": None, "why": "A test.", "evidence": evidence,
        "evidence_sha256": "0" * 64, "previous_hash": str(sequence - 1), "entry_hash": str(sequence),
    }  # fmt: skip
    return LedgerEntry.model_validate(fields | changes)


HISTORY = [
    entry(1, "drift", {"decision": {"champion_run_id": RUN}}),
    entry(2, "drift", {"decision": {"champion_run_id": OTHER}}),
    entry(3, "retrain", {"train_run_id": "retrain__1", "drift_decision": "2"}),
    entry(4, "gate", {"decision": {"run_id": OTHER}, "evaluation": {"champion": {"run_id": RUN}}}),
    entry(5, "gate", {"decision": {"run_id": RUN}}),
    entry(6, "gate", {"decision": {"run_id": RUN}}),
    entry(7, "deploy", {"route": {"run_id": RUN}, "before": {"run_id": OTHER}}),
    entry(8, "champion", {"completes": "7"}),
    entry(9, "rollback", {"route": {"run_id": OTHER}, "before": {"run_id": RUN}}),
    entry(10, "retrain", {"train_run_id": "retrain__2"}, before="retrain__2"),
    entry(11, "retrain", {"train_run_id": None}, before="retrain__1", after="expired"),
]


def test_what_led_to_a_run_and_what_became_of_it_is_chosen_and_nothing_else() -> None:
    found = entries_about(HISTORY, RUN, "retrain__1")
    assert [each.sequence for each in found] == [2, 3, 5, 6, 7, 8, 9, 11]
    assert [each.sequence for each in entries_about(HISTORY, RUN)] == [5, 6, 7, 8, 9]


def test_the_judgement_that_a_version_names_counts_else_the_newest() -> None:
    assert judgement(HISTORY, RUN, "5") == HISTORY[4]
    assert judgement(HISTORY, RUN, "of another ledger") == HISTORY[5]
    assert judgement(HISTORY, "c" * 32, None) is None


def test_a_text_is_mentioned_by_a_value_and_not_by_a_part_of_one() -> None:
    evidence = {"a": [{"b": RUN}], "c": f"the run {OTHER}", OTHER: 1}
    assert mentions(evidence, RUN)
    assert not mentions(evidence, OTHER)


def test_a_release_is_about_its_candidate_and_not_about_what_served_meanwhile() -> None:
    routes = {"candidate": {"run_id": RUN}, "stable": {"run_id": OTHER}}
    release = entry(20, "release", routes)
    judged = entry(21, "release", {**routes, "decision": {"checks": []}})
    history = [*HISTORY, release, judged, entry(22, "done", {"completes": "20"})]

    found = entries_about(history, RUN)

    assert [each.sequence for each in found][-3:] == [20, 21, 22]
    assert run_of(release) == run_of(judged) == RUN
    assert not {20, 21} & {each.sequence for each in entries_about(history, OTHER)}
