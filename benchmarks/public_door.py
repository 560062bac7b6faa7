"""How much ordinary traffic the door keeps out of training, and how much of what is planted.

    .perennial/envs/dev/bin/python benchmarks/public_door.py --reviews DIR --flights DIR [--other NAME=FILE]

DIR is what models/review_sentiment/example_data.py and models/flight_delay/example_data.py write (all rows,
one CSV of each source); FILE is a CSV of other texts, with a column `text`. Requests come without a token, so
that a day is judged as one. Ordinary: reviews of the site that the reference is of; of flights each of 60
days, after the 30, 90 and 200 days before them. Another world: reviews of another kind of thing, which ought
to join.
Planted among 900 ordinary rows: near-copies of one row, requests that differ in one field, strange rows.

Exits with 1 where more than the declared 0.1 % of ordinary rows are kept out, or fewer than 95 % of what is
planted in a hundred rows or more.
"""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import typer

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from tasks.contracts import DoorScales  # noqa: E402 - found by the path above
from tasks.data.door.calibrate import calibrate  # noqa: E402
from tasks.data.door.decide import decide  # noqa: E402
from tasks.data.door.look_at import look_at  # noqa: E402
from tasks.data.door.reference import MOST_ROWS  # noqa: E402
from tasks.spec import PipelineSpec  # noqa: E402
from tasks.stores.lake import arrow_schema  # noqa: E402

DAY = datetime(2026, 1, 5, tzinfo=UTC)
FOUND_GOAL = 0.95
SIZES = (30, 100, 300)
ORDINARY, ANOTHER, PLANTED = "ordinary", "another world", "planted"

Tried = tuple[str, str, int, int]
"""The kind, what it is, how many rows, and how many of them are kept out."""


class World:
    """The door of a shipped model whose reference is of these rows."""

    def __init__(self, model: str, reference: pd.DataFrame) -> None:
        self.spec = PipelineSpec.load(PROJECT / "models" / model / "pipeline.yaml")
        sample = reference.sample(min(MOST_ROWS, len(reference)), random_state=1).sort_index()
        newest = self._rows(reference.tail(MOST_ROWS))
        made = calibrate(self._rows(sample), newest, self.spec, "run", {})
        assert made is not None
        self.scales: DoorScales = made

    def kept_out(self, frame: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Whether each row is, asked for on one day and without a token."""
        rows = self._rows(frame)
        [looked] = look_at(rows, [None] * len(rows), DAY, self.scales, self.spec)
        verdict = decide(looked.measured)
        crowds = (looked.alike > verdict.flood_above) | (looked.apart > verdict.probing_above)
        return (looked.far & verdict.far) | crowds

    def _rows(self, frame: pd.DataFrame) -> pa.Table:
        kinds = self.spec.data.feature_types
        return pa.Table.from_pandas(frame[list(kinds)], arrow_schema(kinds), preserve_index=False)

    def try_planted(self, name: str, ordinary: pd.DataFrame, planted: pd.DataFrame) -> Tried:
        out = self.kept_out(pd.concat([ordinary, planted], ignore_index=True))
        return PLANTED, name, len(planted), int(out[len(ordinary) :].sum())


def try_reviews(folder: Path, others: dict[str, Path]) -> Iterator[Tried]:
    rows = read(folder)
    own = rows[rows["source"] == "imdb"].reset_index(drop=True)
    half = len(own) // 2
    world, sites = World("review_sentiment", own[:half]), rows[rows["source"] != "imdb"]
    yield ORDINARY, "reviews", half, int(world.kept_out(own[half:]).sum())
    yield ANOTHER, "reviews: rotten_tomatoes", len(sites), int(world.kept_out(sites).sum())
    for name, file in others.items():
        texts = pd.read_csv(file)[["text"]].dropna()
        yield ANOTHER, f"reviews: {name}", len(texts), int(world.kept_out(texts).sum())
    usual, copied = own[half : half + 900], own["text"].iloc[-1]
    for size in SIZES:
        copies = pd.DataFrame({"text": [f"{copied} {number}" for number in range(size)]})
        yield world.try_planted("reviews: near-copies", usual, copies)
    rng = np.random.default_rng(1)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz   "))
    gibberish = pd.DataFrame({"text": ["".join(rng.choice(letters, 400)) for _ in range(100)]})
    yield world.try_planted("reviews: random letters", usual, gibberish)


def try_flights(folder: Path) -> Iterator[Tried]:
    rows = read(folder).sort_values(["scheduled_at", "flight_id"]).reset_index(drop=True)
    days = [day for _, day in rows.groupby(rows["scheduled_at"].str[:10], sort=True)]
    for before in (30, 90, 200):
        world = World("flight_delay", pd.concat(days[:before]))
        after = days[before : before + 60]
        out = sum(int(world.kept_out(day).sum()) for day in after)
        yield ORDINARY, f"flights after {before} days", sum(map(len, after)), out
    usual, flight = days[261], days[261].iloc[[450]]
    for size in SIZES:
        same = pd.concat([flight] * size)
        yield world.try_planted("flights: near-copies", usual, same.assign(distance_miles=500))
        minutes = np.arange(size) * 4
        yield world.try_planted("flights: one field", usual, same.assign(departure_minute=minutes))
    far = pd.concat([flight] * 100).assign(distance_miles=np.arange(100) * 1_000 + 20_000)
    yield world.try_planted("flights: far away", usual, far)


def read(folder: Path) -> pd.DataFrame:
    files = sorted(folder.glob("*.csv"))
    if not files:
        raise SystemExit(f"There is no CSV file in {folder}. Write it with the model's example_data.py.")
    return pd.concat([pd.read_csv(file) for file in files], ignore_index=True)


def main(
    reviews: Annotated[Path, typer.Option()],
    flights: Annotated[Path, typer.Option()],
    other: Annotated[list[str] | None, typer.Option(help="NAME=FILE, a CSV with a column text.")] = None,
) -> None:
    others = {name: Path(file) for name, _, file in (each.partition("=") for each in other or [])}
    tried = [*try_reviews(reviews, others), *try_flights(flights)]
    found = pd.DataFrame(tried, columns=["kind", "what", "rows", "kept out"])
    found["share"] = (found["kept out"] / found["rows"]).round(5)
    print(found.to_string(index=False))
    lost = found[(found["kind"] == ORDINARY) & (found["share"] > 0.001)]
    missed = found[(found["kind"] == PLANTED) & (found["rows"] >= 100) & (found["share"] < FOUND_GOAL)]
    for sentence in [*lost["what"].map("MISSED: too many are kept out of {}".format), *missed["what"]]:
        print(sentence)
    if len(lost) or len(missed):
        raise SystemExit(1)


if __name__ == "__main__":
    typer.run(main)
