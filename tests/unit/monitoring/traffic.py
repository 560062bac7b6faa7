"""Texts, a table of labelled ones, a log of predictions, and the check of a window of it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.contracts import DriftDecision, DriftRequest, StepContext
from tasks.data.collect import feedback_table
from tasks.monitoring import drift
from tasks.settings import PROJECT
from tasks.spec import PipelineSpec
from tasks.stores.lake import Lake

SPEC = PipelineSpec.load(PROJECT / "models" / "review_sentiment" / "pipeline.yaml")
START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def texts(count: int, seed: int, *, shift: float = 0.0, words: int = 25) -> list[str]:
    """Texts over a vocabulary with Zipf's frequencies; `shift`
    is the share of words that come from another part of it.
    """
    rng = np.random.default_rng(seed)
    ranks = np.minimum(rng.zipf(1.4, size=(count, words)), 3000)
    moved = rng.random((count, words)) < shift
    return [
        " ".join(f"w{rank + 4000 * other}" for rank, other in zip(*row, strict=True))
        for row in zip(ranks, moved, strict=True)
    ]


def labelled(count: int, seed: int, **how: Any) -> pa.Table:
    return pa.table(
        {
            "review_id": [f"{seed}-{number}" for number in range(count)],
            "written_at": pa.array([START] * count, pa.timestamp("us", "UTC")),
            "source": ["imdb"] * count,
            "text": texts(count, seed, **how),
            "label": [number % 2 for number in range(count)],
        }
    )


def predict(rows: list[str | None], *, at: datetime = START, batch: str = "p") -> None:
    """Let the service have been asked these texts at a time."""
    count = len(rows)
    logged = {
        "prediction_id": [f"{batch}-{number:05d}" for number in range(count)],
        "predicted_at": pa.array([at] * count, pa.timestamp("us", "UTC")),
        "run_id": ["c" * 32] * count,
        "model_version": ["1"] * count,
        "prediction": [str(number % 2) for number in range(count)],
        "score": [0.9 if number % 2 else 0.1 for number in range(count)],
        "request": [json.dumps({"text": text, "added_later": 1}) for text in rows],
        "text": pa.array(rows, pa.string()),
    }
    Lake().append(f"{SPEC.name}__predictions", pa.table(logged), batch_id=batch)


def answer(count: int, wrong: int, *, at: datetime = START, batch: str = "p") -> None:
    """Let labels have come for the first predictions of a batch, some of which were wrong."""
    rows = [
        {
            "sequence": number + 1,
            "prediction_id": f"{batch}-{number:05d}",
            "label": (number + (number < wrong)) % 2,
            "received_at": (at + timedelta(hours=1)).isoformat(),
            "sent_by": "shop",
        }
        for number in range(count)
    ]
    Lake().append(f"{SPEC.name}__feedback", feedback_table(rows), batch_id=f"labels of {batch}")


def check(home: Path, run: Any, *, spec: PipelineSpec = SPEC, start: datetime = START) -> DriftDecision:
    context = StepContext(actor="drift/day_1", step_key="drift", work_url=str(home / "work"))
    return drift.check(
        DriftRequest(context=context, spec=spec, window_start=start, window_end=start + DAY), run
    )
