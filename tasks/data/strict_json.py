"""JSON without the two things that the standard parser lets pass: a key that is given twice, and NaN."""

import json
from typing import Any


def loads(text: str) -> Any:
    """Parse JSON.

    Raises:
        ValueError: The text is not JSON, gives a key twice, or holds NaN or an infinity.
    """
    return json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_not_a_number)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is given twice")
    return found


def _not_a_number(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")
