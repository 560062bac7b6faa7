"""On which columns an archive's answers rest, asked of the archive itself in a real process."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tasks.contracts import Archive, Signal, TrainingRun
from tasks.monitoring.attribution import look as module
from tasks.spec import PipelineSpec
from tasks.stores.lake import Lake
from tests.steps.replayed import NAME, instances, rows, trained
from tests.unit import judged
from tests.unit.monitoring.traffic import DAY, START

COUNT = 300
END = START + 28 * DAY


def log(run: TrainingRun, *, crates: int = 1) -> None:
    """Let the version have been asked about parcels like those of the training, each second of so many times
    the pieces.
    """
    asked = [
        one | {"pieces": one["pieces"] * (crates if number % 2 else 1)}
        for number, one in enumerate(instances(COUNT))
    ]
    logged = pa.table(
        {
            "sequence": list(range(COUNT)),
            "prediction_id": [f"a{number}" for number in range(COUNT)],
            "predicted_at": pa.array(
                [START + timedelta(hours=2 * number) for number in range(COUNT)], pa.timestamp("us", "UTC")
            ),
            "run_id": [run.run_id] * COUNT,
            "request": [json.dumps(one) for one in asked],
        }
    )
    Lake().append(f"{NAME}__predictions", logged, batch_id="a")


def model(home: Path, **changed: str) -> tuple[PipelineSpec, TrainingRun, Archive]:
    spec, run, archive = trained(home, **changed)
    part = judged.part(home / "many", "validation", rows(COUNT))
    return (
        spec,
        run.model_copy(update={"snapshot": run.snapshot.model_copy(update={"validation": part})}),
        archive,
    )


def looked(spec: PipelineSpec, run: TrainingRun, archive: Archive, end: Any = END) -> tuple[Signal, ...]:
    return module.look(Lake(), spec, run, archive, end)


def test_traffic_like_the_reference_rests_on_the_same_columns(home: Path) -> None:
    spec, run, archive = model(home)
    log(run)

    assert looked(spec, run, archive) == ()
    kept = module._kept(Lake(), spec, run, f"{END:%Y-%m}")
    assert kept is not None
    assert [each.column for each in kept.columns] == ["text", "region", "pieces", "weight"]
    assert (kept.reference_rows, kept.rows, kept.days) == (COUNT, COUNT, 25)
    assert kept.seconds < 60


def test_a_column_that_answers_come_to_rest_on_is_named_and_a_month_is_asked_once(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, run, archive = model(home)
    log(run, crates=100_000)

    first = looked(spec, run, archive)
    monkeypatch.setattr(module, "moved", lambda *args: pytest.fail("asked twice in a month"))
    again = looked(spec, run, archive, END + timedelta(hours=5))

    assert "pieces" in [each.subject for each in first]
    assert {each.level for each in first} == {"note"}
    assert again == first


def test_an_archive_that_cannot_be_asked_is_told_and_stops_no_check(home: Path) -> None:
    spec, run, archive = model(home, served_handler="import gone\n")
    log(run)

    [told] = looked(spec, run, archive)

    assert (told.reason, told.level) == ("attribution_unknown", "note")
    assert "gone" in told.why


def test_a_model_of_one_text_says_that_it_is_not_looked_at(home: Path) -> None:
    spec, run, archive = model(home)
    data = spec.data.model_copy(update={"features": ("text",)})

    [told] = looked(spec.model_copy(update={"data": data}), run, archive)

    assert "one feature, text" in told.why
