"""What an earlier version has collected goes on, with the columns that it lacked."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tasks.data.collect import Collector, prediction_table
from tasks.stores.lake import Lake
from tests.unit.reviews import DAY, SPEC

TABLE = f"{SPEC.name}__predictions"


def row(sequence: int, **more: Any) -> dict[str, Any]:
    own = {"model_version": "1", "run_id": "r", "prediction": 1, "score": 0.5, "features": {"text": "a"}}
    return {
        "sequence": sequence,
        "prediction_id": f"p{sequence}",
        "predicted_at": DAY.isoformat(),
        **own,
        **more,
    }


def test_a_table_of_an_earlier_version_gains_the_columns_of_the_log(home: Path) -> None:
    lake, new = Lake(), [row(2, sent_by="shop", latency_seconds=0.25)]
    earlier = prediction_table([row(1)], SPEC).drop(["sent_by", "latency_seconds"])
    lake.append(TABLE, earlier, batch_id="predictions-1-1", app_id=f"collect:{SPEC.name}:predictions:log")
    gateway: Any = SimpleNamespace(log=lambda *_: new)
    collector = Collector(
        lake, gateway, SPEC.name, "predictions", "log", lambda rows: prediction_table(rows, SPEC)
    )

    collector.bring(collector.next_rows())

    kept = lake.query(f"SELECT * FROM {TABLE} ORDER BY sequence", [TABLE]).to_pylist()
    assert [(each["sent_by"], each["latency_seconds"]) for each in kept] == [(None, None), ("shop", 0.25)]
