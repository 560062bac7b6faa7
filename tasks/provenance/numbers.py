"""A number as people read it: no more digits than say something."""

DIGITS = 4
THOUSAND = 1000
NOT_COUNTED = 1e15
"""From here on a number has digits that nobody reads."""


def tell_number(value: float | str | None) -> str:
    """`0.0396`, `1.028e-08`, `1,246,013`; a text as it is, and nothing for None."""
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:,.0f}" if THOUSAND <= abs(value) < NOT_COUNTED else f"{value:.{DIGITS}g}"
