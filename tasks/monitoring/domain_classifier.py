"""Tell two sets of rows apart: the domain classifier, its null, and the distance of each column.

A classifier is trained to say from which set a row is. Its ROC AUC on rows that it was not trained on is 0.5
where the sets are alike, whatever the columns are, and it sees joint changes that no single column shows.
Random relabellings of the same rows say how far from 0.5 it comes by chance at these sizes; a formula for
independent rows would be too narrow, because every pair of rows counts in two folds.

Sources: Lopez-Paz and Oquab, Revisiting Classifier Two-Sample Tests, ICLR 2017; Rabanser et al., Failing
    Loudly, NeurIPS 2019.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse, special

from tasks.contracts import ColumnDistance
from tasks.spec import FEWEST_ROWS, ColumnType

Kind = Literal["text", "category", "number"]

TIMES: frozenset[ColumnType] = frozenset({"timestamp", "date"})

SEED = 20_250_101
FOLDS = 3
RELABELLINGS = 20
TEXT_WORDS = 3.0
MOST_CATEGORIES = 100
LARGEST = 1e30
MISSING = -2 * LARGEST
WORD_OR_SIGN = r"(?u)\w+|[^\w\s]"


@dataclass(frozen=True)
class Separation:
    """How well a classifier tells two sets apart.

    Attributes:
        auc: Out-of-fold ROC AUC, the mean over folds; NaN where nothing could be measured.
        null_auc: What the same AUC exceeds by chance with the probability that was asked for. NaN or above 1
            where the rows are too few for that probability.
        window_rows, reference_rows: The rows that it saw: distinct ones where there is text.
    """

    auc: float
    null_auc: float
    window_rows: int
    reference_rows: int


def kinds_of(columns: Mapping[str, ColumnType], reference: pd.DataFrame) -> dict[str, Kind]:
    """How each column is compared; times and dates are left out, because they always move on.

    A string column is text where the reference has more than three words in it on average.
    """
    kinds: dict[str, Kind] = {}
    for name, declared in columns.items():
        if declared == "string":
            words = [len(str(value).split()) for value in reference[name].dropna()]
            kinds[name] = "text" if words and np.mean(words) > TEXT_WORDS else "category"
        elif declared not in TIMES:
            kinds[name] = "number"
    return kinds


def sample(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most so many of the rows, always the same ones."""
    return rows if len(rows) <= most else rows.sample(most, random_state=SEED).sort_index()


def distinct(rows: pd.DataFrame, kinds: Mapping[str, Kind]) -> pd.DataFrame:
    """The rows without repetitions where there is text.

    A text that is sent again is one voice, not many: repetitions are not independent, and a classifier knows
    them by heart. Without text, equal rows are what the distribution is made of, and all of them count.
    """
    return rows.drop_duplicates(subset=list(kinds)) if "text" in kinds.values() else rows


def separate(
    window: pd.DataFrame,
    reference: pd.DataFrame,
    kinds: Mapping[str, Kind],
    false_alarm_share: float,
    *,
    only_above: float = 0.0,
) -> Separation:
    """Train the domain classifier on two sets of rows and say how well it tells them apart.

    Sets of fewer than `FEWEST_ROWS` are not measured.

    Args:
        false_alarm_share: With which probability two samples of one distribution exceed `null_auc`, in (0,
            1).
        only_above: An AUC up to which nobody asks what chance gives, which takes most of the time: `null_auc`
            is NaN then.
    """
    if min(len(window), len(reference)) < FEWEST_ROWS:
        return Separation(nan, nan, len(window), len(reference))
    rows = pd.concat([window, reference], ignore_index=True)
    from_window = np.repeat([1, 0], [len(window), len(reference)])
    folds = _folds(rows, kinds)
    text, table = text_matrix(rows, kinds), number_table(rows, kinds)
    auc = _out_of_fold_auc(text, table, from_window, folds, kinds)
    if auc <= only_above:
        return Separation(auc, nan, len(window), len(reference))
    rng = np.random.default_rng(SEED)
    null = [
        _out_of_fold_auc(text, table, rng.permutation(from_window), folds, kinds) for _ in range(RELABELLINGS)
    ]
    quantile = -special.stdtrit(RELABELLINGS - 1, false_alarm_share) * np.sqrt(1 + 1 / RELABELLINGS)
    null_auc = float(np.maximum(np.mean(null) + quantile * np.std(null, ddof=1), 0.5))
    return Separation(auc, null_auc, len(window), len(reference))


def tell_apart(window: pd.DataFrame, reference: pd.DataFrame, kinds: Mapping[str, Kind]) -> float:
    """How well the domain classifier tells two sets apart: its out-of-fold ROC AUC alone.

    NaN where a set has fewer than `FEWEST_ROWS`.
    """
    if min(len(window), len(reference)) < FEWEST_ROWS:
        return nan
    rows = pd.concat([window, reference], ignore_index=True)
    label = np.repeat([1, 0], [len(window), len(reference)])
    return _out_of_fold_auc(
        text_matrix(rows, kinds), number_table(rows, kinds), label, _folds(rows, kinds), kinds
    )


def column_distances(
    window: pd.DataFrame, reference: pd.DataFrame, kinds: Mapping[str, Kind], text_auc: float | None = None
) -> tuple[ColumnDistance, ...]:
    """Each column's own distance, largest first within the order of the columns; an empty column has none.

    Args:
        text_auc: The domain classifier's AUC, where it was trained on one text column and nothing else.
    """
    found = []
    for name, kind in kinds.items():
        if window[name].notna().any() and reference[name].notna().any():
            known = text_auc if len(kinds) == 1 and kind == "text" else None
            found.append(_distance(window[[name]], reference[[name]], name, kind, known))
    return tuple(found)


