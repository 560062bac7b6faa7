"""Of ordinary days the door keeps out at most the declared share, with the shipped models' real data."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from tasks.data.door import held
from tasks.data.labels import land_labels
from tasks.spec import PipelineSpec
from tasks.stores.lake import Lake, arrow_schema
from tests.conftest import PROJECT
from tests.model.conftest import example_data
from tests.unit.asked import ask
from tests.unit.reviews import DAY

DAYS = 3


def spec_of(model: str) -> PipelineSpec:
    return PipelineSpec.load(PROJECT / "models" / model / "pipeline.yaml")


def join(spec: PipelineSpec, rows: pd.DataFrame) -> None:
    """Let these rows have joined the model's table."""
    times = [name for name, kind in spec.data.columns.items() if kind == "timestamp"]
    typed = rows.assign(**{name: pd.to_datetime(rows[name], utc=True) for name in times})
    table = pa.Table.from_pandas(typed, arrow_schema(spec.data.columns), preserve_index=False)
    Lake().append(spec.data.table, table, batch_id="history")


def instances(spec: PipelineSpec, rows: pd.DataFrame) -> list[Any]:
    return rows[list(spec.data.features)].to_dict("records")


def days(rows: pd.DataFrame, count: int) -> Iterator[pd.DataFrame]:
    """The rows in so many parts, in their order."""
    for number in range(count):
        yield rows.iloc[number * len(rows) // count : (number + 1) * len(rows) // count]


@pytest.mark.parametrize(
    ("model", "arguments", "known", "asked"),
    [
        ("flight_delay", ("--months", "1", "2", "3", "4"), 80_000, 3_000),
        ("review_sentiment", (), 8_000, 2_000),
    ],
)
def test_ordinary_traffic_loses_no_more_than_is_declared_and_copies_of_it_stay_out(
    home: Path, tmp_path: Path, model: str, arguments: tuple[str, ...], known: int, asked: int
) -> None:
    spec = spec_of(model)
    rows = example_data(model, tmp_path / "rows", *arguments).dropna(subset=spec.data.label)
    join(spec, rows[:known])
    traffic = rows[known : known + asked]
    for number, day in enumerate(days(traffic, DAYS)):
        at = DAY + timedelta(days=number)
        ask(instances(spec, day), None, name=f"day{number}-", at=at, spec=spec)
    ask(instances(spec, traffic[:1]) * 200, "attacker", name="copy", at=DAY, spec=spec, label=0)

    landed = land_labels(Lake(), spec).rows

    assert landed >= asked * (1 - spec.data.door.ordinary_share)
    counts = [each for each in held.counts(Lake(), spec.name) if each.sender == "attacker"]
    assert [(each.reason, each.rows) for each in counts] == [("flood", 200)]
