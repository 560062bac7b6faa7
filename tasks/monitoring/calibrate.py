"""Make the reference of a champion when it is promoted, so that its first check finds it.

Where this did not happen, because another program released the version, the first check makes it.
"""

from tasks.contracts import Calibrated, CalibrateRequest
from tasks.errors import InvalidProject
from tasks.monitoring.look import reference_of
from tasks.monitoring.profiles.stored import id_of
from tasks.stores.lake import Lake


def calibrate(request: CalibrateRequest) -> Calibrated:
    """Make and keep the reference of the run that serves now; one that there is already stays.

    A model that cannot be compared serves all the same: `why` says so here, and its check refuses it.

    Raises:
        FrozenSetMismatch: A part of the snapshot is not the one that was frozen.
    """
    spec, run = request.spec, request.run
    try:
        reference = reference_of(Lake(), run, spec)
    except InvalidProject as error:
        return Calibrated(model=spec.name, run_id=run.run_id, reference_id=None, days=0, why=str(error))
    days = len(reference.days)
    return Calibrated(
        model=spec.name,
        run_id=run.run_id,
        reference_id=id_of(reference),
        days=days,
        why=f"The reference has {reference.whole.rows} rows of its snapshot, of {days} days.{_more(days)}",
    )


def _more(days: int) -> str:
    if days:
        return ""
    return " Nothing says when they happened: its first quiet windows tell how much days differ."
