"""Real months: taxi trips, reviews of a city and then of airlines, and calls of a bank.

What is ordinary and what has changed here is told by those who publish and use these files: the README
beside them. They are no part of the repository.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.drift.real import TAXI_COLUMNS, Rows, Series, series, taxi
from tasks.contracts import JointNull
from tasks.monitoring import domain_classifier
from tasks.monitoring.inputs.joint import look_at_all, threshold_of
from tasks.monitoring.inputs.reference import JOINT_DAYS
from tasks.settings import PROJECT
from tasks.spec import ColumnType, MonitorSpec

DATA = PROJECT.parent / "shared" / "data"
YELP = DATA / "yelp"
BANK = DATA / "tabular" / "bank_marketing_2008_2010.csv.gz"
FEWEST_ROWS = 30
MONTHS = 12
DEALT = 100

REVIEW_COLUMNS: dict[str, ColumnType] = {"text": "string", "stars": "int64"}
BANK_COLUMNS: dict[str, ColumnType] = {
    "age": "int64",
    "job": "string",
    "marital": "string",
    "education": "string",
    "default": "string",
    "housing": "string",
    "loan": "string",
    "contact": "string",
    "campaign": "int64",
    "previous": "int64",
    "poutcome": "string",
    "emp.var.rate": "float64",
    "cons.price.idx": "float64",
    "cons.conf.idx": "float64",
    "euribor3m": "float64",
    "nr.employed": "float64",
}


@dataclass(frozen=True)
class Case:
    """Windows in their order, the first `known` of which are the reference.

    Attributes:
        windows_a_year: How many there are of these.
        changed: The window after the reference on which ours has to have found the change, 1 for the first;
            0 where nothing has changed.
    """

    name: str
    windows: Rows
    columns: Mapping[str, ColumnType]
    known: int
    windows_a_year: int
    changed: int
    texts: frozenset[str] = frozenset()

    def series(self) -> Series:
        """The reference, and all windows after it."""
        seen = len(self.windows) - self.known
        return series(self.windows, self.columns, 0, self.known, seen, texts=self.texts)

    def joint(self, rules: MonitorSpec, rate: float) -> NDArray[np.bool_]:
        """The windows on which the domain classifier alarms, at `rate` false alarms a window."""
        left_out = self.series().left_out()
        columns = {name: kind for name, kind in self.columns.items() if name not in left_out}
        kinds = domain_classifier.kinds_of(columns, pd.concat(self.windows.values()))
        every = [frame[list(kinds)].reset_index(drop=True) for _, frame in sorted(self.windows.items())]
        known = every[: self.known]
        null = _null(known, kinds, rules.maximum_rows)
        whole = _sample(known, kinds, rules.maximum_rows)
        least = threshold_of(null, rules.domain_auc, 0.0, rate, served=False)
        aucs: list[float] = []
        found = []
        for frame in every[self.known :]:
            own = _sample([frame], kinds, rules.maximum_rows)
            # What chance gives takes twenty trainings, and cannot make an AUC an alarm that is none without.
            separation = domain_classifier.separate(
                own, whole, kinds, rules.false_alarm_share, only_above=least
            )
            aucs.append(separation.auc)
            chance = float(np.nan_to_num(separation.null_auc))
            signal = look_at_all(aucs, null, rules.domain_auc, chance, rate, served=False)
            found.append(signal is not None and signal.level == "alarm")
        return np.array(found)


def cases() -> Iterator[Case]:
    """What there is here of real months."""
    if not DATA.is_dir():
        return
    yield from _trips()
    yield from _reviews()
    yield from _calls()


def _trips() -> Iterator[Case]:
    trips = pd.concat(taxi().values(), ignore_index=True)
    months = by_month(trips, "pickup_datetime")
    before = {month: rows for month, rows in months.items() if month < date(2019, 1, 1)}
    after = {month: rows for month, rows in months.items() if date(2019, 1, 1) <= month < date(2020, 1, 1)}
    april = {month: rows for month, rows in months.items() if month == date(2020, 4, 1)}

    def trips_in(name: str, windows: Rows, known: int, changed: int = 0) -> Case:
        return Case(f"taxi, {name}", windows, TAXI_COLUMNS, known, MONTHS, changed)

    yield trips_in("the second half of 2018 after the first", before, 6)
    # From February 2019 on a surcharge of 2.50 dollars, and from April on higher tolls.
    yield trips_in("2019 after 2018", before | after, 12, changed=3)
    yield trips_in("April 2020 after 2018 and 2019", before | after | april, 18, changed=1)


def _reviews() -> Iterator[Case]:
    city = by_month(pd.read_csv(YELP / "phoenix_2005_2013.csv.gz"), "date")
    airlines = by_month(pd.read_csv(YELP / "airlines_2007_2019.csv.gz"), "date")
    years = {
        year: {month: rows for month, rows in city.items() if month.year == year}
        for year in (2009, 2011, 2012)
    }
    later = {month: rows for month, rows in airlines.items() if date(2015, 1, 1) <= month < date(2016, 1, 1)}

    def reviews_of(name: str, known: Rows, seen: Rows, changed: int = 0) -> Case:
        texts = frozenset({"text"})
        return Case(f"Yelp, {name}", known | seen, REVIEW_COLUMNS, len(known), MONTHS, changed, texts)

    yield reviews_of("Phoenix in 2012 after 2011", years[2011], years[2012])
    # Reviews became shorter, slowly.
    yield reviews_of("Phoenix in 2012 after 2009", years[2009], years[2012], changed=12)
    yield reviews_of("airlines after Phoenix in 2012", years[2012], later, changed=2)


def _calls() -> Iterator[Case]:
    calls = pd.read_csv(BANK)
    months = by_month(calls.assign(month=calls["period"] + "-01"), "month")
    yield Case("bank, after its first three months", months, BANK_COLUMNS, 3, MONTHS, changed=2)
    dealt = np.random.default_rng(0).integers(DEALT, size=len(calls))
    first = date(2010, 1, 1).toordinal()
    days = {date.fromordinal(first + day): calls[dealt == day] for day in range(DEALT)}
    yield Case("bank, dealt to days at random", days, BANK_COLUMNS, 50, 365, changed=0)


def _null(known: list[pd.DataFrame], kinds: dict[str, domain_classifier.Kind], most: int) -> JointNull | None:
    """How well each of the reference's windows is told from the others; None where they are too few."""
    if len(known) < JOINT_DAYS:
        return None
    aucs = [
        domain_classifier.tell_apart(
            _sample([frame], kinds, most),
            _sample([*known[:number], *known[number + 1 :]], kinds, most),
            kinds,
        )
        for number, frame in enumerate(known)
    ]
    return JointNull(aucs=tuple(aucs), rows=min(most, *map(len, known)))


def _sample(frames: list[pd.DataFrame], kinds: dict[str, domain_classifier.Kind], most: int) -> pd.DataFrame:
    return domain_classifier.sample(
        domain_classifier.distinct(pd.concat(frames, ignore_index=True), kinds), most
    )


def by_month(rows: pd.DataFrame, column: str) -> Rows:
    """Months with enough rows, by their first day."""
    months = pd.to_datetime(rows[column]).dt.strftime("%Y-%m-01")
    return {date.fromisoformat(month): own for month, own in rows.groupby(months) if len(own) >= FEWEST_ROWS}
