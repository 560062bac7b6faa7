"""See that a promotion in the ledger is what the gate would say of its evidence."""

import sqlalchemy as sa

from tasks.contracts import Action, GateDecision, LedgerEntry
from tasks.errors import GateRefused
from tasks.gate.decide import is_of_earlier_rules, replay
from tasks.ledger import entries


def require_replay(entry: LedgerEntry) -> None:
    """Refuse a decision that was written into the ledger and not decided.

    What an earlier Perennial decided, by other rules, stands; but after the first decision by today's rules
    there can be none of them.

    Raises:
        GateRefused: The evidence gives another decision.
    """
    if is_of_earlier_rules(entry):
        if entries.in_turn(lambda connection: _is_late(connection, entry)):
            raise GateRefused(
                f"The ledger's entry {entry.sequence} on {entry.model!r} lacks the level of its comparison, "
                "which entries before it have: the gate did not write it. Let the gate judge the candidate."
            )
        return
    again, written = replay(entry), GateDecision.model_validate(entry.evidence["decision"])
    if again != written:
        raise GateRefused(
            f"The evidence of the ledger's entry {entry.sequence} on run {written.run_id} of {entry.model!r} "
            f"gives {again.verdict!r}, but the entry says {written.verdict!r}. Whoever wrote it was not the "
            f"gate: let the gate judge the candidate. {again.why}",
            sequence=entry.sequence,
        )


def _is_late(connection: sa.Connection, entry: LedgerEntry) -> bool:
    return any(
        before.sequence < entry.sequence and not is_of_earlier_rules(before)
        for before in entries.newest_first(connection, entry.model, Action.GATE)
    )
