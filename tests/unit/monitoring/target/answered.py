"""A log of predictions and labels of shipped models, as `collect` writes it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from tasks.data.collect import feedback_table, prediction_table, takeback_table
from tasks.settings import PROJECT
from tasks.spec import PipelineSpec
from tasks.stores.lake import Lake

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
RUN = "a" * 32


def spec_of(model: str) -> PipelineSpec:
    return PipelineSpec.load(PROJECT / "models" / model / "pipeline.yaml")


@dataclass
class Answered:
    """What a service was asked, and the labels that came back."""

    spec: PipelineSpec
    written: dict[str, int] = field(default_factory=lambda: {"predictions": 0, "feedback": 0, "takebacks": 0})

    def predict(
        self,
        answers: list[Any],
        *,
        day: int = 0,
        scores: list[float | None] | None = None,
        run_id: str = RUN,
        **features: Any,
    ) -> list[str]:
        """Predictions of a day by a version; features are lists, or what every row has. Gives their ids."""
        first = self.written["predictions"]
        rows = [
            {
                "sequence": first + place + 1,
                "prediction_id": f"p{first + place}",
                "predicted_at": (START + day * DAY + timedelta(seconds=place)).isoformat(),
                "model_version": "1",
                "run_id": run_id,
                "prediction": answer,
                "score": scores[place] if scores else None,
                "sent_by": "shop",
                "latency_seconds": 0.01,
                "features": self.spec.serving.input_example
                | {
                    name: value[place] if isinstance(value, list) else value
                    for name, value in features.items()
                },
            }
            for place, answer in enumerate(answers)
        ]
        self._append("predictions", prediction_table(rows, self.spec), len(rows))
        return [str(row["prediction_id"]) for row in rows]

    def label(self, ids: list[str], labels: list[Any], *, by: str = "shop", hour: int = 0) -> None:
        rows = [
            {
                "sequence": self.written["feedback"] + place + 1,
                "prediction_id": name,
                "label": label,
                "received_at": (START + timedelta(hours=hour)).isoformat(),
                "sent_by": by,
            }
            for place, (name, label) in enumerate(zip(ids, labels, strict=True))
        ]
        self._append("feedback", feedback_table(rows), len(rows))

    def take_back(self, by: str) -> None:
        row = {"sequence": self.written["takebacks"] + 1, "sent_by": by, "since": None}
        row |= {"until": (START + 900 * DAY).isoformat(), "labels": 1, "why": "a test"}
        self._append("takebacks", takeback_table([row]), 1)

    def _append(self, log: str, rows: Any, count: int) -> None:
        self.written[log] += count
        Lake().append(f"{self.spec.name}__{log}", rows, batch_id=f"{log}-{self.written[log]}")


def window(day: int) -> tuple[datetime, datetime]:
    return START + day * DAY, START + (day + 1) * DAY


def scored(count: int, seed: int, *, share: float = 0.3) -> tuple[list[int], list[float], list[int]]:
    """Answers, scores and labels of a model that is calibrated."""
    rng = np.random.default_rng(seed)
    scores = rng.beta(share * 2, (1 - share) * 2, count)
    return (
        [int(each > 0.5) for each in scores],
        scores.tolist(),
        (rng.random(count) < scores).astype(int).tolist(),
    )