def _distance(
    window: pd.DataFrame, reference: pd.DataFrame, name: str, kind: Kind, known: float | None
) -> ColumnDistance:
    if kind == "text":
        only: dict[str, Kind] = {name: kind}
        rows = pd.concat([window, reference], ignore_index=True)
        label = np.repeat([1, 0], [len(window), len(reference)])
        auc = known or _out_of_fold_auc(text_matrix(rows, only), None, label, _folds(rows, only), only)
        return ColumnDistance(
            column=name, distance=auc, method="ROC AUC of a domain classifier on this column"
        )
    if kind == "number":
        own, other = (
            np.clip(side[name].dropna().to_numpy(dtype=float), -LARGEST, LARGEST)
            for side in (window, reference)
        )
        scale = float(np.std(other)) or 1.0
        from scipy import stats

        distance = float(stats.wasserstein_distance(own, other)) / scale
        return ColumnDistance(
            column=name,
            distance=distance,
            method="Wasserstein distance in standard deviations of the reference",
        )
    shares = [side[name].astype(str).value_counts(normalize=True) for side in (window, reference)]
    both = pd.concat(shares, axis=1).fillna(0).to_numpy()
    from scipy.spatial.distance import jensenshannon

    distance = float(jensenshannon(both[:, 0], both[:, 1], base=2))
    return ColumnDistance(column=name, distance=distance, method="Jensen-Shannon distance")


def _folds(rows: pd.DataFrame, kinds: Mapping[str, Kind]) -> NDArray[np.int64]:
    """Each row's fold, at random.

    Equal rows with text share one: else a text in both sets is learnt as the wrong one.
    """
    rng = np.random.default_rng(SEED)
    if "text" not in kinds.values():
        return rng.permutation(np.arange(len(rows)) % FOLDS)
    same = rows.groupby(list(kinds), dropna=False, sort=False).ngroup().to_numpy()
    return rng.permutation(np.arange(same.max() + 1) % FOLDS)[same]


def _out_of_fold_auc(
    text: Any,
    table: NDArray[np.float64] | None,
    label: NDArray[Any],
    folds: NDArray[np.int64],
    kinds: Mapping[str, Kind],
) -> float:
    """The mean AUC over folds, NaN where none has both sets; of text and table together, the sum of the two
    classifiers' log odds decides.
    """
    from sklearn.metrics import roc_auc_score

    found = []
    for fold in range(FOLDS):
        learn, judge = folds != fold, folds == fold
        if len(np.unique(label[learn])) < 2 or len(np.unique(label[judge])) < 2:
            continue
        odds = np.zeros(int(judge.sum()))
        if text is not None:
            odds += _text_classifier().fit(text[learn], label[learn]).decision_function(text[judge])
        if table is not None:
            odds += table_classifier(kinds).fit(table[learn], label[learn]).decision_function(table[judge])
        found.append(roc_auc_score(label[judge], odds))
    return float(np.mean(found)) if found else nan


def _text_classifier() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(
        C=1.0, solver="liblinear", max_iter=200, class_weight="balanced", random_state=SEED
    )


def table_classifier(kinds: Mapping[str, Kind]) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    categorical = [kind == "category" for kind in kinds.values() if kind != "text"]
    return HistGradientBoostingClassifier(
        max_iter=30,
        max_leaf_nodes=15,
        early_stopping=False,
        categorical_features=categorical if any(categorical) else None,
        random_state=SEED,
    )


def text_matrix(rows: pd.DataFrame, kinds: Mapping[str, Kind]) -> Any:
    """TF-IDF of each text column side by side; None where no column has a word that two rows share.

    It is fitted on all rows: it knows nothing of the sets, so no label leaks from fold to fold.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    found = []
    for name in (name for name, kind in kinds.items() if kind == "text"):
        vectors = TfidfVectorizer(
            min_df=2, sublinear_tf=True, max_features=50_000, token_pattern=WORD_OR_SIGN
        )
        try:
            found.append(vectors.fit_transform(rows[name].fillna("").astype(str)))
        except ValueError:
            # scikit-learn's only way to say that no word is left: the column tells nothing.
            continue
    return sparse.hstack(found, format="csr") if found else None


def number_table(rows: pd.DataFrame, kinds: Mapping[str, Kind]) -> NDArray[np.float64] | None:
    """Numbers as they are and categories as codes, those beyond
    the most frequent as one; None where there are neither.

    What is missing is a value of its own: scikit-learn raises for a column that has none at all in one fold.
    """
    columns = []
    for name, kind in kinds.items():
        if kind == "number":
            numbers = pd.to_numeric(rows[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
            columns.append(np.where(np.isnan(numbers), MISSING, np.clip(numbers, -LARGEST, LARGEST)))
        elif kind == "category":
            values = rows[name].astype("string")
            frequent = values.value_counts().index[:MOST_CATEGORIES]
            codes = pd.Categorical(values, categories=frequent).codes.astype(np.float64)
            rare_or_missing = np.where(values.isna(), len(frequent) + 1, len(frequent))
            columns.append(np.where(codes < 0, rare_or_missing, codes))
    return np.column_stack(columns) if columns else None
