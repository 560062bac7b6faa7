"""What a person is asked where the champion falls on new labels, and what they answer."""

from typing import Literal

from pydantic import AwareDatetime

from tasks.contracts.contract import Contract
from tasks.contracts.release import WithReason


class LabelIncidentRequest(WithReason):
    """A person's answer: are the new labels wrong (`poison`), or has the world changed (`the_world`)?"""

    answer: Literal["poison", "the_world"]


class JoinedBatch(Contract):
    """Rows that joined a table together.

    Attributes:
        file: The landed file; None where that is not known, as of labels that were collected.
        joined_at: When the last of them joined.
    """

    batch_id: str
    rows: int
    file: str | None = None
    joined_at: AwareDatetime | None = None


class LabelIncidentAnswer(Contract):
    """What was answered, and to what.

    Attributes:
        incident: The number of the ledger's entry in which the gate found it.
        batches: The batches that joined the model's table since the champion's snapshot, newest first.
        next_step: What to do now; a sentence.
    """

    model: str
    answer: Literal["poison", "the_world"]
    incident: int
    batches: tuple[JoinedBatch, ...]
    next_step: str
    ledger_hash: str
