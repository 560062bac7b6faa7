"""What is held at the door is told and decided on by reason."""

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from tasks.contracts import Action
from tasks.data.door import held
from tasks.errors import InvalidRequest
from tasks.ledger import entries
from tasks.stores.lake import Lake, arrow_schema
from tests.unit.asked import ask, history
from tests.unit.held import counted, land, near_copies, word
from tests.unit.reviews import DAY, SPEC

FAR = "Никто не знает, почему этот фильм такой длинный и скучный"


def flood_and_far(copies: int, far: int) -> None:
    history()
    ask([f"{FAR} {number}" * (number + 1) for number in range(far)], "attacker", name="far")
    ask(near_copies(copies), "attacker", name="copies")
    assert land() == 0


def test_the_ledger_tells_every_reason_with_its_requests_the_largest_first(home: Path) -> None:
    flood_and_far(100, 5)
    [entry] = entries.history(SPEC.name, [Action.DOOR])
    assert entry.why.startswith("105 labelled requests of the sender 'attacker' are kept out of training. ")
    assert "training. 100 for flood: 100 of the 105 labelled requests" in entry.why
    assert "5 for out_of_distribution: 5 of the 105 labelled requests" in entry.why


def test_a_person_may_decide_on_one_reason_and_the_rest_stays_held(home: Path) -> None:
    flood_and_far(100, 5)
    decided = word(home, "release", held_for="flood")
    assert (decided.rows, decided.still_held) == (100, 5)
    assert entries.history(SPEC.name, [Action.DOOR])[-1].evidence["held_for"] == "flood"
    before = len(entries.history(SPEC.name))
    assert word(home, "release", held_for="flood").still_held == 5
    assert len(entries.history(SPEC.name)) == before, "the same once more is no decision"
    assert land() == 100
    with pytest.raises(InvalidRequest, match=r"for probing of .*Held are: sender:attacker for flood, sender"):
        word(home, "release", held_for="probing")
    assert word(home, "confirm", held_for="out_of_distribution").still_held == 0
    assert land() == 0


def test_the_same_word_once_more_names_the_entry_that_it_is_so_by(home: Path) -> None:
    history()
    ask(near_copies(100), "attacker", name="first")
    land()
    decided = word(home, "release")
    ask(near_copies(100), "attacker", at=DAY + timedelta(days=1), name="second")
    land()

    again = word(home, "release", day=DAY.date())

    assert (again.ledger_hash, again.rows) == (decided.ledger_hash, 100)


@pytest.mark.parametrize(
    ("words", "state"),
    [
        ([("release", "flood")], "held"),
        ([("release", "flood"), ("release", "out_of_distribution")], "released"),
        ([("release", None)], "released"),
        ([("confirm", "flood")], "confirmed"),
        ([("release", None), ("confirm", "out_of_distribution")], "confirmed"),
        ([("confirm", "flood"), ("release", None)], "released"),
    ],
)
def test_what_is_held_for_two_reasons_joins_only_when_both_are_released(
    home: Path, words: list[tuple[str, str | None]], state: str
) -> None:
    history()
    ask([f"{FAR} {number}" for number in range(60)], "attacker")
    assert land() == 0
    assert counted() == {("attacker", "out_of_distribution,flood", "held"): 60}
    for decision, reason in words:
        word(home, decision, held_for=reason)
    assert counted() == {("attacker", "out_of_distribution,flood", state): 60}
    assert land() == (60 if state == "released" else 0)


def test_decisions_of_before_there_were_reasons_hold_for_all_of_them(home: Path) -> None:
    history()
    ask(near_copies(100), "attacker")
    land()
    earlier = {name: kind for name, kind in held.DECISIONS.items() if name != "held_for"}
    row = {
        "sender": "attacker",
        "day": None,
        "until_number": 1,
        "state": "released",
        "why": "",
        "ledger_hash": "",
    }
    Lake().create(held.decisions_of(SPEC.name), earlier)
    Lake().append(
        held.decisions_of(SPEC.name), pa.Table.from_pylist([row], arrow_schema(earlier)), batch_id="earlier"
    )
    assert land() == 100
