"""The peer of the sentiment model: TF-IDF + logistic regression
(scikit-learn), trained on one Parquet file, scored on others.

    .perennial/envs/ml/bin/python benchmarks/baseline_text.py --train train.parquet --test imdb=test.parquet
    --test rt=rt.jsonl

Prints the accuracies as one line of JSON. Files are Parquet or JSON lines with the columns `text` and
`label`.
"""

import json
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline


def read(path: Path) -> pd.DataFrame:
    """The columns text and label of a Parquet or JSON-lines file."""
    rows = pd.read_json(path, lines=True) if path.suffix == ".jsonl" else pd.read_parquet(path)
    return rows[["text", "label"]]


def main(
    train: Annotated[list[Path], typer.Option(help="Rows to train on; may be given more than once.")],
    test: Annotated[list[str], typer.Option(help="name=path of rows to score; may be given more than once.")],
) -> None:
    """Train on every --train file and print the accuracy on each --test file."""
    rows = pd.concat([read(path) for path in train])
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, max_features=300_000),
        LogisticRegression(C=10, max_iter=1000),
    )
    model.fit(rows["text"], rows["label"])
    scores = {}
    for name, path in (pair.split("=", 1) for pair in test):
        held_out = read(Path(path))
        scores[name] = round(float(model.score(held_out["text"], held_out["label"])), 4)
    typer.echo(json.dumps({"trained_on_rows": len(rows), "accuracy": scores}))


if __name__ == "__main__":
    typer.run(main)
