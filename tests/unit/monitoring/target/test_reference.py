"""What a champion is held against, read from the ledger and from its snapshot."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tasks.contracts import Action, TrainingRun
from tasks.errors import FrozenSetMismatch
from tasks.ledger import entries
from tasks.monitoring.target.counting import Group
from tasks.monitoring.target.reference import groups_of, reference_of
from tasks.spec import PipelineSpec
from tasks.stores.lake import Lake
from tests.unit import judged
from tests.unit.monitoring.target.answered import spec_of

START = datetime(2026, 2, 1, tzinfo=UTC)
SPEC = spec_of("review_sentiment")


def trained(home: Path, *, days: int = 5, a_day: int = 40) -> TrainingRun:
    """A run whose validation part has rows of some days; every fourth label is 1."""
    count = days * a_day
    rows = {
        "review_id": [f"r{place}" for place in range(count)],
        "source": ["imdb"] * count,
        "text": [f"Film {place}." for place in range(count)],
        "label": [int(place % 4 == 0) for place in range(count)],
    }
    times = pa.array(
        [START + timedelta(days=place // a_day) for place in range(count)], pa.timestamp("us", "UTC")
    )
    Lake().append("reviews", pa.table({**rows, "written_at": times}), batch_id="first")
    part = judged.part(home, "validation", pa.table(rows))
    frozen = {"validation": part, "table_version": Lake().latest("reviews")}
    return judged.run(snapshot=judged.snapshot().model_copy(update=frozen))


def promote(run: TrainingRun, after: str = "promote") -> None:
    evaluation = judged.evaluation(candidate=0.9)
    evidence: dict[str, Any] = {"decision": {"run_id": run.run_id}, "evaluation": evaluation}
    entries.record(
        model=SPEC.name,
        actor="a test",
        action=Action.GATE,
        before=None,
        after=after,
        why="",
        evidence=evidence,
    )


def test_a_champion_is_held_against_the_metrics_of_its_promotion(home: Path) -> None:
    run = trained(home)
    promote(run)
    promote(run.model_copy(update={"run_id": "d" * 32}))
    found = reference_of(Lake(), SPEC, run)
    assert (found.source, found.run_id) == ("promotion", run.run_id)
    assert found.metrics["accuracy"].value == 0.9


def test_what_the_gate_held_is_no_promotion(home: Path) -> None:
    run = trained(home)
    promote(run, after="hold")
    found = reference_of(Lake(), SPEC, run)
    assert (found.source, found.metrics) == ("none", {})


def test_labels_are_divided_by_the_days_of_their_rows_in_the_table(home: Path) -> None:
    found = reference_of(Lake(), SPEC, trained(home)).label_days
    assert [each.start for each in found] == [START + timedelta(days=day) for day in range(5)]
    assert found[0].labels == {"1": 10, "0": 30}
    weeks = reference_of(Lake(), SPEC, trained(home), timedelta(days=7)).label_days
    assert sum(each.rows for each in weeks) == 200
    assert len(weeks) < 5


def test_days_with_few_rows_are_one_stretch(home: Path) -> None:
    [found] = reference_of(Lake(), SPEC, trained(home, a_day=10)).label_days
    assert (found.start, found.rows) == (None, 50)


def test_a_time_column_that_the_table_has_not_divides_nothing(home: Path) -> None:
    monitor = SPEC.monitor.model_copy(update={"time_column": "nowhere"})
    [found] = reference_of(Lake(), SPEC.model_copy(update={"monitor": monitor}), trained(home)).label_days
    assert found.start is None


def test_a_validation_part_that_was_changed_is_refused(home: Path) -> None:
    run = trained(home)
    judged.part(home, "validation", pa.table({"review_id": ["other"], "label": [1]}))
    with pytest.raises(FrozenSetMismatch):
        reference_of(Lake(), SPEC, run)


def test_rows_are_divided_by_the_columns_that_requests_carry(home: Path) -> None:
    flights = spec_of("flight_delay")
    assert groups_of(flights, judged.run()) == (Group("origin"),)
    assert groups_of(SPEC, judged.run()) == ()
    by = [{"column": "distance_miles", "quantiles": 2}]
    data = PipelineSpec.model_validate(
        flights.model_dump() | {"data": flights.data.model_dump() | {"slice_by": by}}
    )
    part = judged.part(home, "train", pa.table({"distance_miles": [100, 200, 300, 400]}))
    run = judged.run(snapshot=judged.snapshot().model_copy(update={"train": part}))
    assert groups_of(data, run) == (Group("distance_miles", (250.0,)),)
