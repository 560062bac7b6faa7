"""The demo's data: real reviews that land in dated files, and the rows that no model is trained on."""

import json
import random
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from demo.failure import StepFailed
from demo.traffic import Review
from tasks.settings import settings
from tasks.stores.files import at, fetch, put

MODEL = "review_sentiment"
TABLE = "reviews"


def run_in_model_environment(arguments: list[str]) -> str:
    """Run a Python program in the model's own environment,
    from the project's folder; returns what it printed.
    """
    command = [str(settings().python(MODEL)), *arguments]
    done = subprocess.run(
        command, cwd=settings().project, capture_output=True, text=True, check=False, timeout=600
    )
    if done.returncode != 0:
        raise StepFailed(f"{' '.join(arguments[:2])} ended with {done.returncode}: {done.stderr[-1500:]}")
    return done.stdout


def write_example_data(folder: Path, *, rows: int, batches: int = 1) -> list[Path]:
    """Write IMDB reviews as files that can land, oldest day first."""
    options = ["--rows", str(rows), "--batches", str(batches), "--format", "jsonl"]
    run_in_model_environment([_program(), "--output", str(folder), "--source", "imdb", *options])
    return sorted(folder.glob("reviews-imdb-*"))


def rotten_tomatoes(folder: Path, *, rows: int) -> list[Review]:
    """Snippets of Rotten Tomatoes, none of which lands as a file."""
    options = ["--rows", str(rows), "--traffic"]
    run_in_model_environment([_program(), "--output", str(folder), "--source", "rotten_tomatoes", *options])
    return read_reviews(folder / "rotten_tomatoes.jsonl")


def _program() -> str:
    return str(settings().models / MODEL / "example_data.py")


def land(files: list[Path]) -> None:
    """Let files land in the table's folder, each appearing there whole."""
    for file in files:
        put(file, at(settings().landing, TABLE, file.name))


def read_reviews(file: Path) -> list[Review]:
    """The reviews of a JSON-lines file."""
    with file.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [Review(text=row["text"], label=int(row["label"])) for row in rows]


def read_part(url: str) -> list[Review]:
    """The reviews of a snapshot's part in random order: it
    lists them by key, and so one label after the other.

    A part is a Parquet file of the store; it is read where a Parquet reader is installed.
    """
    program = (
        "import json, sys, pyarrow.parquet as pq\n"
        "for row in pq.read_table(sys.argv[1], columns=['text', 'label']).to_pylist(): print(json.dumps(row))"
    )
    with tempfile.TemporaryDirectory() as folder:
        file = fetch(url, Path(folder, "part.parquet"))
        rows = [
            json.loads(line) for line in run_in_model_environment(["-c", program, str(file)]).splitlines()
        ]
    random.Random(7).shuffle(rows)  # noqa: S311 - no secret
    return [Review(text=row["text"], label=int(row["label"])) for row in rows]


def without_shared_texts(reviews: list[Review], first: int) -> tuple[list[Review], list[Review]]:
    """The first `first` reviews, and those of the rest whose
    text is not among them: nothing held back was learnt from.
    """
    learnt = reviews[:first]
    texts = {review.text for review in learnt}
    return learnt, [review for review in reviews[first:] if review.text not in texts]


def baseline_accuracies(
    first: dict[str, Any], second: dict[str, Any], held_back: list[Review], folder: Path
) -> dict[str, float]:
    """Accuracies of a TF-IDF + logistic regression, trained
    on what the first and the second champion were trained on.
    """
    new = folder / "held-back.jsonl"
    new.write_text(
        "".join(json.dumps({"text": one.text, "label": one.label}) + "\n" for one in held_back),
        encoding="utf-8",
    )
    test = fetch(first["test"]["url"], folder / "baseline-test.parquet")
    scores: dict[str, float] = {}
    for moment, snapshot in (("before", first), ("after", second)):
        program = str(settings().project / "benchmarks" / "baseline_text.py")
        arguments = [program, "--test", f"imdb_test={test}", "--test", f"new_traffic={new}"]
        for name in ("train", "validation"):
            arguments += [
                "--train",
                str(fetch(snapshot[name]["url"], folder / f"baseline-{moment}-{name}.parquet")),
            ]
        accuracy = json.loads(run_in_model_environment(arguments))["accuracy"]
        scores |= {f"baseline_{name}_{moment}": value for name, value in accuracy.items()}
    return scores
