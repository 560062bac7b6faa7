"""Real files that others shipped: drift alarms, ordinary months are quiet, dirt passes and damage does not.

The files are no part of the repository.
"""

import gzip
from pathlib import Path

import pandas as pd
import pytest

from tasks.contracts import FileVerdict
from tasks.monitoring.plain.check_data import check_data
from tasks.monitoring.plain.check_drift import check_drift
from tests.conftest import PROJECT

REAL = PROJECT.parent / "shared" / "data"
CASES = PROJECT.parent / "shared" / "cases"
pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason=f"There is no real data in {REAL}.")


def taxi(month: str) -> Path:
    return REAL / "taxi" / f"yellow_sample_{month}.csv.gz"


def real(name: str) -> pd.DataFrame:
    return pd.read_csv(REAL / f"{name}.csv.gz")


def judged(
    folder: Path, reference: pd.DataFrame, current: pd.DataFrame, labels: str | None = None
) -> FileVerdict:
    paths = folder / "reference.csv", folder / "current.csv"
    for path, rows in zip(paths, (reference, current), strict=True):
        rows.to_csv(path, index=False)
    return check_drift([paths[0]], paths[1], labels)


def alarms(found: FileVerdict) -> set[tuple[str, str]]:
    return {(signal.reason, signal.subject) for signal in found.signals if signal.level == "alarm"}


def phoenix(year: str, most: int = 1000) -> pd.DataFrame:
    """Reviews of a year with whether they are positive."""
    rows = real("yelp/phoenix_2005_2013")
    rows = rows[rows["date"].str[:4] == year].head(most)
    return rows.assign(positive=(rows["stars"] >= 3).astype(int))[["text", "positive"]]


def test_reviews_of_restaurants_are_not_those_of_airlines(tmp_path: Path) -> None:
    found = judged(
        tmp_path, real("yelp/phoenix_2005_2013").head(1500), real("yelp/airlines_2007_2019").head(1500)
    )
    assert found.verdict == "drift"
    assert ("joint", "text") in alarms(found)


@pytest.mark.parametrize(("before", "now"), [("2018-04", "2018-05"), ("2019-05", "2019-06")])
def test_the_next_month_of_trips_is_quiet(before: str, now: str) -> None:
    assert check_drift([taxi(before)], taxi(now)).verdict == "fine"


def test_trips_of_april_2020_are_drift_against_the_summer_before() -> None:
    found = check_drift([taxi("2019-06")], taxi("2020-04"))
    assert found.verdict == "drift"
    assert ("categories", "payment_type") in alarms(found)


def test_halves_of_the_same_debtors_are_quiet_also_in_their_label(tmp_path: Path) -> None:
    rows = real("tabular/credit_default").sample(frac=0.3, random_state=0).sort_index()
    first = rows.sample(frac=0.5, random_state=1)
    found = judged(tmp_path, first.sort_index(), rows.drop(first.index), "default_next_month")
    assert found.verdict == "fine"


def test_inverted_labels_alarm_although_the_inputs_are_quiet(tmp_path: Path) -> None:
    inverted = phoenix("2012").assign(positive=lambda rows: 1 - rows["positive"])
    found = judged(tmp_path, phoenix("2011"), inverted, "positive")
    assert found.verdict == "drift"
    assert {signal.question for signal in found.signals if signal.level == "alarm"} == {"target"}
    assert judged(tmp_path, phoenix("2011"), inverted.drop(columns="positive")).verdict == "fine"


def test_texts_that_are_cut_off_alarm_although_the_answers_are_no_worse(tmp_path: Path) -> None:
    cut = phoenix("2012").assign(text=lambda rows: rows["text"].str[:60])
    found = judged(tmp_path, phoenix("2011"), cut, "positive")
    assert found.verdict == "drift"
    assert ("location", "text (length)") in alarms(found)


def test_a_label_that_turns_common_alarms(tmp_path: Path) -> None:
    rows = real("tabular/bank_marketing_2008_2010")
    found = judged(tmp_path, rows[rows["period"] == "2009-05"], rows[rows["period"] >= "2010"], "y")
    assert ("label_prior", "y") in alarms(found)


@pytest.mark.parametrize("month", ["2018-01", "2019-02", "2020-03"])
def test_the_dirt_that_a_publisher_ships_passes(month: str) -> None:
    assert check_data(taxi(month)).verdict == "fine"


def test_a_column_that_publishers_left_empty_in_more_rows_passes_beside_the_month_before() -> None:
    assert check_data(taxi("2020-04"), like=taxi("2020-03")).verdict == "fine"


def test_the_air_of_the_next_year_is_quiet_and_that_of_the_other_season_is_not(tmp_path: Path) -> None:
    air = real("tabular/beijing_pm25_2010_2014")
    year = air["year"]
    assert judged(tmp_path, air[year == 2011], air[year == 2012]).verdict == "fine"
    summer, winter = air[air["month"].isin([6, 7, 8])], air[air["month"].isin([12, 1, 2])]
    assert ("location", "TEMP") in alarms(judged(tmp_path, summer, winter))


def test_a_real_file_that_was_cut_off_is_rejected_by_name(tmp_path: Path) -> None:
    whole = taxi("2018-04").read_bytes()
    cut = tmp_path / "trips.csv.gz"
    cut.write_bytes(whole[: len(whole) // 2])
    found = check_data(cut)
    assert found.verdict == "rejected"
    assert "trips.csv.gz" in found.why


def test_real_trips_with_lines_torn_apart_are_rejected_with_the_row(tmp_path: Path) -> None:
    lines = gzip.decompress(taxi("2018-04").read_bytes()).decode().splitlines()[:2001]
    torn = [line[: len(line) // 2] if place % 10 == 5 else line for place, line in enumerate(lines)]
    path = tmp_path / "torn.csv"
    path.write_text("\n".join(torn) + "\n")
    found = check_data(path)
    assert found.verdict == "rejected"
    assert "row 5" in found.why


def test_real_trips_whose_distance_became_text_are_rejected_with_the_field(tmp_path: Path) -> None:
    path = tmp_path / "trips.csv"
    pd.read_csv(taxi("2018-05")).assign(trip_distance="far").to_csv(path, index=False)
    found = check_drift([taxi("2018-04")], path)
    assert found.verdict == "rejected"
    assert "trip_distance" in found.why


@pytest.mark.skipif(not CASES.is_dir(), reason=f"There are no cases in {CASES}.")
@pytest.mark.parametrize(
    ("file", "named"),
    [
        ("01-first-line-beyond-csv-limit/1/wide.csv", "wide.csv"),
        ("04-backslash-quotes/1/quotes.csv", "row 2"),
        ("07-page-checksum/1/flipped.parquet", "flipped.parquet"),
    ],
)
@pytest.mark.usefixtures("home")
def test_a_damaged_file_is_rejected_in_a_sentence_that_names_where(file: str, named: str) -> None:
    found = check_data(CASES / file)
    assert found.verdict == "rejected"
    assert named in found.why
