"""The look of each fifth minute: how each model stands by its objectives, kept and told to Prometheus.

In the worker itself, by one request a model and two reads of the ledger. The numbers go to Airflow's own
StatsD client, which the platform's exporter hears of the rest of Airflow by: one way out, with no further
port, page or token. Where no StatsD is set up, it drops them.
"""

from datetime import UTC, datetime

from airflow.sdk.observability.stats import Stats

from plugins.operators import BY_CLOCK
from tasks.contracts import ModelFigures
from tasks.errors import LedgerBroken, ServingError
from tasks.monitoring.slo import figures
from tasks.monitoring.slo.gauges import EVERY_MINUTES, gauges_of
from tasks.monitoring.slo.look import look
from tasks.serving.gateway import Gateway
from tasks.settings import settings
from tasks.spec import read_specs

PREFIX = "perennial"
FAULTS = (ServingError, LedgerBroken, AttributeError, LookupError, TypeError, ValueError)
LOOKED = "looked_at_seconds"
"""When the models were looked at last, whichever there are: without it nobody looks any more."""


def is_due(run_type: str, run_after: datetime) -> bool:
    """Whether a run of the minute's look asks for the objectives, too."""
    return run_type == BY_CLOCK and run_after.minute % EVERY_MINUTES == 0


def look_at_objectives() -> None:
    """Look at each model of the project, keep what is known of it, and tell it.

    Raises:
        ServingError, LedgerBroken: Of a model nothing can be told now; the others were looked at all the
            same.
        AttributeError, LookupError, TypeError, ValueError: So, too, where an entry of the ledger or the
            gateway's answer has not the shape that it has to have, as of another Perennial.
    """
    specs = read_specs(settings().models)[0]
    gateway, faults = Gateway(retries=0), list[Exception]()
    for spec in specs:
        before = figures.figures_of(spec.name)
        try:
            found = look(spec, gateway, before.objectives if before else ())
        except FAULTS as fault:
            faults.append(fault)
            continue
        figures.keep(found)
        tell(found)
    figures.forget_all_but({spec.name for spec in specs})
    if faults:
        raise faults[0]
    Stats.gauge(f"{PREFIX}.{LOOKED}", datetime.now(UTC).timestamp())


def tell(found: ModelFigures) -> None:
    """Tell StatsD all numbers of a model."""
    for each in gauges_of(found):
        Stats.gauge(f"{PREFIX}.{each.name}", each.value, tags=each.tags)
