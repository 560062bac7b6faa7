"""What of `monitor` does not fit the data it is about."""

from collections.abc import Iterator

from tasks.spec.data import DataSpec
from tasks.spec.monitor import MonitorSpec

TIMES = {"timestamp", "date"}


def faults_of_monitor(data: DataSpec, monitor: MonitorSpec) -> Iterator[str]:
    """A time column that is none, and rules for columns that are no features."""
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
