"""Write down that somebody does not want to be alerted for a while, or wants to be again."""

from datetime import UTC, datetime

from tasks.contracts import Action, Silenced, SilenceRequest
from tasks.errors import InvalidRequest
from tasks.ledger import entries
from tasks.monitoring.alerts.due import ENDED, SILENCED
from tasks.monitoring.alerts.records import silences_of


def silence(request: SilenceRequest) -> Silenced:
    """Silence the alerts of a model, or end that; once, however often the step is tried.

    What is silenced stays in the ledger and in `perennial status`.

    Raises:
        InvalidRequest: A silence is to be ended, and none holds.
        LedgerBroken: Nothing can be recorded.
    """
    ends = request.days is None
    if ends and not _written(request) and not _holds(request):
        of = f" of alerts about {request.of}" if request.of else ""
        raise InvalidRequest(f"No silence{of} of {request.model!r} holds, so there is none to end.")
    entries.record(
        model=request.model,
        actor=request.context.actor,
        action=Action.SILENCE,
        before=request.of or "all",
        after=ENDED if ends else SILENCED,
        why=request.reason,
        evidence={"of": request.of, "days": request.days, "step_key": request.context.step_key},
    )
    return Silenced(model=request.model, silences=tuple(silences_of(request.model, datetime.now(UTC))))


def _holds(request: SilenceRequest) -> bool:
    """Whether there is a silence that ends: one of the same alerts, or, where all are meant, of any."""
    return any(request.of in {None, each.of} for each in silences_of(request.model))


def _written(request: SilenceRequest) -> bool:
    """Whether an earlier try of the step wrote its entry."""
    key = request.context.step_key
    told = entries.newest_of(request.model, [Action.SILENCE], 20)
    return any(entry.evidence.get("step_key") == key for entry in told)
