"""The Airflow DAG `reconcile_ledger`."""

from plugins.forms import no_form
from plugins.housekeeping import fail_by_faults, look_for_mismatches, send_alerts, settle_mismatches
from plugins.pipeline import pipeline
from plugins.rollouts import start_releases
from plugins.schedules import each_minute_and_moved_alias


@pipeline(
    over=lambda _: {"ledger": "ledger"}, schedule=each_minute_and_moved_alias, form=no_form, paused=False
)
def reconcile(_: str) -> None:
    """See that what serves, the alias in MLflow and the ledger agree; carry on or undo what does not.

    And tell people what they have to know of.
    """
    send_alerts()
    settled = settle_mismatches(look_for_mismatches())
    fail_by_faults(settled, after=start_releases(settled))
