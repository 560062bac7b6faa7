"""Do `check-data` and `check-drift` say what a person would, on real files and on faults planted in them?

    .perennial/envs/ml/bin/python benchmarks/plain_files.py [--data ../shared/data] [--only taxi]

Prints each pair with the expected verdict and the one that was given, and exits with 1 where they differ.
The data is real and not a part of the project: its folder's README says what it is. `either` stands where
sensible people would differ; such pairs are shown and not counted.
"""

import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from tasks.contracts import FileVerdict  # noqa: E402 - found by the path above
from tasks.monitoring.plain.check_data import check_data  # noqa: E402
from tasks.monitoring.plain.check_drift import check_drift  # noqa: E402

DATA = PROJECT.parent / "shared" / "data"
MONTHS = [f"{year}-{month:02d}" for year in (2018, 2019) for month in range(1, 13)][:18]
EITHER = "either"
OTHER_TEXTS = (
    "yelp/airlines_2007_2019",
    "reviews_other/skytrax_seat_2007_2015",
    "reviews_other/amazon_snippets_hutto",
    "uci_sentiment/yelp_labelled",
    "uci_sentiment/amazon_labelled",
    "uci_sentiment/imdb_labelled",
)
Rows = pd.DataFrame


@dataclass(frozen=True)
class Case:
    """Two files and what should be said of the second; `check` is drift or data."""

    name: str
    expected: str
    reference: list[Rows]
    current: Rows
    check: str = "drift"
    labels: str | None = None
    predictions: str | None = None


