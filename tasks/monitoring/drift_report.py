"""The Evidently report of a drift check: for people to look at, never what decides.

Evidently's presets compute every column three times and its own text drift is another classifier; this names
one test a column and shows a text by its length and number of words. Nothing is downloaded and nothing phones
home.
"""

import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tasks.errors import PerennialError
from tasks.monitoring.domain_classifier import Kind, sample
from tasks.stores import files
from tasks.stores.row_hash import sha256_of_rows

MOST_ROWS = 2000
THRESHOLD = 0.1


class ReportNotDrawn(PerennialError):
    """Evidently cannot show these rows; raised by `write_report`, and no reason to give no verdict."""


def write_report(
    window: pd.DataFrame, reference: pd.DataFrame, kinds: Mapping[str, Kind], work_url: str
) -> str:
    """Write one self-contained page, and return its URL.

    It is named by the rows that it shows: a decision in the ledger may point to the page of an earlier try.

    Args:
        window: What was asked of the service lately; needs a value in each column to say anything about it.
        reference: What the champion was validated on.

    Raises:
        ReportNotDrawn: Evidently, or what names the page, raised, whatever it was.
    """
    try:
        name, page = _name_of(window, reference), _draw(window, reference, kinds)
    except Exception as error:
        raise ReportNotDrawn(
            f"The drift report could not be drawn, which changes nothing in the verdict: "
            f"{type(error).__name__}: {str(error).rstrip('.')}."
        ) from error
    return files.write_text(work_url, name, text=page)


def _name_of(window: pd.DataFrame, reference: pd.DataFrame) -> str:
    sides = "".join(sha256_of_rows(pa.Table.from_pandas(rows)) for rows in (window, reference))
    return f"drift-{hashlib.sha256(sides.encode()).hexdigest()[:16]}.html"


def _draw(window: pd.DataFrame, reference: pd.DataFrame, kinds: Mapping[str, Kind]) -> str:
    os.environ["DO_NOT_TRACK"] = "1"
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import RowCount, ValueDrift

    current, known, shown = _columns_to_show(sample(window, MOST_ROWS), sample(reference, MOST_ROWS), kinds)
    numbers, categories = (
        [name for name, kind in shown.items() if kind == each] for each in ("number", "category")
    )
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=categories)
    methods = {"number": "wasserstein", "category": "jensenshannon"}
    drift = [
        ValueDrift(column=name, method=methods[kind], threshold=THRESHOLD) for name, kind in shown.items()
    ]
    sides = (Dataset.from_pandas(side, data_definition=definition) for side in (current, known))
    with tempfile.TemporaryDirectory(prefix="perennial-drift-") as folder:
        page = Path(folder, "drift.html")
        Report([RowCount(), *drift]).run(*sides).save_html(str(page))
        return page.read_text(encoding="utf-8")


def _columns_to_show(
    window: pd.DataFrame, reference: pd.DataFrame, kinds: Mapping[str, Kind]
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Kind]]:
    """The columns that Evidently can show: it raises for one that is empty on either side."""
    current, known = (_numbers_and_categories(rows, kinds) for rows in (window, reference))
    filled = [str(name) for name in known if current[name].notna().any() and known[name].notna().any()]
    categories = {name for name, kind in kinds.items() if kind == "category"}
    shown: dict[str, Kind] = {name: "category" if name in categories else "number" for name in filled}
    return current[filled], known[filled], shown


def _numbers_and_categories(rows: pd.DataFrame, kinds: Mapping[str, Kind]) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    for name, kind in kinds.items():
        if kind == "number":
            columns[name] = (
                pd.to_numeric(rows[name], errors="coerce")
                # Numbers that differ in the last digits alone leave no room for the bins of a histogram.
                .astype("float32")
                .astype("float64")
                .replace([np.inf, -np.inf], np.nan)
            )
        elif kind == "category":
            columns[name] = rows[name].astype("string").astype(object)
        else:
            texts = ["" if pd.isna(value) else str(value) for value in rows[name].tolist()]
            columns[f"{name}: characters"] = [float(len(text)) for text in texts]
            columns[f"{name}: words"] = [float(len(text.split())) for text in texts]
    return pd.DataFrame({name: list(values) for name, values in columns.items()})
