"""Write invented deliveries as files that can land in the model's table. Replace them by rows of your own.

How long a delivery takes follows from its distance, its weight, whether it is express, and chance; the label
is made of the hours by the task that pipeline.yaml names.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

FIRST_ORDER = pd.Timestamp("2026-01-05", tz="UTC")
REGIONS = {"north": 3.0, "east": 0.0, "south": 1.5, "west": 6.0}
PIPELINE = yaml.safe_load(Path(__file__).with_name("pipeline.yaml").read_text(encoding="utf-8"))
LABELS: dict[str, Callable[[pd.Series], pd.Series]] = {
    "binary": lambda hours: (hours > 24).astype("int64"),
    "multiclass": lambda hours: pd.cut(
        hours, [0, 16, 28, np.inf], labels=["same_day", "next_day", "later"]
    ).astype("str"),
    "regression": lambda hours: hours.round(1),
}


def deliveries(count: int) -> pd.DataFrame:
    """So many rows of the table, always the same, ten minutes apart."""
    chance = np.random.default_rng(7)
    rows = pd.DataFrame(
        {
            "delivery_id": [f"d-{number:06}" for number in range(count)],
            "ordered_at": FIRST_ORDER + pd.to_timedelta(np.arange(count) * 10, unit="min"),
            "region": chance.choice(list(REGIONS), count),
            "distance_km": chance.gamma(2, 150, count).round(1),
            "weight_kg": chance.lognormal(1, 1, count).round(2),
            "express": chance.random(count) < 0.3,
        }
    )
    hours = 6 + rows["distance_km"] / 20 + 2 * np.sqrt(rows["weight_kg"]) + rows["region"].map(REGIONS)
    hours = hours.where(~rows["express"], hours * 0.6) + chance.normal(0, 2, count)
    return rows.assign(label=LABELS[PIPELINE["task"]](hours.clip(lower=1)))


def training_parts() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training and validation rows for a run without a lake."""
    rows = deliveries(3000)
    return rows.iloc[:2400], rows.iloc[2400:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--rows", type=int, default=3000, help="how many rows")
    parser.add_argument("--batches", type=int, default=3, help="files, in the order of the orders")
    chosen = parser.parse_args()
    chosen.output.mkdir(parents=True, exist_ok=True)
    rows, table = deliveries(chosen.rows), PIPELINE["data"]["table"]
    for number in range(chosen.batches):
        batch = rows.iloc[number * len(rows) // chosen.batches : (number + 1) * len(rows) // chosen.batches]
        part = chosen.output / f".{table}-{number + 1:03}.csv.part"
        batch.to_csv(part, index=False)
        part.replace(chosen.output / f"{table}-{number + 1:03}.csv")  # a file lands whole or not at all


if __name__ == "__main__":
    main()
