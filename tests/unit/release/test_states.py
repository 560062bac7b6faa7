"""What the reconciliation finds to do, of every state that a killed process or a person can leave."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.contracts import Action, LedgerEntry, Route, SeenModel, TrafficSplit
from tasks.release.states import (
    RELEASE_STARTS_WITHIN,
    is_asked_for,
    lost_hand_over,
    mismatch,
    other_release,
    unused_promotion,
)
from tasks.release.under_way import under_way

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def route(version: str) -> Route:
    return Route(
        model="m",
        model_version=version,
        run_id=f"run-{version}",
        backend_version=version,
        archive_sha256=version * 64,
        input_schema={},
        label_schema={},
        timeout_seconds=1,
    )


class Told:
    """A ledger in the making."""

    def __init__(self) -> None:
        self.entries: list[LedgerEntry] = []

    def add(self, action: Action, before: str | None, after: str | None, /, **evidence: Any) -> LedgerEntry:
        number = len(self.entries) + 1
        entry = LedgerEntry(
            sequence=number,
            at=NOW,
            model="m",
            actor="tests",
            action=action,
            before=before,
            after=after,
            why="A test says so.",
            evidence=evidence,
            evidence_sha256="0",
            previous_hash="0",
            entry_hash=f"hash {number}",
        )
        self.entries.append(entry)
        return entry

    def done(self, entry: LedgerEntry) -> None:
        self.add(Action.DONE, None, None, completes=entry.entry_hash)

    def switch(self, action: Action, before: str | None, after: str | None, change: int) -> LedgerEntry:
        kept = route(after).model_dump(mode="json") if after else None
        return self.add(action, before, after, route=kept, after_change=change)

    def served(self, version: str, change: int, before: str | None = None) -> None:
        """A whole deployment, whose change of the route has this number."""
        self.done(self.switch(Action.DEPLOY, before, version, change - 1))
        self.done(self.add(Action.CHAMPION, before, version, route_change=change))

    def seen(self, serving: str | None, change: int, alias: str | None, by: str | None = None) -> SeenModel:
        return SeenModel(
            model="m",
            route=route(serving) if serving else None,
            last_change=change,
            alias=alias,
            moved_by=by,
            entries=tuple(self.entries),
        )


@pytest.mark.parametrize(
    ("serving", "change", "alias", "kind"),
    [
        ("1", 1, "1", None),
        ("2", 2, "1", "route"),
        (None, 2, "1", "route"),
        (None, 0, "1", "route"),
        ("1", 2, "1", "alias"),
        ("1", 1, "2", "person"),
        ("1", 1, None, "person"),
    ],
)
def test_after_a_whole_release(serving: str | None, change: int, alias: str | None, kind: str | None) -> None:
    told = Told()
    told.served("1", 1)

    found = mismatch(told.seen(serving, change, alias))

    assert (found.kind if found else None) == kind


@pytest.mark.parametrize("action", [Action.DEPLOY, Action.ROLLBACK])
def test_at_every_place_of_a_switch_that_was_killed(action: Action) -> None:
    told = Told()
    told.served("1", 1)

    def kind(serving: str, change: int, alias: str) -> str | None:
        found = mismatch(told.seen(serving, change, alias))
        return found.kind if found else None

    switch = told.switch(action, "1", "2", 1)
    assert kind("1", 1, "1") == "route"
    assert kind("2", 2, "1") == "alias"
    told.done(switch)
    moved = told.add(Action.CHAMPION, "1", "2", route_change=2)
    assert kind("2", 2, "1") == "alias"
    assert kind("2", 2, "2") == "unfinished"
    assert kind("2", 2, "3") == "person"
    told.done(moved)
    assert kind("2", 2, "2") is None
    assert kind("2", 2, "1") == "person"


def test_a_switch_that_was_undone_promises_nothing_any_more() -> None:
    told = Told()
    told.served("1", 1)
    switch = told.switch(Action.DEPLOY, "1", "2", 1)
    told.add(Action.RECONCILE, "1", "undo", undoes=switch.entry_hash)

    assert mismatch(told.seen("1", 1, "1")) is None


def test_a_withdrawal_that_was_killed_and_an_alias_that_a_person_gives_to_what_does_not_serve() -> None:
    told = Told()
    told.served("1", 1)
    withdrawal = told.add(Action.WITHDRAW, "1", None, route={}, after_change=1)
    for serving, change, kind in (("1", 1, "route"), (None, 2, "alias")):
        found = mismatch(told.seen(serving, change, "1"))
        assert found is not None
        assert found.kind == kind
    told.done(withdrawal)
    told.done(told.add(Action.CHAMPION, "1", None, route_change=2))
    assert mismatch(told.seen(None, 2, None)) is None

    found = mismatch(told.seen(None, 2, "1", by="ada"))

    assert found is not None
    assert (found.kind, found.why.partition(" ")[0]) == ("person", "ada")
    nothing = Told()
    assert mismatch(nothing.seen(None, 0, None)) is None
    found = mismatch(nothing.seen(None, 0, "1"))
    assert found is not None
    assert found.kind == "person"


def test_a_route_that_the_ledger_knows_nothing_of_is_told() -> None:
    found = mismatch(Told().seen("1", 1, None))
    assert found is not None
    assert (found.kind, "knows of no switch" in found.why) == ("route", True)


def promoted(told: Told, version: str = "2") -> LedgerEntry:
    decision = {"run_id": f"run-{version}", "archive_sha256": version * 64}
    return told.add(Action.GATE, None, "promote", decision=decision)


@pytest.mark.parametrize(
    ("later", "of", "age", "found"),
    [
        (None, "2", timedelta(hours=3), True),
        (None, "2", timedelta(minutes=30), False),
        (Action.DEPLOY, "2", timedelta(hours=3), False),
        (Action.DEPLOY, "3", timedelta(hours=3), True),
        (Action.RECONCILE, "2", timedelta(hours=3), False),
        (Action.ENVIRONMENT, "2", timedelta(hours=3), False),
        (Action.ENVIRONMENT, "3", timedelta(hours=3), True),
        (Action.ROLLBACK, "1", timedelta(hours=3), True),
    ],
)
def test_a_promotion_that_nobody_carried_on_is_found_once(
    later: Action | None, of: str, age: timedelta, found: bool
) -> None:
    told = Told()
    promotion = promoted(told)
    told.add(Action.GATE, None, "hold")
    if later is not None:
        about = {"route": route(of).model_dump(mode="json")}
        settles = {"settles": promotion.entry_hash} if later == Action.RECONCILE else {}
        told.add(later, None, None, **about, **settles)

    unused = unused_promotion(told.entries, NOW + age)

    assert unused == (promotion if found else None)


def test_a_promotion_waits_for_the_release_of_another_version_and_as_long_again_for_its_own_run() -> None:
    told = Told()
    promotion = promoted(told, "3")
    begun, later = released(told, "accepted"), NOW + timedelta(hours=5)
    assert unused_promotion(told.entries, later) is None, "its run is queued behind that"

    ended = released(told, "roll_back").model_copy(update={"at": later})

    told.entries[-1] = ended
    assert begun.evidence["candidate"]["archive_sha256"] == "2" * 64
    assert unused_promotion(told.entries, later + timedelta(hours=1)) is None
    assert unused_promotion(told.entries, later + timedelta(hours=3)) == promotion


def test_another_release_of_the_same_archive_is_known_from_its_own() -> None:
    told = Told()
    released(told, "roll_back")
    promotion = promoted(told)
    assert other_release(told.entries, promotion, "mine") is None, "it was before the promotion"
    released(told, "accepted")

    before = other_release(told.entries, promotion, "mine")

    assert before == told.entries[-1]
    assert other_release(told.entries, promotion, "r") is None, "it is the same release"
    assert other_release(told.entries, promoted(Told(), "4"), "mine") is None


def test_only_a_moved_alias_asks_for_a_release_that_was_handed_over() -> None:
    told = Told()
    told.add(Action.RECONCILE, "1", "hand over", version="2", moved_to="2", moved_by="ann")
    told.add(Action.RECONCILE, "1", "hand over", version="3", settles="a hash")

    asked = [is_asked_for(told.entries, version) for version in ("2", "3", "4")]

    assert asked == [True, False, False]


def released(told: Told, after: str, *, until: datetime = NOW + timedelta(hours=1)) -> LedgerEntry:
    about: dict[str, Any] = {"release_id": "r", "version": "2", "at": "canary_5", "until": until.isoformat()}
    about["candidate"] = route("2").model_dump(mode="json")
    return told.add(Action.RELEASE, "1", after, **about)


def divided(seen: SeenModel, release_id: str = "r") -> SeenModel:
    split = TrafficSplit(release_id=release_id, kind="canary", candidate=route("2"), share=0.05)
    return seen.model_copy(update={"split": split, "at": NOW})


def test_a_release_that_is_under_way_is_left_alone() -> None:
    told = Told()
    told.served("1", 1)
    released(told, "stage")

    assert mismatch(divided(told.seen("1", 1, "1"))) is None


@pytest.mark.parametrize("after", ["roll_back", "hold", "closed", "rejected", "promoted"])
def test_a_split_that_outlived_its_release_is_closed(after: str) -> None:
    told = Told()
    told.served("1", 1)
    released(told, "stage")
    released(told, after)

    found = mismatch(divided(told.seen("1", 1, "1")))

    assert found is not None
    assert (found.kind, "no release of it is under way" in found.why) == ("release", True)


def test_a_split_of_another_release_is_closed_and_so_is_one_of_a_comparison_that_nobody_started() -> None:
    told = Told()
    told.served("1", 1)
    released(told, "stage")
    seen = divided(told.seen("1", 1, "1"), "another")

    found = mismatch(seen)

    assert found is not None
    assert found.kind == "release"
    assert seen.split is not None
    compared = seen.split.model_copy(update={"kind": "ab"})
    of_none = mismatch(seen.model_copy(update={"split": compared}))
    assert of_none is not None
    assert (of_none.kind, "no comparison with it is under way" in of_none.why) == ("ab", True)


def test_a_release_that_nobody_follows_is_closed() -> None:
    told = Told()
    told.served("1", 1)
    released(told, "stage", until=NOW - timedelta(seconds=1))

    found = mismatch(divided(told.seen("1", 1, "1")))

    assert found is not None
    assert "Nobody follows the release of version 2 any more" in found.why


def test_a_change_of_what_serves_ends_a_release_unless_it_is_its_own_promotion() -> None:
    told = Told()
    told.served("1", 1)
    released(told, "stage")
    told.switch(Action.DEPLOY, "1", "2", 1)
    assert under_way(told.entries) is not None

    told.switch(Action.ROLLBACK, "2", "1", 2)

    assert under_way(told.entries) is None


def test_a_promotion_that_is_being_released_is_not_deployed_by_the_look_of_each_hour() -> None:
    told = Told()
    promoted(told)
    later = NOW + timedelta(hours=5)
    assert unused_promotion(told.entries, later) is not None

    released(told, "accepted")

    assert unused_promotion(told.entries, later) is None


def handed_over() -> Told:
    told = Told()
    told.served("1", 1)
    told.add(Action.RECONCILE, "1", "hand over", version="2")
    return told


LATE = NOW + RELEASE_STARTS_WITHIN + timedelta(seconds=1)


def test_a_release_that_was_handed_over_and_never_began_is_started_once_more() -> None:
    told = handed_over()
    assert lost_hand_over(told.entries, NOW) is None, "it may still begin"

    lost = lost_hand_over(told.entries, LATE)

    assert lost is not None
    assert lost.evidence == {"version": "2"}
    told.add(Action.RECONCILE, "1", "hand over", version="2", again=lost.entry_hash)
    assert lost_hand_over(told.entries, LATE) is None, "once more, and no third time"


def test_a_hand_over_that_something_came_of_is_left() -> None:
    begun, refused, changed, waits, at_dev, not_in_dev = (handed_over() for _ in range(6))
    began = {"release_id": "r", "at": "accepted", "until": LATE.isoformat()}
    begun.add(Action.RELEASE, "1", "accepted", version="2", **began)
    refused.add(Action.RELEASE, "1", "refused", version="2", release_id="r")
    changed.switch(Action.ROLLBACK, "1", "0", 1)
    waits.add(Action.RELEASE, "1", "accepted", version="3", **began)
    in_dev = {"environment": "dev", "route": route("2").model_dump(mode="json")}
    at_dev.add(Action.ENVIRONMENT, "1", "entered", **in_dev)
    not_in_dev.add(Action.ENVIRONMENT, "1", "refused", **in_dev)

    for told in (begun, refused, changed, waits, at_dev, not_in_dev):
        assert lost_hand_over(told.entries, LATE) is None
    waits.add(Action.RELEASE, "1", "hold", version="3", release_id="r")
    assert lost_hand_over(waits.entries, LATE) is not None, "the release before it has ended"
    other = handed_over()
    other.add(Action.ENVIRONMENT, "1", "rolled_back", **in_dev)
    assert lost_hand_over(other.entries, LATE) is not None, "who leaves dev does not begin a release"
