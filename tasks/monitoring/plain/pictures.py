"""Each column's distribution then and now, in few numbers, for the page."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from tasks.contracts import ColumnPicture, Signal
from tasks.monitoring.plain.columns import as_categories
from tasks.monitoring.plain.roles import Roles
from tasks.monitoring.plain.sides import Pair

BINS = 16
CATEGORIES = 8
ENDS = (0.01, 0.99)


def pictures_of(sides: Pair, roles: Roles, signals: Sequence[Signal]) -> tuple[ColumnPicture, ...]:
    """Of each compared column, those that changed most first."""
    told = list(dict.fromkeys(signal.subject for signal in signals if signal.reason != "left_out"))
    names = [name for name in sides.reference.columns if name not in roles.left_out]
    ordered = sorted(names, key=lambda name: told.index(name) if name in told else len(told))
    return tuple(
        filter(None, (_picture(name, sides.reference[name], sides.current[name]) for name in ordered))
    )


def _picture(name: str, before: pd.Series, now: pd.Series) -> ColumnPicture | None:
    own, other = before.dropna(), now.dropna()
    if not len(own) or pd.api.types.is_datetime64_any_dtype(own):
        return None
    numeric = pd.api.types.is_numeric_dtype(own) and not pd.api.types.is_bool_dtype(own)
    if numeric and own.nunique() > CATEGORIES:
        return _histogram(name, own.to_numpy(dtype=float), other.to_numpy(dtype=float))
    texts = [as_categories(side) for side in (own, other)]
    kept = texts[0].value_counts().index[:CATEGORIES]
    if texts[0].nunique() > len(texts[0]) / 2:
        return None
    shares = [[float((side == value).mean()) if len(side) else 0.0 for value in kept] for side in texts]
    rest = [max(0.0, 1 - sum(each)) if len(side) else 0.0 for each, side in zip(shares, texts, strict=True)]
    labels = (*(str(value)[:30] for value in kept), "others")
    return ColumnPicture(column=name, labels=labels, before=(*shares[0], rest[0]), now=(*shares[1], rest[1]))


def _histogram(name: str, before: np.ndarray, now: np.ndarray) -> ColumnPicture:
    """The shares in equal bins; what lies outside of them is in the first or the last one."""
    ends = [np.quantile(side, ENDS) for side in (before, now) if len(side)]
    low, high = min(each[0] for each in ends), max(each[1] for each in ends)
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    shares = [
        np.histogram(np.clip(side, edges[0], edges[-1]), edges)[0] / max(len(side), 1)
        for side in (before, now)
    ]
    labels = tuple(f"{left:.4g} to {right:.4g}" for left, right in pairwise(edges))
    return ColumnPicture(
        column=name, labels=labels, before=tuple(shares[0].tolist()), now=tuple(shares[1].tolist())
    )
