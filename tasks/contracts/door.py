"""What is kept and said of labelled requests that look like no ordinary traffic, and who sent them."""

from datetime import date
from typing import Literal

from pydantic import AwareDatetime

from tasks.contracts.contract import Contract
from tasks.contracts.release import WithReason

HeldState = Literal["held", "released", "confirmed"]

OF_SENDER = "sender:"
NAMELESS = "a sender without a name"


def in_words(subject: str) -> str:
    """What a decision is about, as people read it; all else than a sender without a name as it is."""
    return NAMELESS if subject == OF_SENDER else subject


class DoorColumn(Contract):
    """What a column of the reference is like, so that a value far outside of it can be told.

    Attributes:
        column: Its name; of a number about a text it is derived, such as `text: characters`.
        source: The feature that it is about.
        kind: `number`, or `category` where the reference shows that its values hardly change.
        low, high: The 0.5 % and the 99.5 % quantile of a number.
        limit: A number is far where it is more than this below `low` or above `high`, in its own unit.
        values: All values of a category, as text.
        nulls: Whether rows of the reference have none.
    """

    column: str
    source: str
    kind: Literal["number", "category"]
    low: float = 0.0
    high: float = 0.0
    limit: float = 0.0
    values: tuple[str, ...] = ()
    nulls: bool = False


class CrowdSize(Contract):
    """How many rows say the same in ordinary traffic.

    Attributes:
        rows: The size of a block of rows that came one after another.
        largest: The most rows of any such block of the reference that say the same.
    """

    rows: int
    largest: int


class DoorScales(Contract):
    """What ordinary rows of a champion's reference are like.

    Attributes:
        run_id: The champion's run.
        tables: The versions of the tables that the rows are of: as they were when it first answered.
        rows: How many rows were looked at.
        texts: The features that hold text.
        words: Of each text, the words that the reference has most often.
        edges: Of each number, the values between which it counts as the same.
        columns: What is far in each column.
        floods: How many rows say nearly the same.
        probes: In how many values of one field rows differ that are equal in all others.
    """

    run_id: str
    tables: dict[str, int]
    rows: int
    texts: tuple[str, ...]
    words: dict[str, tuple[str, ...]]
    edges: dict[str, tuple[float, ...]]
    columns: tuple[DoorColumn, ...]
    floods: tuple[CrowdSize, ...]
    probes: tuple[CrowdSize, ...]


class Crowd(Contract):
    """How much of what a sender sent on one day says the same.

    Attributes:
        largest: The size of the largest group.
        ordinary: How large one is in as many rows of the reference.
        share_of_others: The median, over the other senders of that day, of the share of their largest group;
            None where they are too few to tell.
    """

    largest: int
    ordinary: float
    share_of_others: float | None = None


class SenderDay(Contract):
    """What a sender asked on one day (UTC), of which labels have come.

    Attributes:
        sender: The name of the token; None for all requests without one.
        requests: That were looked at.
        far: How many of them are far outside of the reference.
        far_share_of_others: The median share of the same of the other senders of that day; None where they
            are too few to tell.
        example: What is far in one of them; a sentence.
    """

    sender: str | None
    day: AwareDatetime
    requests: int
    far: int
    far_share_of_others: float | None
    example: str
    flood: Crowd
    probing: Crowd


class DoorVerdict(Contract):
    """Which of a sender's requests are kept out of training.

    Attributes:
        far: Whether those that are far outside of the reference are.
        flood_above: Those are of which more than this say nearly the same.
        probing_above: Those are which differ in one field only, in more than this many values.
    """

    far: bool
    flood_above: int
    probing_above: int


DoorReason = Literal["flood", "probing", "out_of_distribution"]


class HeldCount(Contract):
    """How many labelled requests of a sender and a day are kept out of training for one reason, or were.

    Attributes:
        reason: `out_of_distribution`, `flood` or `probing`; several are joined by a comma.
        state: `held` until a person decides; `released` rows join, `confirmed` ones never do.
        why: Of one of them; a sentence.
    """

    sender: str | None
    day: AwareDatetime
    reason: str
    state: HeldState
    rows: int
    why: str


class DecideSenderRequest(WithReason):
    """A person's word on what is held of a sender: `release` it to be trained on, or `confirm` that it never
    is.

    Attributes:
        sender: The name of the token; empty for requests without one.
        day: Only what was asked on this day (UTC); None for all.
        held_for: Only what is held for this reason; None for all. What is held for another reason too is not
            released by it.
    """

    sender: str
    decision: Literal["release", "confirm"]
    day: date | None = None
    held_for: DoorReason | None = None


class SenderDecision(Contract):
    """What was decided, and on how many rows; so many of the sender's requests wait still.

    Attributes:
        still_held: None in what was decided before this was counted.
    """

    model: str
    sender: str
    after: HeldState
    rows: int
    still_held: int | None = None
    ledger_hash: str
