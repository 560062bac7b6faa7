"""False alarms a year and days of delay of the target's detectors, for every kind of metric that is watched.

    .perennial/envs/dev/bin/python benchmarks/drift_target_metrics.py [--years 30]

Each simulated year has 365 days of a model's answers and labels (`benchmarks/drift/target_rows.py`): two
classes with a third or a hundredth of positive labels, and regressions whose errors are normal or have heavy
tails. All detectors of the target look at each of them, as the check does. On day 90 the model becomes worse:
its classes are told apart by two thirds of before (AUC 0.875 to 0.78), or its errors become half as large
again. In the last world labels come after five days on average, and the check is held once a week.

Exits with 1 where all detectors together give more than 0.2 false alarms a year, which is their part of
`monitor.false_alarms_per_year`.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from benchmarks.drift.target_rows import METRICS, Made, Rows, promoted, rows_of, window_of  # noqa: E402
from benchmarks.drift_target import BUDGET, CHANGE, DAYS, PATIENCE, RULES, alarms, delay, ours  # noqa: E402
from tasks.contracts import TargetReference, TargetSummary  # noqa: E402

WORLDS = (
    Made("a third positive", "binary"),
    Made("1 % positive", "binary", prior=0.01),
    Made("normal errors", "regression"),
    Made("heavy-tailed errors", "regression", heavy=True),
    Made("a third positive, late labels", "binary", late=5.0),
)
WORSE = {"binary": 0.67, "regression": 1.5}
WEEK = 7

Year = tuple[list[Rows], list[NDArray[np.float64]]]


def year(made: Made, rows: int, rng: np.random.Generator, days: int) -> Year:
    """Each day's rows, and after how many days each of their labels comes."""
    found: list[Rows] = []
    for number in range(days):
        today = made if number >= CHANGE else replace(made, worse=1.0)
        found.append(rows_of(today, rows, rng))
    return found, [rng.exponential(made.late, rows) if made.late else np.zeros(rows) for _ in range(days)]


def seen(made: Made, of: Year, until: int) -> list[TargetSummary]:
    """The windows as they are known at the end of a day."""
    days, lags = of
    return [
        window_of(made, number, days[number], lags[number] <= until - number) for number in range(until + 1)
    ]


def flags(made: Made, of: Year, reference: TargetReference) -> NDArray[np.bool_]:
    """On which days a detector alarms; where labels are late, whether the week's check did."""
    last = len(of[0]) - 1
    if not made.late:
        return ours(reference, seen(made, of, last))
    found = np.zeros(last + 1, np.bool_)
    for until in range(WEEK - 1, last + 1, WEEK):
        found[until : until + WEEK] = _alarmed(made, of, reference, until)
    return found


def _alarmed(made: Made, of: Year, reference: TargetReference, until: int) -> bool:
    from tasks.monitoring.target.signals import traces

    traced = traces(seen(made, of, until), reference, RULES)
    return any(each.alarmed for family in traced.values() for each in family)


def measured(made: Made, rows: int, years: int) -> dict[str, tuple[float, float, float]]:
    """By the metric: false alarms a year, the share of changes that are found, and their median delay."""
    quiet, found = {}, {}
    for name in (each for each in METRICS[made.task] if each != "r2"):
        quiet[name], found[name] = [0], []
    for seed in range(years):
        rng = np.random.default_rng([seed, rows])
        of, reference = year(made, rows, rng, DAYS), promoted(made, "", rng)
        for name, counted in quiet.items():
            counted[0] += alarms(flags(made, of, reference.model_copy(update={"primary_metric": name})), 0)
    worse = replace(made, worse=WORSE[made.task])
    for seed in range(max(years // 2, 1)):
        rng = np.random.default_rng([10_000 + seed, rows])
        of, reference = year(worse, rows, rng, CHANGE + PATIENCE), promoted(worse, "", rng)
        for name, delays in found.items():
            delays.append(delay(flags(worse, of, reference.model_copy(update={"primary_metric": name}))))
    return {name: (quiet[name][0] / years, *_told(found[name])) for name in quiet}


def _told(delays: list[int | None]) -> tuple[float, float]:
    told = [each for each in delays if each is not None]
    return len(told) / len(delays), float(np.median(told)) if told else float("nan")


def main(
    years: Annotated[int, typer.Option(help="Simulated years without a change; half as many with.")] = 30,
    only: Annotated[str, typer.Option(help="A world's name, or its beginning.")] = "",
) -> None:
    """Simulate, print a table, and judge."""
    failed = []
    for made in (each for each in WORLDS if each.name.startswith(only)):
        for rows in (100, 1_000):
            count = max(years // 5, 1) if made.late else years
            for name, (rate, share, days) in measured(made, rows, count).items():
                typer.echo(
                    f"{made.name:29} | {rows:5} labels a day | {name:17} | {rate:5.2f} false alarms a year | "
                    f"worse: found {share:4.0%}, {days:3.0f} days"
                )
                if rate > BUDGET:
                    failed.append(f"{rate:.2f} false alarms a year: {made.name}, {name}, {rows} a day")
    for each in failed:
        typer.echo(f"missed: {each}")
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    typer.run(main)
