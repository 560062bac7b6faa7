"""The tables of the lake as `collect` writes them, without a gateway."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pyarrow.parquet as pq

from tasks.data.collect import as_the_table_is, feedback_table, prediction_table, takeback_table
from tasks.data.labels import Landed, land_labels
from tasks.data.taken_back import hide_taken_back
from tasks.spec import PipelineSpec
from tasks.stores.files import at
from tasks.stores.lake import Lake
from tests.unit.reviews import DAY, SPEC


@dataclass
class Log:
    """Predictions, labels and what was taken back of one model; times are minutes after `DAY`."""

    lake: Lake
    spec: PipelineSpec = SPEC
    written: dict[str, int] = field(default_factory=lambda: {"predictions": 0, "feedback": 0, "takebacks": 0})

    def predict(self, *ids: str, **features: Any) -> None:
        own = {"model_version": "1", "run_id": "r", "prediction": 1, "score": 0.5, "sent_by": "shop"}
        for prediction_id in ids:
            asked = features or {"text": f"Film {prediction_id}."}
            row = {"prediction_id": prediction_id, "predicted_at": _time(0), "features": asked}
            self._append("predictions", row | own)

    def label(self, prediction_id: str, label: Any, *, by: str | None, minute: int = 0) -> None:
        row = {"prediction_id": prediction_id, "label": label, "received_at": _time(minute), "sent_by": by}
        self._append("feedback", row)

    def take_back(self, by: str | None, *, until: int = 60, since: int | None = None) -> None:
        window = {"since": None if since is None else _time(since), "until": _time(until)}
        self._append("takebacks", {"sent_by": by, "labels": 1, "why": "a test", **window})

    def land(self) -> Landed:
        return land_labels(self.lake, self.spec)

    def hide(self) -> dict[str, int]:
        """The rows of each batch that are hidden."""
        return {batch.batch_id: batch.rows for batch in hide_taken_back(self.lake, self.spec)}

    def _append(self, log: str, row: dict[str, Any]) -> None:
        self.written[log] += 1
        rows = [{"sequence": self.written[log], **row}]
        table = {
            "predictions": lambda: prediction_table(rows, self.spec),
            "feedback": lambda: feedback_table(rows),
            "takebacks": lambda: takeback_table(rows),
        }[log]()
        name = f"{self.spec.name}__{log}"
        fitting = as_the_table_is(table, self.lake, name)
        self.lake.append(name, fitting, batch_id=f"{log}-{self.written[log]}")


def read(landed: Landed) -> list[dict[str, Any]]:
    """The rows of a landed file."""
    with at(str(landed.file)).open("rb") as file:
        rows: list[dict[str, Any]] = pq.read_table(file).to_pylist()
    return rows


def _time(minute: int) -> str:
    return (DAY + timedelta(minutes=minute)).isoformat()
