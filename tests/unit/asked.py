"""Many requests and their labels at once, as `collect` writes them, and ordinary texts to ask about."""

import random
from datetime import datetime, timedelta
from typing import Any

from tasks.data.collect import as_the_table_is, feedback_table, prediction_table
from tasks.spec import PipelineSpec
from tasks.stores.lake import Lake
from tests.unit.reviews import DAY, SPEC, as_table, review

SYLLABLES = ("ba", "do", "fi", "ga", "lu", "me", "no", "pa", "ri", "so", "ta", "vu")
WORDS = [one + other + third for one in SYLLABLES for other in SYLLABLES for third in ("n", "s", "")]


def texts(count: int, seed: int) -> list[str]:
    """Texts that no two share much of."""
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=rng.randint(10, 40))).capitalize() + "." for _ in range(count)]


def history(rows: int = 2000, *, repeated: str = "", times: int = 0) -> None:
    """Let so many ordinary reviews have joined the table, one of them so many times."""
    said = texts(rows, seed=1)
    for place in range(times):
        said[place * rows // times] = repeated
    made = [review(number, text=text) for number, text in enumerate(said)]
    Lake().append("reviews", as_table(made), batch_id="history")


def ask(
    said: list[Any],
    by: str | None = "shop",
    *,
    name: str = "p",
    label: int = 1,
    at: datetime = DAY,
    spec: PipelineSpec = SPEC,
    labelled: bool = True,
) -> list[str]:
    """Let a sender have asked about these texts, or instances, and have labelled all of them.

    Returns:
        The predictions' ids.
    """
    lake = Lake()
    logged, labels = [], []
    for number, each in enumerate(said):
        asked_at = (at + timedelta(seconds=number)).isoformat()
        key = {"sequence": number + 1, "prediction_id": f"{name}{number:05}", "sent_by": by}
        own = {"predicted_at": asked_at, "model_version": "1", "run_id": "r", "prediction": 1, "score": 0.5}
        logged.append({**key, **own, "features": each if isinstance(each, dict) else {"text": each}})
        labels.append({**key, "label": label, "received_at": asked_at})
    for log, rows in (("predictions", prediction_table(logged, spec)), ("feedback", feedback_table(labels))):
        if log == "predictions" or labelled:
            table = f"{spec.name}__{log}"
            lake.append(table, as_the_table_is(rows, lake, table), batch_id=f"{log}-{name}")
    return [row["prediction_id"] for row in labels]
