"""How old what serves is, and what started a training, as the ledger knows it."""

from datetime import datetime

from tasks.contracts import Action, LedgerEntry, StartedBy
from tasks.ledger import entries
from tasks.ledger.precedent import SWITCHES

MOST = 200
"""So many of a model's newest judgements are looked at."""


def champion_times(model: str) -> tuple[datetime | None, datetime | None]:
    """When what serves was promoted, None where nothing does; and when the newest candidate was judged."""
    judged = entries.newest_of(model, [Action.GATE], MOST)
    newest = entries.newest_of(model, [*SWITCHES, Action.WITHDRAW], 1)
    route = newest[0].evidence.get("route") if newest else None
    judged_at = judged[0].at if judged else None
    if not route or not newest[0].after:
        return None, judged_at
    promoted = [each.at for each in judged if each.after == "promote" and _run_of(each) == route["run_id"]]
    return promoted[-1] if promoted else newest[0].at, judged_at


def champion_run(model: str) -> str | None:
    """The MLflow run of what serves, by the ledger; None where nothing does."""
    newest = entries.newest_of(model, [*SWITCHES, Action.WITHDRAW], 1)
    route = newest[0].evidence.get("route") if newest else None
    return str(route["run_id"]) if route and newest[0].after else None


def judged_code(model: str) -> frozenset[str]:
    """What candidates were trained with that the gate has judged, whatever came of it; as `digest_of`."""
    judged = entries.newest_of(model, [Action.GATE], MOST)
    return frozenset(each.evidence["code"] for each in judged if each.evidence.get("code"))


def started_a_granted_training(model: str, train_run_id: str) -> StartedBy | None:
    """What a granted training was asked for by; None for a run that no request was granted.

    It goes by the ledger, so that nobody can claim it by a parameter.
    """
    for entry in entries.newest_of(model, [Action.RETRAIN], MOST):
        if entry.after == "granted" and entry.evidence.get("train_run_id") == train_run_id:
            asked = entry.evidence.get("drift_decision")
            check = entries.find(str(asked)) if asked else None
            return "recall" if check is None else _of_check(check)
    return None


def _of_check(check: LedgerEntry) -> StartedBy:
    """`performance` where the gravest thing that the check noticed is how the model answers."""
    signals = check.evidence.get("decision", {}).get("signals", ())
    alarms = [each["question"] for each in signals if each["level"] == "alarm"]
    return "performance" if alarms and "input" not in alarms and "target" in alarms else "drift"


def _run_of(entry: LedgerEntry) -> str | None:
    run_id: str | None = entry.evidence.get("decision", {}).get("run_id")
    return run_id
