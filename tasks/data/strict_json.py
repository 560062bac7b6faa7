"""JSON without what the standard parser lets pass: a key that is given twice, NaN, and levels without end."""

import json
import re
from collections import Counter
from decimal import Decimal, InvalidOperation
from typing import Any

LEVELS = 200
"""How deep values may lie in each other: whoever reads or writes them again needs room on its stack."""

SHORT = 16
"""Two different numbers of fewer characters, without exponents, are two different floats."""

FAR = 2**64

BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


class WrittenNumber(float):
    """A float without a fraction, or an infinite one, and its text, which may say another number."""

    text: str

    @property
    def whole(self) -> int | None:
        """The whole number that the text says; None where it says another one, or one beyond 64 bits."""
        if not abs(self) < FAR:
            return None
        try:
            exact = Decimal(self.text)
        except InvalidOperation:  # an exponent of twenty digits
            return None
        return int(exact) if exact == exact.to_integral_value() else None

    @property
    def is_rounded(self) -> bool:
        """Whether the text is a whole number, written without an exponent, and the float is another one."""
        digits, _, rest = self.text.partition(".")
        return not rest.strip("0") and digits.lstrip("-").isdigit() and Decimal(digits) != Decimal(self)


def loads(text: str) -> Any:
    """Parse JSON. A float that is whole, and may have been rounded to that, is a `WrittenNumber`.

    Raises:
        ValueError: The text is not JSON, gives a key twice, holds NaN or an infinity, or has more levels than
            `LEVELS`.
    """
    if text.count("[") + text.count("{") > LEVELS and _is_too_deep(text):
        raise ValueError(f"its values lie in each other more than {LEVELS} levels deep")
    return json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_not_a_number, parse_float=number)


def _is_too_deep(text: str) -> bool:
    """Whether more brackets are open at once than there may be levels, those in strings left out."""
    level = 0
    for found in BRACKETS.finditer(text):
        level += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found.group(), 0)
        if level > LEVELS:
            return True
    return False


def number(text: str) -> float:
    """The float of a number's text, with the text where it may say another one."""
    value = float(text)
    if value % 1 > 0 or (len(text) < SHORT and "e" not in text and "E" not in text):
        return value
    written = WrittenNumber(text)
    written.text = text
    return written


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {twice!r} is given twice")
    return found


def _not_a_number(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")
