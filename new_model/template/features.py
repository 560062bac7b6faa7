"""Turn a delivery into numbers; training and serving both import this, so that they see the same."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

FEATURES = ["region", "distance_km", "weight_kg", "express"]
NUMBERS = ("distance_km", "weight_kg", "express")
REGIONS = ("north", "east", "south", "west")
WIDTH = len(NUMBERS) + len(REGIONS)


def inputs_of(rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """The numbers, and a one for the region, of which an unknown one has none; shape (rows, WIDTH), float32.

    Raises:
        KeyError, TypeError, ValueError: A feature is missing, or is no number.
    """
    listed = [
        [float(row[name]) for name in NUMBERS] + [float(row["region"] == region) for region in REGIONS]
        for row in rows
    ]
    inputs = np.array(listed, dtype=np.float32).reshape(len(rows), WIDTH)
    if not np.isfinite(inputs).all():
        raise ValueError("a number is missing or infinite")
    return inputs
