"""Which batches with wrong labels are quarantined, and which sound ones: on real reviews and real flights.

    .perennial/envs/dev/bin/python benchmarks/label_sanity.py --reviews DIR --flights DIR [--draws 5]

DIR is what models/review_sentiment/example_data.py and models/flight_delay/example_data.py write (all rows,
one CSV). Labels of a new batch of 800, 2,000 and 8,000 rows are inverted, shuffled, joined by their place to
rows that were sorted by another column (misjoined), or 20 % of them turned. The batch is judged as
`tasks.monitoring.labels` does by default, against batches that came before it and a champion trained on rows
before those: TF-IDF with logistic regression for the reviews, histogram gradient boosting for the flights.

Sound batches: reviews of the same site; all snippets of another site, whose true labels the champion answers
far worse; and real days of flights in their order, each judged against the days before it.

Exits with 1 where more than 1 % of the sound batches are quarantined, or fewer than 95 % of those that were
sought are found: of reviews every kind at every size; of flights inverted, shuffled and misjoined labels of
8,000 rows. What the labels of fewer flights say cannot be told from a day of strange weather: on one real
day of that year late flights are those that the champion calls punctual. It is printed all the same.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import typer
from numpy.typing import NDArray

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from tasks.contracts import Agreement, BatchVerdict  # noqa: E402 - found by the path above
from tasks.evaluation.answers import Answers, Target  # noqa: E402
from tasks.monitoring.domain_classifier import kinds_of, number_table, table_classifier  # noqa: E402
from tasks.monitoring.labels.agreement import (  # noqa: E402
    MOST_REFERENCE_ROWS,
    MOST_ROWS,
    Labelled,
    compare,
    usual_skill,
)
from tasks.monitoring.labels.association import Known  # noqa: E402
from tasks.monitoring.labels.judge import Rows, judge  # noqa: E402
from tasks.monitoring.labels.next_batch import NextBatch  # noqa: E402
from tasks.monitoring.labels.skill import skill  # noqa: E402
from tasks.spec import DataSpec, PipelineSpec  # noqa: E402

SIZES = (800, 2_000, 8_000)
FOUND_GOAL, FLIGHTS_GOAL_ROWS, FALSE_GOAL = 0.95, 8_000, 0.01
TWO = Target("binary", (0, 1))
DAYS = 60
NUMBERS = count()
"""No two batches that are judged have one name, whatever was planted in them."""

Labels = NDArray[np.int64]
Frame = pd.DataFrame


def _turned(labels: Labels, rng: np.random.Generator) -> Labels:
    wrong = rng.random(len(labels)) < 0.2
    return np.where(wrong, 1 - labels, labels)


PLANTED: dict[str, Callable[[Labels, np.random.Generator], Labels]] = {
    "inverted": lambda labels, _: 1 - labels,
    "shuffled": lambda labels, rng: rng.permutation(labels),
    "misjoined": lambda labels, _: labels,
    "20 % turned": _turned,
}


@dataclass(frozen=True)
class World:
    """Rows in the order of arrival, what they are to the model, and the champion's probability of a 1.

    Attributes:
        usual: The champion's skill on batches of its own test rows.
        known: How well the rows of each batch of a history tell their labels, measured once.
    """

    data: DataSpec
    rows: Frame
    champion: NDArray[np.float64]
    usual: NextBatch | None
    known: Known = field(default_factory=dict)

    def verdict(self, history: list[NDArray[Any]], batch: NDArray[Any], labels: Labels) -> BatchVerdict:
        """Judge a batch against those of its history; all are places of rows."""
        places = np.concatenate([*history, batch])
        accepted, new = [f"b{places[0]}-{places[-1]}" for places in history], f"new{next(NUMBERS)}"
        names = np.repeat([*accepted, new], [len(each) for each in (*history, batch)])
        truth = self.rows[self.data.label].to_numpy()[places].copy()
        truth[len(truth) - len(batch) :] = labels
        table = pa.Table.from_pandas(self.rows[list(self.data.features)].iloc[places], preserve_index=False)
        rows = Rows(table, truth, names.astype(object), TWO)
        agreed = {new: self._agreement(batch, labels)}
        [verdict] = judge(rows, self.data, [new], accepted, agreed, self.known)
        return verdict

    def _agreement(self, batch: NDArray[Any], labels: Labels) -> Agreement | str:
        looked_at = np.random.default_rng(0).permutation(len(labels))[:MOST_ROWS]
        found = skill("roc_auc", TWO, labels[looked_at], answers_of(self.champion[batch][looked_at]))
        return compare("roc_auc", self.usual, found, "champion", len(labels))


def answers_of(scores: NDArray[np.float64]) -> Answers:
    return Answers((scores > 0.5).astype(np.int64), scores)


def usual_of(
    scores: NDArray[np.float64], labels: Labels, batches: NDArray[Any], rows_of: dict[str, int]
) -> NextBatch | None:
    own = Labelled(pa.table({"row": labels}), labels, batches.astype(str).astype(object))
    return usual_skill("roc_auc", TWO, own, answers_of(scores), rows_of)


def reviews(folder: Path) -> tuple[World, NDArray[Any], NDArray[Any]]:
    """The world, and the places of its own and of the other site's rows that the champion has not seen."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    rows = read(folder).reset_index(drop=True)
    own, other = (np.flatnonzero(rows["source"] == name) for name in ("imdb", "rotten_tomatoes"))
    learnt, tested, left = own[:8_000], own[8_000:10_000], own[10_000:]
    model = make_pipeline(TfidfVectorizer(min_df=2, sublinear_tf=True), LogisticRegression(C=3.0))
    model.fit(rows["text"].iloc[learnt], rows["label"].iloc[learnt])
    champion = model.predict_proba(rows["text"])[:, 1]
    names = np.arange(len(tested)) // (len(tested) // 6)
    sizes = dict.fromkeys(map(str, names), 1_000)
    usual = usual_of(champion[tested], rows["label"].to_numpy()[tested], names, sizes)
    return World(data_of("review_sentiment"), rows, champion, usual), left, other


