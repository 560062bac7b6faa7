"""Whether an answer is the one that was judged.

Serving images hold this file too, so it imports nothing of ours.
"""

import math
from typing import Any

TOLERANCE = 1e-3
"""By how much a score may differ between the machine that judged an archive and the one that serves it; of a
predicted number, by which share of it."""
NEGLIGIBLE = 1e-6
"""A predicted number that is nearer to 0 than this is 0: its share would tell rounding apart."""


def differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Where an answer differs from the expected one: numbers by more than a tolerance, all else at all.

    Scores are in [0, 1], as the tolerance is; a predicted number is in units of the label, large or small.
    """
    least = {name: NEGLIGIBLE if name == "prediction" else TOLERANCE for name in expected}
    wrong = [name for name, value in expected.items() if not _close(value, found.get(name), least[name])]
    return [f"{name} is {found.get(name)!r} instead of {expected[name]!r}" for name in wrong]


def _close(expected: Any, found: Any, least: float) -> bool:
    if isinstance(expected, dict) and isinstance(found, dict):
        same = expected.keys() == found.keys()
        return same and all(_close(value, found[name], least) for name, value in expected.items())
    if isinstance(expected, float) and isinstance(found, int | float):
        return math.isclose(expected, found, rel_tol=TOLERANCE, abs_tol=least)
    return bool(expected == found)
