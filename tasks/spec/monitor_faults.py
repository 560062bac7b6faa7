"""What of `monitor` does not fit the data it is about."""

from collections.abc import Iterator

from tasks.spec.data import DataSpec
from tasks.spec.metrics import kind_of
from tasks.spec.monitor import MonitorSpec

TIMES = {"timestamp", "date"}
MOST_OF_A_SHARE = 0.5
"""What loses more of a metric in [0, 1] is no better than chance."""


def faults_of_monitor(data: DataSpec, monitor: MonitorSpec, primary_metric: str) -> Iterator[str]:
    """A time column that is none, rules for columns that are no features, and a tolerance of all there is."""
    kind = kind_of(primary_metric)
    most = MOST_OF_A_SHARE if kind.is_share else 1.0
    if not kind.in_label_units and monitor.tolerance > most:
        yield (
            f"monitor.tolerance: with {monitor.tolerance:g} of {primary_metric} hardly any loss would be an "
            f"alarm; give it at most {most:g}. So that alarms start no training, say mode: suggest"
        )
    name = monitor.time_column
    times = [column for column, kind in data.columns.items() if kind in TIMES]
    if name is not None and name not in times:
        yield (
            f"monitor.time_column: {name} is no column of {data.table} with times; it has "
            f"{', '.join(times) or 'none'}"
        )
    for column in monitor.columns:
        if column not in data.features:
            yield f"monitor.columns: {column} is none of the features {', '.join(data.features)}"
