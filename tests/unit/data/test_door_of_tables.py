"""Requests for a row of a table: what is far outside of the reference, or turns one field only, is held."""

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tasks.data.door import held
from tasks.data.labels import land_labels
from tasks.spec import PipelineSpec
from tasks.stores.lake import Lake, arrow_schema
from tests.unit.asked import ask
from tests.unit.reviews import SPEC

TRIPS = {
    "table": "trips",
    "key": "id",
    "suite": "trips",
    "label": "late",
    "split": {"by": "id"},
    "columns": {"id": "string", "zone": "string", "miles": "float64", "seats": "int64", "late": "int64"},
    "query": "SELECT * FROM trips",
    "features": ["zone", "miles", "seats"],
    "feedback_query": "SELECT prediction_id AS id, zone, miles, seats, label AS late FROM labelled",
}


@pytest.fixture
def trips(home: Path) -> PipelineSpec:
    """A model of a table with few combinations of zone and seats, and 2,000 rows of it."""
    document = SPEC.model_dump() | {"name": "trips", "data": TRIPS, "gate": {}, "monitor": {}}
    document["serving"] = document["serving"] | {
        "input_schema": {
            "type": "object",
            "properties": {
                "zone": {"type": "string"},
                "miles": {"type": "number"},
                "seats": {"type": "integer"},
            },
            "required": ["zone", "miles", "seats"],
        },
        "input_example": {"zone": "z1", "miles": 1.5, "seats": 2},
    }
    spec = PipelineSpec.model_validate({**document, "behaviour": ()})
    rows = [
        {"id": f"r{number}", **trip, "late": number % 2} for number, trip in enumerate(some_trips(2000, 1))
    ]
    Lake().append("trips", pa.Table.from_pylist(rows, arrow_schema(spec.data.columns)), batch_id="history")
    return spec


def some_trips(count: int, seed: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [
        {
            "zone": f"z{rng.randint(1, 5)}",
            "miles": round(rng.lognormvariate(1, 0.5), 3),
            "seats": rng.randint(1, 4),
        }
        for _ in range(count)
    ]


@pytest.mark.parametrize(
    "odd",
    [
        {"miles": 5000.0},
        {"miles": -300.0},
        {"miles": float("nan")},
        {"miles": float("inf")},
        {"miles": None},
        {"seats": 900},
        {"zone": "z9"},
        {"zone": "z1\x00"},
        {"zone": None},
    ],
    ids=str,
)
def test_a_row_of_a_table_that_is_far_outside_of_the_reference_is_held(
    trips: PipelineSpec, odd: dict[str, Any]
) -> None:
    ask([*some_trips(200, 2), {"zone": "z1", "miles": 2.0, "seats": 2, **odd}], spec=trips)
    assert land_labels(Lake(), trips).rows == 200
    [count] = held.counts(Lake(), trips.name)
    assert (count.reason, count.rows) == ("out_of_distribution", 1)
    assert next(iter(odd)) in count.why


def test_a_sender_that_turns_one_field_only_is_held_and_ordinary_repetition_is_not(
    trips: PipelineSpec,
) -> None:
    ask(some_trips(1000, 3), "shop", name="shop", spec=trips)
    probes = [{"zone": "z2", "miles": 1 + number / 100, "seats": 2} for number in range(300)]
    ask(probes, "prober", name="probe", spec=trips)
    assert land_labels(Lake(), trips).rows == 1000
    counts = held.counts(Lake(), trips.name)
    assert all(each.sender == "prober" and "probing" in each.reason for each in counts)
    assert sum(each.rows for each in counts) == len(probes)


def test_a_new_value_that_several_senders_have_is_one_of_the_world(trips: PipelineSpec) -> None:
    new = [{**trip, "zone": "z6"} for trip in some_trips(3, 4)]
    for sender in ("a", "b", "c"):
        ask([*some_trips(50, 5), *new], sender, name=sender, spec=trips)
    assert land_labels(Lake(), trips).rows == 3 * 53
    ask([*some_trips(50, 6), {"zone": "z7", "miles": 2.0, "seats": 1}], "a", name="later", spec=trips)
    assert land_labels(Lake(), trips).rows == 50
