"""Turn a flight into hashed categories and numbers; training
and serving both import this, so that they see the same.
"""

import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

CATEGORIES = ("flight", "carrier", "origin", "destination", "month", "weekday", "hour")
NUMBERS = ("time_sine", "time_cosine", "distance")
MINUTES_OF_DAY = 1440


def categories_of(flights: Sequence[Mapping[str, Any]], *, buckets: int) -> np.ndarray:
    """Each category's bucket, hashed with its column's name; shape (flights, 7), int64."""
    rows = [[_bucket(name, _category(flight, name), buckets) for name in CATEGORIES] for flight in flights]
    return np.array(rows, dtype=np.int64).reshape(len(flights), len(CATEGORIES))


def numbers_of(flights: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """The time of day on a circle, and the logarithm of the distance; shape (flights, 3), float32."""
    rows = []
    for flight in flights:
        angle = 2 * math.pi * int(flight["departure_minute"]) / MINUTES_OF_DAY
        rows.append([math.sin(angle), math.cos(angle), math.log1p(int(flight["distance_miles"]))])
    return np.array(rows, dtype=np.float32).reshape(len(flights), len(NUMBERS))


def _category(flight: Mapping[str, Any], name: str) -> str:
    value = int(flight["departure_minute"]) // 60 if name == "hour" else flight[name]
    if value is None:
        raise ValueError(f"{name} is empty")
    return str(value)


def _bucket(name: str, value: str, buckets: int) -> int:
    return zlib.crc32(f"{name}={value}".encode()) % buckets