def flights(folder: Path) -> World:
    """Days from July on are unseen by the champion."""
    rows = (
        read(folder).dropna(subset="late").sort_values(["scheduled_at", "flight_id"]).reset_index(drop=True)
    )
    rows["late"] = rows["late"].astype(np.int64)
    data = data_of("flight_delay")
    kinds = kinds_of(data.feature_types, rows[list(data.features)])
    table = number_table(rows, kinds)
    months = rows["month"].to_numpy()
    learnt = np.flatnonzero(months <= 6)
    tested = np.random.default_rng(0).choice(learnt, MOST_REFERENCE_ROWS, replace=False)
    learnt = np.setdiff1d(learnt, tested)
    assert table is not None
    model = table_classifier(kinds).fit(table[learnt], rows["late"].to_numpy()[learnt])
    champion = model.predict_proba(table)[:, 1]
    days = rows["scheduled_at"].str[:10].to_numpy()
    sizes = pd.Series(days).value_counts().to_dict()
    usual = usual_of(champion[tested], rows["late"].to_numpy()[tested], days[tested], sizes)
    return World(data, rows, champion, usual)


def data_of(model: str) -> DataSpec:
    return PipelineSpec.load(PROJECT / "models" / model / "pipeline.yaml").data


def read(folder: Path) -> Frame:
    files = sorted(folder.glob("*.csv"))
    if not files:
        raise SystemExit(f"There is no CSV file in {folder}. Write it with the model's example_data.py.")
    return pd.concat([pd.read_csv(file) for file in files], ignore_index=True)


def try_reviews(folder: Path, draws: int) -> Iterator[tuple[str, str, int, bool]]:
    """What was planted, in which kind of rows, how many, and whether the batch was quarantined."""
    world, own, other = reviews(folder)
    for draw in range(draws):
        rng = np.random.default_rng(draw)
        mixed = rng.permutation(own)
        history = np.array_split(mixed[:6_000], 6)
        for size in SIZES:
            batch = mixed[6_000 : 6_000 + size]
            yield from _tried(world, "reviews", history, batch, rng)
            strange = rng.choice(other, min(size, len(other)), replace=False)
            labels = world.rows["label"].to_numpy()[strange]
            yield "sound, other site", "reviews", size, _bad(world.verdict(history, strange, labels))