class Source:
    """The real files, read once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, Rows] = {}

    def __call__(self, name: str) -> Rows:
        if name not in self._read:
            self._read[name] = pd.read_csv(self._folder / f"{name}.csv.gz")
        return self._read[name]

    def taxi(self, month: str) -> Rows:
        return self(f"taxi/yellow_sample_{month}")


def halves(rows: Rows, seed: int, share: float = 0.5) -> tuple[Rows, Rows]:
    """Random halves, each in the order of the file."""
    mask = np.random.default_rng(seed).random(len(rows)) < share
    return rows[mask], rows[~mask]


def taxi(data: Source) -> Iterator[Case]:
    """Months, years, and the spring of 2020."""
    for one, other in pairwise(MONTHS):
        changed = EITHER if "2019-02" in (one, other) else "fine"  # a vendor sent 0 passengers in that month
        yield Case(f"taxi {one} -> {other}", changed, [data.taxi(one)], data.taxi(other))
        yield Case(f"taxi {one} -> {other}", "fine", [data.taxi(one)], data.taxi(other), "data")
    for one, other in (("2018-06", "2019-06"), ("2018-01", "2018-12"), ("2018-04", "2018-09")):
        yield Case(f"taxi {one} -> {other}", "fine", [data.taxi(one)], data.taxi(other))
    yield Case(
        "taxi 6 months -> 2018-12", "fine", [data.taxi(month) for month in MONTHS[:6]], data.taxi("2018-12")
    )
    yield Case("taxi 2019-06 -> 2020-04", "drift", [data.taxi("2019-06")], data.taxi("2020-04"))
    yield Case(
        "taxi 18 months -> 2020-04", "drift", [data.taxi(month) for month in MONTHS], data.taxi("2020-04")
    )
    yield Case("taxi 2020-03 -> 2020-04", "fine", [data.taxi("2020-03")], data.taxi("2020-04"), "data")
    yield Case("taxi another year", "rejected", [data.taxi("2019-06")], data.taxi("2018-04"), "data")
    for one, other, expected in (
        ("2019-06", "2020-04", "drift"),
        ("2018-04", "2018-05", "fine"),
        ("2018-09", "2018-10", "fine"),
    ):
        sides = [_with_minutes(data.taxi(month)) for month in (one, other)]
        yield Case(f"taxi minutes {one} -> {other}", expected, [sides[0]], sides[1], labels="minutes")
        sides = [
            side.assign(long=(side["minutes"] > 15).astype(int)).drop(columns="minutes") for side in sides
        ]
        yield Case(f"taxi long {one} -> {other}", expected, [sides[0]], sides[1], labels="long")


def _with_minutes(rows: Rows) -> Rows:
    took = (
        pd.to_datetime(rows["dropoff_datetime"]) - pd.to_datetime(rows["pickup_datetime"])
    ).dt.total_seconds() / 60
    rows = rows.assign(minutes=took)
    kept = rows["minutes"].between(1, 60) & rows["trip_distance"].between(0.1, 30) & (rows["fare_amount"] > 0)
    return rows[kept].drop(columns=["fare_amount", "total_amount", "tip_amount", "dropoff_datetime"])


def reviews(data: Source) -> Iterator[Case]:
    """Years, other sites, other kinds of business."""
    phoenix, years = data("yelp/phoenix_2005_2013"), data("yelp/phoenix_2005_2013")["date"].str[:4]
    for seed, share in enumerate((0.5, 0.7, 0.9)):
        one, other = halves(phoenix, seed, share)
        yield Case(f"phoenix random {share}", "fine", [one], other)
        yield Case(f"phoenix random {share}", "fine", [one], other, "data")
        yield Case(f"phoenix random {share} labels", "fine", [one], other, labels="stars")
    for one, other, expected in (
        ("2011", "2012", "fine"),
        ("2010", "2011", "fine"),
        ("2012", "2011", "fine"),
        ("2009", "2012", "drift"),
    ):
        yield Case(f"phoenix {one} -> {other}", expected, [phoenix[years == one]], phoenix[years == other])
    positive = phoenix.assign(positive=(phoenix["stars"] >= 3).astype(int))[["text", "positive"]]
    yield Case(
        "phoenix 2011 -> 2012 label",
        "fine",
        [positive[years == "2011"]],
        positive[years == "2012"],
        labels="positive",
    )
    inverted = positive[years == "2012"].assign(positive=lambda rows: 1 - rows["positive"])
    yield Case("inverted labels", "drift", [positive[years == "2011"]], inverted, labels="positive")
    open_data = data("yelp/opendata_2004_2018")
    yield Case(
        "phoenix -> opendata 2016 on", "drift", [phoenix], open_data[open_data["date"].str[:4] >= "2016"]
    )
    for name in OTHER_TEXTS:
        yield Case(f"phoenix -> {name}", "drift", [phoenix], data(name))
        yield Case(f"phoenix -> {name}", "rejected", [phoenix], data(name), "data")
    kinds = data("yelp/categories")
    of = {str(kind): rows for kind, rows in kinds.groupby("category")}
    for kind, rows in of.items():
        if kind != "Restaurants":
            yield Case(f"Restaurants -> {kind}", "drift", [of["Restaurants"]], rows)
            yield Case(
                f"Restaurants -> {kind}, text alone",
                "drift",
                [of["Restaurants"][["text"]]],
                rows[["text"]],
            )
    one, other = halves(kinds, 0)
    yield Case("categories random", "fine", [one], other)
    for name in ("yelp", "amazon", "imdb"):
        one, other = halves(data(f"uci_sentiment/{name}_labelled"), 0)
        yield Case(f"uci {name} random", "fine", [one], other, labels="label")
    cut = phoenix[years == "2012"].assign(text=lambda rows: rows["text"].str[:60])
    yield Case("texts cut to 60 characters", "drift", [phoenix[years == "2011"]], cut)
    blank = phoenix[years == "2012"].copy()
    blank.loc[blank.sample(frac=0.3, random_state=0).index, "text"] = None
    yield Case("30 % of the texts blank", "drift", [phoenix[years == "2011"]], blank)
    yield Case("30 % of the texts blank", "rejected", [phoenix[years == "2011"]], blank, "data")
    spoilt = " Café naïve déjà vu".encode().decode("latin-1")
    garbled = phoenix[years == "2012"].assign(text=lambda rows: rows["text"].astype(str) + spoilt)
    yield Case("mojibake", "rejected", [phoenix[years == "2011"]], garbled, "data")


def tables(data: Source) -> Iterator[Case]:
    """Credit, bank, electricity, weather, air and bicycles."""
    credit = data("tabular/credit_default")
    for seed in range(5):
        one, other = halves(credit, seed)
        yield Case(
            f"credit random {seed}", "fine", [one], other, labels="default_next_month" if seed % 2 else None
        )
        yield Case(f"credit random {seed}", "fine", [one], other, "data")
    yield Case("credit young -> old", "drift", [credit[credit["AGE"] < 35]], credit[credit["AGE"] >= 35])
    bank = data("tabular/bank_marketing_2008_2010")
    of = {str(period): rows for period, rows in bank.groupby("period", sort=False)}
    for seed in range(3):
        one, other = halves(bank, seed)
        yield Case(f"bank random {seed}", "fine", [one], other, labels="y" if seed else None)
    for period in ("2008-05", "2008-07", "2009-05"):
        one, other = halves(of[period], 0)
        yield Case(f"bank random {period}", "fine", [one], other, labels="y")
    later = bank[bank["period"] >= "2010"]
    yield Case("bank 2008-05 -> 2010", "drift", [of["2008-05"]], later, labels="y")
    yield Case("bank 2009-05 -> 2010", "drift", [of["2009-05"]], later, labels="y")
    yield Case("bank 2008-05 -> 2009-05", "drift", [of["2008-05"]], of["2009-05"], labels="y")
    yield Case("bank 2008-05 -> 2008-06", EITHER, [of["2008-05"]], of["2008-06"])
    power = data("tabular/elec2")
    fifths = [power.iloc[places] for places in np.array_split(np.arange(len(power)), 5)]
    # a model of the first fifth answers the second as well as its own, the third and fourth far worse
    for before, now, expected in ((0, 1, EITHER), (0, 2, "drift"), (0, 3, "drift"), (2, 3, EITHER)):
        yield Case(f"elec2 fifth {before} -> {now}", expected, [fifths[before]], fifths[now], labels="class")
    one, other = halves(power, 0)
    yield Case("elec2 random", "fine", [one], other, labels="class")
    weather = data("tabular/weather_noaa")
    for year in range(4, 44, 4):
        one, other = (weather[(year + more) * 365 : (year + more + 1) * 365] for more in (0, 1))
        yield Case(f"weather year {year} -> {year + 1}", "fine", [one], other)
    one, other = halves(weather, 0)
    yield Case("weather random", "fine", [one], other, labels="target")
    yield from _air(data)
    yield from _bicycles(data)


def _air(data: Source) -> Iterator[Case]:
    air = data("tabular/beijing_pm25_2010_2014")
    for year in range(2010, 2014):
        yield Case(
            f"air {year} -> {year + 1}", "fine", [air[air["year"] == year]], air[air["year"] == year + 1]
        )
    years = [air[air["year"] == year] for year in (2010, 2011, 2012)]
    yield Case("air 2010, 2011, 2012 -> 2013", "fine", years, air[air["year"] == 2013])
    summer, winter = air[air["month"].isin([6, 7, 8])], air[air["month"].isin([12, 1, 2])]
    yield Case("air summer -> winter", "drift", [summer], winter)
    for month in (1, 4, 7, 10):
        same = air[air["month"] == month]
        before = [same[same["year"] == year] for year in (2010, 2011, 2012)]
        yield Case(f"air month {month}, 3 years -> the next", "fine", before, same[same["year"] == 2013])
    one, other = halves(air, 0)
    yield Case("air random", "fine", [one], other)
    yield Case("air random", "fine", [one], other, "data")
    changed = other.assign(TEMP=other["TEMP"] * 1.8 + 32)
    yield Case("air in Fahrenheit", "rejected", [one], changed, "data")
    yield Case("air in Fahrenheit", "drift", [one], changed)
    swapped = other.rename(columns={"DEWP": "PRES", "PRES": "DEWP"})[list(other.columns)]
    yield Case("air DEWP and PRES exchanged", "rejected", [one], swapped, "data")


def _bicycles(data: Source) -> Iterator[Case]:
    hours = data("tabular/bikeshare_2011_2012")
    yield Case(
        "bicycles 2011 -> 2012",
        "drift",
        [hours[hours["datetime"] < "2012"]],
        hours[hours["datetime"] >= "2012"],
    )
    one, other = halves(hours, 0)
    yield Case("bicycles random", "fine", [one], other, labels="count")
    days = hours["datetime"].str[:10]
    chosen = set(np.random.default_rng(0).permutation(days.unique())[: days.nunique() // 2])
    yield Case("bicycles random days", "fine", [hours[days.isin(chosen)]], hours[~days.isin(chosen)])


def planted(data: Source) -> Iterator[Case]:
    """Faults planted into an ordinary month of taxi trips."""
    may, june = data.taxi("2018-05"), data.taxi("2018-06")
    rng = np.random.default_rng(0)

    def both(name: str, rows: Rows, of_data: str, of_drift: str) -> Iterator[Case]:
        yield Case(name, of_data, [may], rows, "data")
        yield Case(name, of_drift, [may], rows)

    yield from both(
        "miles -> km", june.assign(trip_distance=june["trip_distance"] * 1.609344), "rejected", "drift"
    )
    yield from both(
        "dollars -> cents", june.assign(fare_amount=june["fare_amount"] * 100), "rejected", "drift"
    )
    exchanged = june.assign(trip_distance=june["fare_amount"], fare_amount=june["trip_distance"])
    yield from both("fare and distance exchanged", exchanged, "rejected", "drift")
    turned = june.assign(pickup_datetime=june["dropoff_datetime"], dropoff_datetime=june["pickup_datetime"])
    yield Case("pickup and dropoff exchanged", "rejected", [may], turned, "data")
    times = ["pickup_datetime", "dropoff_datetime"]
    ahead = june.assign(**{name: june[name].str.replace("2018-", "2098-") for name in times})
    yield Case("dates in the future", "rejected", [may], ahead, "data")
    yield Case("dates in the future, no reference", "rejected", [], ahead, "data")
    epoch = june.assign(pickup_datetime="1970-01-01 00:00:00")
    yield Case("dates of 1970", "rejected", [may], epoch, "data")
    yield Case("dates of 1970, no reference", "rejected", [], epoch, "data")
    impossible = june.assign(
        pickup_datetime=june["pickup_datetime"].where(rng.random(len(june)) > 0.03, "2018-06-31 10:00:00")
    )
    yield Case("3 % impossible dates", "rejected", [may], impossible, "data")
    yield Case("3 % impossible dates, no reference", "rejected", [], impossible, "data")
    yield Case("landed twice", "rejected", [may], pd.concat([june, june]), "data")
    yield Case("30 % landed twice, no reference", "rejected", [], pd.concat([june, june[:3000]]), "data")
    yield Case("a column less", "rejected", [may], june.drop(columns="payment_type"), "data")
    yield Case("a column more", "rejected", [may], june.assign(note="x"), "data")
    yield Case("text for numbers", "rejected", [may], june.assign(trip_distance="far"), "data")
    for share, of_data in ((0.3, "rejected"), (0.08, "fine")):
        lacking = june.assign(passenger_count=june["passenger_count"].where(rng.random(len(june)) > share))
        yield from both(f"{share:.0%} nulls", lacking, of_data, "drift")
    yield from both("frozen distance", june.assign(trip_distance=1.5), "rejected", "drift")
    yield from both("frozen zones", june.assign(pickup_location_id=161), EITHER, "drift")
    new = june.assign(payment_type=june["payment_type"].where(rng.random(len(june)) > 0.08, 9))
    yield from both("a new category of 8 %", new, "fine", "drift")
    own = pd.concat(
        [june[june["payment_type"] == 2]] * 2 + [june[june["payment_type"] == 1].head(3000)]
    ).sample(frac=1, random_state=0)
    yield Case("a category from 29 to 65 %", "drift", [may], own)
    shifted = june.assign(trip_distance=june["trip_distance"] + 0.5 * june["trip_distance"].std())
    yield Case("half a standard deviation in one column", "drift", [may], shifted)
    yield Case("the same, 1,000 rows", "drift", [may], shifted.sample(1000, random_state=0))
    tiny = june.assign(trip_distance=june["trip_distance"] * 1.02)
    yield Case("2 % more", "fine", [may], tiny)
    yield Case("10 rows", "cannot_tell", [may], june.head(10))
    yield Case("one row", "cannot_tell", [may], june.head(1), "data")
    yield Case("nothing in common", "cannot_tell", [may], june[["mta_tax"]].rename(columns={"mta_tax": "x"}))
    for month in (500, 1000, 3000):
        yield Case(f"{month} rows of June", "fine", [may], june.sample(month, random_state=1))
    noisy = june.assign(guess=june["payment_type"])
    wrong = noisy.assign(guess=noisy["guess"].where(rng.random(len(june)) > 0.3, 3))
    yield Case(
        "predictions as good",
        "fine",
        [may.assign(guess=may["payment_type"])],
        noisy,
        labels="payment_type",
        predictions="guess",
    )
    yield Case(
        "predictions worse",
        "drift",
        [may.assign(guess=may["payment_type"])],
        wrong,
        labels="payment_type",
        predictions="guess",
    )


GROUPS: dict[str, Callable[[Source], Iterator[Case]]] = {
    "taxi": taxi,
    "reviews": reviews,
    "tables": tables,
    "planted": planted,
}


def judge(case: Case, folder: Path) -> FileVerdict:
    """The verdict on a case, whose rows are written as files first."""
    paths = [folder / f"reference-{place}.csv" for place in range(len(case.reference))]
    for path, rows in zip(paths, case.reference, strict=True):
        rows.to_csv(path, index=False)
    current = folder / "current.csv"
    case.current.to_csv(current, index=False)
    if case.check == "data":
        return check_data(current, like=paths[0] if paths else None)
    return check_drift(paths, current, case.labels, case.predictions)


def main(
    data: Annotated[Path, typer.Option(help="The folder of the real data.")] = DATA,
    only: Annotated[str | None, typer.Option(help=f"One of {', '.join(GROUPS)}.")] = None,
) -> None:
    """Judge every case, print a line each, and end with 1 where a verdict is not the expected one."""
    warnings.filterwarnings("ignore")
    if not data.is_dir():
        raise SystemExit(f"{data} is not there. Name the folder of the real data with --data.")
    source, counts, wrong = Source(data), dict[str, int](), list[str]()
    for case in (case for name, group in GROUPS.items() if only in {None, name} for case in group(source)):
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            found = judge(case, Path(folder))
            seconds = time.perf_counter() - started
        agrees = case.expected in {found.verdict, EITHER}
        counts[case.expected] = counts.get(case.expected, 0) + 1
        told: list[Any] = ["" if agrees else "WRONG", case.check, case.name, case.expected, found.verdict]
        print("\t".join([*map(str, told), f"{seconds:.1f} s", found.why[:160]]), flush=True)
        if not agrees:
            wrong.append(f"{case.check}: {case.name}")
    print(f"{sum(counts.values())} cases {counts}, {len(wrong)} wrong: {wrong}")
    if wrong:
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
