"""What looks like no ordinary traffic is held at the door, by its sender, until a person decides on it."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import Action, Crowd, SenderDay
from tasks.data.collect import takeback_table
from tasks.data.door import held
from tasks.data.door.decide import FEWEST_IN_A_CROWD, decide
from tasks.data.labels import land_labels
from tasks.errors import InvalidRequest
from tasks.ledger import entries
from tasks.ledger.verify import verify
from tasks.monitoring.door.look import look
from tasks.stores.files import at
from tasks.stores.lake import Lake
from tests.unit.asked import WORDS, ask, history, texts
from tests.unit.held import COPIED, counted, land, near_copies, word
from tests.unit.reviews import DAY, SPEC, ingested

SPAN = (DAY, DAY + timedelta(days=1))


def joined() -> list[str]:
    """The rows of the training table that came from the service, once for each time."""
    rows = Lake().query("SELECT review_id FROM reviews WHERE source = 'traffic' ORDER BY 1", ["reviews"])
    found: list[str] = rows["review_id"].to_pylist()
    return found


def test_a_poisoner_s_near_copies_join_only_when_a_person_releases_their_sender_and_then_once(
    home: Path,
) -> None:
    history()
    ordinary = ask(texts(300, seed=2), "shop", name="shop")
    poison = ask(near_copies(2000), "attacker", name="bad", label=0)

    assert land() == 300
    ingested(home)

    assert joined() == sorted(ordinary)
    assert counted() == {("attacker", "flood", "held"): 2000}
    [signal] = look(held.counts(Lake(), SPEC.name), SPAN)
    assert (signal.subject, signal.reason, signal.level, signal.value) == ("attacker", "flood", "alarm", 2000)
    assert (
        "2000 of the 2000 labelled requests of the sender 'attacker' on 2026-01-05 say nearly" in signal.why
    )
    [entry] = entries.history(SPEC.name, [Action.DOOR])
    assert (entry.before, entry.after) == ("sender:attacker", "held")

    assert word(home, "release").rows == 2000
    assert land() == 2000
    ingested(home, "again")
    assert joined() == sorted([*ordinary, *poison])
    assert land() == 0
    ingested(home, "once more")
    assert joined() == sorted([*ordinary, *poison])
    assert look(held.counts(Lake(), SPEC.name), SPAN) == ()
    assert [finding for finding in verify() if finding.kind != "unchecked"] == []


def test_without_the_door_all_of_them_join(home: Path) -> None:
    history()
    ask(near_copies(2000), "attacker", label=0)
    open_door = SPEC.data.model_copy(update={"door": SPEC.data.door.model_copy(update={"enabled": False})})
    assert land(SPEC.model_copy(update={"data": open_door})) == 2000


def test_a_verdict_is_decided_again_from_its_entry_in_the_ledger(home: Path) -> None:
    history()
    ask(near_copies(100), "attacker")
    land()
    [entry] = entries.history(SPEC.name, [Action.DOOR])
    [day] = entry.evidence["days"]
    assert decide(SenderDay.model_validate(day["measured"])).model_dump(mode="json") == day["verdict"]


def test_what_is_confirmed_never_joins_and_what_the_sender_sends_later_is_judged_anew(home: Path) -> None:
    history()
    ask(near_copies(100), "attacker", name="a")
    assert land() == 0
    word(home, "confirm")
    later = ask(texts(50, seed=3), "attacker", name="b", at=DAY + timedelta(days=1))
    assert land() == len(later)
    assert counted() == {("attacker", "flood", "confirmed"): 100}
    [signal] = look(held.counts(Lake(), SPEC.name), SPAN)
    assert signal.level == "note"


def test_a_person_may_change_their_mind_and_decide_on_one_day_alone(home: Path) -> None:
    history()
    ask(near_copies(100), "attacker", name="a")
    ask(near_copies(60), "attacker", name="b", at=DAY + timedelta(days=1))
    assert land() == 0
    word(home, "confirm")
    before = len(entries.history(SPEC.name))
    assert word(home, "confirm").rows == 160
    assert len(entries.history(SPEC.name)) == before, "the same once more is no decision"

    assert word(home, "release", day="2026-01-06").rows == 60
    assert land() == 60
    assert word(home, "release").rows == 160
    assert land() == 100


def test_what_is_released_before_a_label_was_taken_back_does_not_join(home: Path) -> None:
    history()
    ask(near_copies(100), "attacker")
    land()
    word(home, "release")
    until = {"sequence": 1, "sent_by": "attacker", "since": None, "until": DAY + timedelta(days=2)}
    rows = [{**until, "until": until["until"].isoformat(), "labels": 100, "why": "He lied."}]
    Lake().append(f"{SPEC.name}__takebacks", takeback_table(rows), batch_id="t")
    assert land() == 0


def test_a_word_on_a_sender_of_whom_nothing_is_held_names_those_of_whom_something_is(home: Path) -> None:
    history()
    ask(near_copies(100), "attacker")
    land()
    with pytest.raises(InvalidRequest, match="Held are: sender:attacker"):
        word(home, "release", "atacker")
    with pytest.raises(InvalidRequest, match="Nothing of sender:attacker of 2026-02-01"):
        word(home, "release", day="2026-02-01")
    with pytest.raises(InvalidRequest, match="Nothing of a sender without a name of"):
        word(home, "release", "")


def test_of_a_flood_whose_labels_come_in_small_portions_no_more_joins_than_is_no_crowd(home: Path) -> None:
    history()
    copies = near_copies(100)
    landed = 0
    for portion in range(10):
        ask(copies[portion * 10 : portion * 10 + 10], "attacker", name=f"bad{portion}-")
        landed += land()
    assert landed == FEWEST_IN_A_CROWD
    assert counted() == {("attacker", "flood", "held"): 80}


def test_what_a_load_test_asks_keeps_no_label_of_the_same_text_out(home: Path) -> None:
    history()
    ask([COPIED] * 500, None, name="load", labelled=False)
    ask([COPIED, *texts(20, seed=3)], None, name="real")
    assert land() == 21


def test_without_tokens_the_day_is_judged_as_one(home: Path) -> None:
    history()
    ordinary = ask(texts(300, seed=2), None, name="p")
    ask(near_copies(100), None, name="bad")
    assert land() == len(ordinary)
    assert counted() == {(None, "flood", "held"): 100}
    [signal] = look(held.counts(Lake(), SPEC.name), SPAN)
    assert signal.subject == "requests without a token"
    assert word(home, "release", "").rows == 100
    assert land() == 100


def test_a_text_that_is_popular_in_the_reference_is_no_flood(home: Path) -> None:
    history(times=200, repeated=COPIED)
    said = texts(300, seed=2)
    said[::10] = [COPIED] * 30
    ask(said, "shop")
    assert land() == 300


def test_a_text_that_other_senders_repeat_as_much_is_no_flood(home: Path) -> None:
    history()
    for number, sender in enumerate(("a", "b", "c", "d")):
        ask([*texts(120, seed=number), *[COPIED] * 40], sender, name=sender)
    assert land() == 4 * 160
    ask([*texts(20, seed=9), *[COPIED] * 140], "loud", name="loud")
    assert land() == 20
    assert counted() == {("loud", "flood", "held"): 140}


STRANGE = {
    "a null byte": "A film \x00 that was " + " ".join(WORDS[:20]),
    "base64": "QUJD" * 5000,
    "no letters": "!?" * 300,
    "another language": "Никто не знает, почему этот фильм такой длинный и скучный",
}


@pytest.mark.parametrize("text", STRANGE.values(), ids=STRANGE)
def test_a_text_of_another_kind_is_held(home: Path, text: str) -> None:
    history()
    ask([*texts(30, seed=2), text])
    assert land() == 30
    assert counted() == {("shop", "out_of_distribution", "held"): 1}


@pytest.mark.parametrize("text", [None, "", " ", 5, ["x"], "x" * 20_000, "\u0000", "\U0001f600" * 5000])
def test_whatever_was_asked_is_judged_and_none_of_it_is_lost(home: Path, text: Any) -> None:
    history()
    ask([*texts(30, seed=2), {"text": text}])
    landed = land()
    assert landed + sum(counted().values()) == 31
    assert land() == 0


def test_a_collect_that_was_killed_before_it_held_anything_holds_it_when_it_is_tried_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history()
    ask(near_copies(100), "attacker")

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(held, "hold", killed)
        with pytest.raises(KeyboardInterrupt):
            land()
    assert land() == 0
    assert sum(counted().values()) == 100
    assert len(entries.history(SPEC.name, [Action.DOOR])) == 1, "the same decision is written once"


def test_what_another_collect_held_first_is_held_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history()
    ask(near_copies(100), "attacker")
    hold = held.hold

    def both(lake: Lake, model: str, number: int, rows: list[dict[str, Any]]) -> None:
        hold(lake, model, number, rows[:40])
        hold(lake, model, number, rows)

    monkeypatch.setattr(held, "hold", both)
    assert land() == 0
    assert len(Lake().read(held.name_of(SPEC.name))) == 100


def test_ordinary_texts_lose_no_more_than_is_declared(home: Path) -> None:
    history(4000)
    ask(texts(3000, seed=5), None)
    assert land() >= 3000 * (1 - SPEC.data.door.ordinary_share)


def test_a_table_with_too_few_rows_holds_nothing(home: Path) -> None:
    history(50)
    ask(near_copies(100), "attacker")
    assert land() == 100


def test_a_portion_that_was_not_finished_is_made_again_without_what_is_held(home: Path) -> None:
    history()
    ask([*texts(30, seed=2), *near_copies(100)])
    landed = land_labels(Lake(), SPEC)
    at(str(landed.file)).unlink()
    assert land_labels(Lake(), SPEC) == landed
    assert len(Lake().read(held.name_of(SPEC.name))) == 100


@pytest.mark.parametrize(
    ("far", "others", "keeps"), [(0, None, False), (5, None, True), (5, 0.0, True), (5, 0.03, False)]
)
def test_what_is_far_is_kept_out_unless_the_other_senders_have_as_much(
    far: int, others: float | None, keeps: bool
) -> None:
    assert decide(day(far=far, far_share_of_others=others)).far is keeps


def test_a_crowd_is_measured_by_the_reference_and_by_the_other_senders() -> None:
    assert decide(day()).flood_above == FEWEST_IN_A_CROWD
    assert decide(day(flood=Crowd(largest=90, ordinary=30))).flood_above == 90
    assert decide(day(flood=Crowd(largest=90, ordinary=0, share_of_others=0.5))).flood_above == 150


def day(**changes: Any) -> SenderDay:
    quiet = Crowd(largest=1, ordinary=1)
    own = {"sender": "s", "day": DAY, "requests": 100, "far": 0, "far_share_of_others": None, "example": ""}
    return SenderDay.model_validate({**own, "flood": quiet, "probing": quiet, **changes})
