"""Look at the columns of a recorded check once more: by the reference that judged it, whatever came since."""

from datetime import datetime

from tasks.contracts import LedgerEntry, Reference, WindowProfile
from tasks.monitoring.comparison import rate_of
from tasks.monitoring.inputs.columns import Columns, look_at_columns
from tasks.monitoring.profiles.stored import Looked, profiles_as_seen, reference_by_id
from tasks.monitoring.watch import recorded_rules
from tasks.monitoring.windows import judged_together
from tasks.stores.lake import Lake


def columns_again(lake: Lake, entry: LedgerEntry) -> Columns:
    """What the check of the entry saw in the columns.

    Args:
        entry: Of a drift check that judged the columns.

    Raises:
        LookupError: The lake has its reference, or the profile of one of its windows, no more.
    """
    rules = recorded_rules(entry.evidence["rules"])
    reference, windows = _reference(lake, entry), _windows(lake, entry)
    judged = judged_together(windows, rules)
    length = windows[-1].end - windows[-1].start
    return look_at_columns(reference, judged, rules, rate_of(rules, "input", length))


def _reference(lake: Lake, entry: LedgerEntry) -> Reference:
    reference_id = str(entry.evidence["reference"])
    found = reference_by_id(lake, entry.model, reference_id)
    if found is None:
        raise LookupError(f"The lake has no reference {reference_id} of {entry.model!r} any more.")
    return found


def _windows(lake: Lake, entry: LedgerEntry) -> list[WindowProfile]:
    wanted: list[Looked] = [
        (datetime.fromisoformat(start), datetime.fromisoformat(end), int(rows))
        for start, end, rows in entry.evidence["windows"]
    ]
    found = profiles_as_seen(lake, entry.model, str(entry.before))
    if missing := [each for each in wanted if each not in found]:
        raise LookupError(
            f"The lake has the window of {missing[0][0].isoformat()} with {missing[0][2]} rows "
            f"no more, which entry {entry.sequence} of the ledger was decided by."
        )
    return [found[each] for each in wanted]
