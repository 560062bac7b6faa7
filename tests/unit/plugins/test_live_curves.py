"""What a training says of itself reaches Airflow's state store, and nothing that it should not hold."""

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from plugins.live_curves import KEY, LARGEST_BYTES, HandingOn, curves_shown
from tasks.contracts import Curve, TrainingCurves
from tasks.training.points import MOST_CURVES, MOST_POINTS, made

AT = datetime(2026, 11, 1, tzinfo=UTC)
log = logging.getLogger("test_live_curves")


class Memory:
    """Stands for Airflow's state store of a task, which needs a supervisor of a worker."""

    def __init__(self, *, away: bool = False) -> None:
        self.kept: list[tuple[str, Any]] = []
        self.away = away

    def set(self, key: str, value: Any, **_: Any) -> None:
        if self.away:
            raise ConnectionError("the API server is away")
        self.kept.append((key, value))


def record(*points: tuple[float, float]) -> TrainingCurves:
    return TrainingCurves(run_id="r", begun_at=AT, at=AT, curves=(Curve(name="loss", points=points),))


def test_what_is_new_is_handed_on_once_and_the_last_at_the_end(tmp_path: Path) -> None:
    file, memory = UPath(tmp_path / "curves.json"), Memory()
    handing = HandingOn(file, memory, log)
    handing.look()
    file.write_text(record((1, 0.5)).model_dump_json())
    handing.look()
    handing.look()
    assert memory.kept == [(KEY, record((1, 0.5)).model_dump(mode="json"))]

    with curves_shown("train", file, memory, log):
        file.write_text(record((1, 0.5), (2, 0.4)).model_dump_json())
    assert memory.kept[-1][1]["curves"][0]["points"] == [[1.0, 0.5], [2.0, 0.4]]


def test_another_step_hands_nothing_on(tmp_path: Path) -> None:
    file, memory = UPath(tmp_path / "curves.json"), Memory()
    file.write_text(record().model_dump_json())
    with curves_shown("package", file, memory, log), curves_shown("train", file, None, log):
        pass
    assert memory.kept == []


@pytest.mark.parametrize(
    "written", ["{}", "not JSON", record().model_dump_json().replace('"r"', f'"{"r" * 900}"')]
)
def test_what_breaks_its_contract_is_told_once_and_goes_no_further(
    tmp_path: Path, written: str, caplog: pytest.LogCaptureFixture
) -> None:
    file, memory = UPath(tmp_path / "curves.json"), Memory()
    file.write_text(written)
    handing = HandingOn(file, memory, log)
    handing.look()
    handing.look()
    assert (memory.kept, caplog.text.count("break their contract")) == ([], 1)


def test_more_than_a_step_of_ours_writes_is_not_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, memory = UPath(tmp_path / "curves.json"), Memory()
    file.write_text(record().model_dump_json() + " " * LARGEST_BYTES)
    HandingOn(file, memory, log).look()
    assert (memory.kept, "more than 64,000 bytes" in caplog.text) == ([], True)


def test_the_largest_record_of_ours_is_read(tmp_path: Path) -> None:
    points = [(float(10**15 + step), -1.234567890123e-300 * step) for step in range(1, MOST_POINTS + 1)]
    curves = tuple(made(f"{number}" * 250, points) for number in range(MOST_CURVES))
    file, memory = UPath(tmp_path / "curves.json"), Memory()
    file.write_text(TrainingCurves(run_id="r", begun_at=AT, at=AT, curves=curves).model_dump_json())
    HandingOn(file, memory, log).look()
    assert len(memory.kept) == 1
    assert len(json.dumps(memory.kept[0][1])) < LARGEST_BYTES


def test_an_api_server_that_is_away_is_told_once_and_the_training_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, memory = UPath(tmp_path / "curves.json"), Memory(away=True)
    file.write_text(record((1, 0.5)).model_dump_json())
    with curves_shown("train", file, memory, log):
        pass
    assert "not shown on the Models pages: ConnectionError: the API server is away" in caplog.text
