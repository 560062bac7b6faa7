"""A simple but real model of the features: logistic or ridge regression on columns, categories and words.

Deterministic, and bounded in time: at most 20,000 training rows, evenly spread, and of each text the first
4,000 characters. It is fitted to the training part alone.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tasks.evaluation.answers import Target
from tasks.spec import ColumnType, label_text

MOST_ROWS = 20_000
MOST_CHARACTERS = 4000
MOST_CATEGORIES = 200
"""Of one column; rarer values count as one."""
CATEGORY_SHARE = 0.1
"""A column of texts whose values are this much fewer than its rows holds categories."""
HASHED_TERMS = 2**16
ITERATIONS = 200
WORD = r"(?u)\b\w+\b"
CHARACTERS = {"analyzer": "char", "ngram_range": (1, 3)}
"""How a column is read that holds no words, such as a code."""


class LinearModel:
    """Fitted by `fit`; answers rows as a handler would."""

    def __init__(self, pipeline: Any, columns: Mapping[str, ColumnType], target: Target) -> None:
        self._pipeline, self._columns, self._target = pipeline, columns, target

    def answers(self, rows: pa.Table) -> Iterator[tuple[Any, float | None, dict[str, float] | None]]:
        """The prediction, score and probabilities of each row."""
        frame = as_frame(rows, self._columns)
        if self._target.task == "regression":
            yield from ((float(number), None, None) for number in self._pipeline.predict(frame))
            return
        shares: NDArray[np.float64] = self._pipeline.predict_proba(frame)
        known, classes = list(self._pipeline.classes_), self._target.classes
        for row in shares:
            by_code = dict(zip(known, row.tolist(), strict=True))
            label = classes[max(by_code, key=by_code.__getitem__)]
            if self._target.task == "binary":
                yield label, by_code.get(1, 0.0), None
            else:
                by_class = {label_text(classes[code]): share for code, share in by_code.items()}
                yield label, max(by_code.values()), by_class


def fit(train: pa.Table, label: str, columns: Mapping[str, ColumnType], target: Target) -> LinearModel | None:
    """Fit it to the training rows; None where they have but one label.

    Args:
        columns: The features and their types.
    """
    train = _spread(train)
    truth = target.encode(train[label].to_pylist())
    known = np.isfinite(truth) if target.task == "regression" else truth != -1
    train, truth = train.filter(pa.array(known)), truth[known]
    if len(np.unique(truth)) < 2:
        return None
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline

    regression = target.task == "regression"
    last = Ridge(solver="lsqr") if regression else LogisticRegression(max_iter=ITERATIONS)
    frame = as_frame(train, columns)
    pipeline = make_pipeline(_preparation(frame, columns), last)
    return LinearModel(pipeline.fit(frame, truth), columns, target)


def as_frame(rows: pa.Table, columns: Mapping[str, ColumnType]) -> Any:
    """The features as a data frame of texts and numbers; times are seconds, dates are days."""
    import pandas as pd

    return pd.DataFrame({name: list(_values(rows, name, kind)) for name, kind in columns.items()})


def _values(rows: pa.Table, name: str, kind: ColumnType) -> Iterator[str | float]:
    for value in rows[name].to_pylist():
        if kind == "string":
            yield "" if value is None else str(value)[:MOST_CHARACTERS]
        elif value is None:
            yield np.nan
        elif kind == "timestamp":
            yield (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        elif kind == "date":
            yield float(value.toordinal())
        else:
            yield float(value)


def _spread(rows: pa.Table) -> pa.Table:
    """At most `MOST_ROWS` of the rows, evenly spread over all of them."""
    if len(rows) <= MOST_ROWS:
        return rows
    return rows.take(np.linspace(0, len(rows) - 1, MOST_ROWS).astype(np.int64))


def _preparation(frame: Any, columns: Mapping[str, ColumnType]) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    texts = [name for name, kind in columns.items() if kind == "string"]
    categories = [name for name in texts if frame[name].nunique() <= max(2, CATEGORY_SHARE * len(frame))]
    numbers = [name for name in columns if name not in texts]
    encode = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=MOST_CATEGORIES)
    scale = make_pipeline(SimpleImputer(add_indicator=True, keep_empty_features=True), StandardScaler())
    parts: list[Any] = [("categories", encode, categories), ("numbers", scale, numbers)]
    for name in texts:
        if name not in categories:
            has_words = frame[name].str.contains(r"\w\s+\w").mean() > 0.5
            words: dict[str, Any] = {"token_pattern": WORD} if has_words else CHARACTERS
            hashed = HashingVectorizer(n_features=HASHED_TERMS, alternate_sign=False, norm=None, **words)
            parts.append((name, make_pipeline(hashed, TfidfTransformer(sublinear_tf=True)), name))
    return ColumnTransformer(parts)
