"""A candidate that the gate held, and that is decided again once there are more rows."""

from tasks.contracts.context import Request
from tasks.contracts.contract import Contract
from tasks.contracts.data import DataSnapshot
from tasks.spec import PipelineSpec


class HeldRequest(Request):
    spec: PipelineSpec


class Held(Contract):
    """The candidate that was held last, against the version that serves.

    Attributes:
        entry: The number of the ledger's entry that held it.
        why: Which rows it waited for, and how many there are; a sentence.
    """

    model: str
    run_id: str
    entry: int
    why: str


class TakeUpRequest(Request):
    """`snapshot`: newer rows, of which the test part is the one to judge the candidate on."""

    spec: PipelineSpec
    held: Held
    snapshot: DataSnapshot
