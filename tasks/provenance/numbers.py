"""A number as people read it: no more digits than say something."""

DIGITS = 4
THOUSAND = 1000


def tell_number(value: float | str | None) -> str:
    """`0.0396`, `1.028e-08`, `1,246,013`; a text as it is, and nothing for None."""
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:,.0f}" if abs(value) >= THOUSAND else f"{value:.{DIGITS}g}"
