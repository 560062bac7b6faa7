"""JSON without what the standard parser lets pass: a key that is given twice, NaN, and levels without end."""

import json
import re
from collections import Counter
from typing import Any

LEVELS = 200
"""How deep values may lie in each other: whoever reads or writes them again needs room on its stack."""

BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


def loads(text: str) -> Any:
    """Parse JSON.

    Raises:
        ValueError: The text is not JSON, gives a key twice, holds NaN or an infinity, or has more levels than
            `LEVELS`.
    """
    if text.count("[") + text.count("{") > LEVELS and _is_too_deep(text):
        raise ValueError(f"its values lie in each other more than {LEVELS} levels deep")
    return json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_not_a_number)


def _is_too_deep(text: str) -> bool:
    """Whether more brackets are open at once than there may be levels, those in strings left out."""
    level = 0
    for found in BRACKETS.finditer(text):
        level += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found.group(), 0)
        if level > LEVELS:
            return True
    return False


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {twice!r} is given twice")
    return found


def _not_a_number(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")
