"""Turn a flight and the weather of its hour into places in vocabularies and numbers.

Training and serving both import this, so that they see the same.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

CATEGORIES = ("flight", "carrier", "origin", "destination", "month", "weekday", "hour")
WEATHER = ("temperature_f", "humidity_percent", "wind_mph", "precipitation_inch", "visibility_miles")
NUMBERS = ("time_sine", "time_cosine", "distance", *WEATHER)
FEATURES = [
    "flight",
    "carrier",
    "origin",
    "destination",
    "month",
    "weekday",
    "departure_minute",
    "distance_miles",
    *WEATHER,
]
FEWEST = 5
MINUTES_OF_DAY = 1440
Vocabulary = dict[str, list[str]]


def vocabulary_of(flights: Sequence[Mapping[str, Any]]) -> Vocabulary:
    """Each category's values that occur in at least `FEWEST` flights, in order; the others share place 0."""
    return {name: _frequent(_category(flight, name) for flight in flights) for name in CATEGORIES}


def places_of(flights: Sequence[Mapping[str, Any]], vocabulary: Vocabulary) -> np.ndarray:
    """Each category's place in its vocabulary, from 1; 0 for what is not in it; shape (flights, 7), int64."""
    known = {name: {value: place for place, value in enumerate(vocabulary[name], 1)} for name in CATEGORIES}
    rows = [[known[name].get(_category(flight, name), 0) for name in CATEGORIES] for flight in flights]
    return np.array(rows, dtype=np.int64).reshape(len(flights), len(CATEGORIES))


def numbers_of(flights: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """The time of day on a circle, the logarithm of the distance, the weather; shape (flights, 8), float32.

    Raises:
        KeyError, TypeError, ValueError: A feature is missing, or is no number.
    """
    rows = []
    for flight in flights:
        angle = 2 * math.pi * int(flight["departure_minute"]) / MINUTES_OF_DAY
        distance = math.log1p(int(flight["distance_miles"]))
        rows.append([math.sin(angle), math.cos(angle), distance, *(float(flight[name]) for name in WEATHER)])
    return np.array(rows, dtype=np.float32).reshape(len(flights), len(NUMBERS))


def _category(flight: Mapping[str, Any], name: str) -> str:
    value = int(flight["departure_minute"]) // 60 if name == "hour" else flight[name]
    if value is None:
        raise ValueError(f"{name} is empty")
    return str(value)


def _frequent(values: Iterable[str]) -> list[str]:
    return sorted(value for value, times in Counter(values).items() if times >= FEWEST)