def try_flights(folder: Path, draws: int) -> Iterator[tuple[str, str, int, bool]]:
    world = flights(folder)
    days = world.rows["scheduled_at"].str[:10].to_numpy()
    by_day = [np.flatnonzero(days == day) for day in np.unique(days)]
    start = next(n for n, places in enumerate(by_day) if world.rows["month"].iloc[places[0]] == 7)
    for place in np.linspace(start, len(by_day) - 1, DAYS).astype(int):
        labels = world.rows["late"].to_numpy()[by_day[place]]
        found = world.verdict(by_day[place - 90 : place], by_day[place], labels)
        yield "sound, a real day", "flights", len(labels), _bad(found)
    for draw in range(draws):
        rng = np.random.default_rng(draw)
        first = int(rng.integers(start, len(by_day) - 12))
        later = np.concatenate(by_day[first:])
        for size in SIZES:
            yield from _tried(world, "flights", by_day[first - 90 : first], later[:size], rng)


def _tried(
    world: World, name: str, history: list[NDArray[Any]], batch: NDArray[Any], rng: np.random.Generator
) -> Iterator[tuple[str, str, int, bool]]:
    labels = world.rows[world.data.label].to_numpy()[batch]
    yield "sound", name, len(batch), _bad(world.verdict(history, batch, labels))
    for planted, change in PLANTED.items():
        wrong = _misjoined(world, batch) if planted == "misjoined" else change(labels, rng)
        found = world.verdict(history, batch, wrong)
        yield planted, name, len(batch), _bad(found)


def _misjoined(world: World, batch: NDArray[Any]) -> Labels:
    """The labels in the order of the first feature, the rows in that of their arrival."""
    values = world.rows[world.data.features[0]].iloc[batch]
    labels: Labels = world.rows[world.data.label].to_numpy()[
        batch[np.argsort(values.to_numpy(), kind="stable")]
    ]
    return labels


def _bad(verdict: BatchVerdict) -> bool:
    return verdict.state == "quarantined"


def main(
    reviews_folder: Annotated[Path, typer.Option("--reviews")],
    flights_folder: Annotated[Path, typer.Option("--flights")],
    draws: Annotated[int, typer.Option(help="Batches of each kind and size.")] = 5,
) -> None:
    tried = [*try_reviews(reviews_folder, draws), *try_flights(flights_folder, draws)]
    found = pd.DataFrame(tried, columns=["batch", "data", "rows", "quarantined"])
    found.loc[found["batch"] == "sound, a real day", "rows"] = 0
    table = found.groupby(["data", "batch", "rows"])["quarantined"].agg(["mean", "size"]).reset_index()
    print(table.rename(columns={"mean": "share quarantined", "size": "batches"}).to_string(index=False))
    missed = list(_missed(table, found))
    for sentence in missed:
        print(f"MISSED: {sentence}")
    if missed:
        raise SystemExit(1)


def _missed(table: Frame, found: Frame) -> Iterator[str]:
    for _, row in table.iterrows():
        large = row["rows"] >= FLIGHTS_GOAL_ROWS and row["batch"] != "20 % turned"
        sought = row["batch"] in PLANTED and (row["data"] == "reviews" or large)
        if sought and row["mean"] < FOUND_GOAL:
            yield f"{row['batch']} labels of {row['rows']} {row['data']} are found in {row['mean']:.0%}"
    sound = found.loc[~found["batch"].isin(list(PLANTED)), "quarantined"]
    print(f"sound batches quarantined: {int(sound.sum())} of {len(sound)}")
    if sound.mean() > FALSE_GOAL:
        yield f"{sound.mean():.1%} of the sound batches are quarantined"


if __name__ == "__main__":
    typer.run(main)
