"""Numbers and names as people read them."""

import math

from tasks.contracts import Follows, Verdict
from tasks.monitoring.inputs.statistics import Statistic

LETTERS = 80
THOUSAND = 1000
MILLION = 1_000_000
MOST_TICK = 1e12

REASONS = {"location": "level", "spread": "spread", "nulls": "missing", "new_values": "new values"}

VERDICTS: dict[Verdict, tuple[str, str]] = {
    "quiet": ("Quiet", "Nothing follows."),
    "suspicious": ("Suspicious", "The next windows decide."),
    "too_few": ("Too few rows", "The window is not judged."),
    "cannot_tell": ("Cannot tell", "The check failed: somebody has to look."),
    "incident": (
        "Incident",
        "The data is broken. Nothing is trained on it: somebody has to mend what sends it.",
    ),
    "wait": ("Alarm, waiting", "A training would come too early."),
    "suggest": ("Alarm", "A training is suggested, and nothing starts by itself."),
    "ask": ("Alarm", "A person is asked whether to train."),
    "retrain": ("Alarm", "A new training is asked for."),
    "stopped": ("Alarm, stopped", "No training starts by itself any more: somebody has to look."),
}
"""Each verdict as a heading, and what follows from it."""

FOLLOWS: dict[Follows, str] = {
    "rebuild": "A person is asked for a full rebuild.",
    "page": "Somebody has to look.",
}
"""What says more than the verdict does."""


def number(value: float | None) -> str:
    """`0.0396`, `1,246,013`, `2.5e+07`; nothing for None."""
    if value is None:
        return ""
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "beyond all numbers"
    return f"{value:,.0f}" if THOUSAND <= abs(value) < 10 * MILLION else f"{value:.4g}"


def tick(value: float) -> str:
    """A round number beside an axis, in few letters: `0.25`, `5,000`, `20k`, `3M`."""
    if abs(value) >= MOST_TICK:
        return f"{value:.0e}"
    for least, size, letter in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(value) >= least:
            return f"{value / size:g}{letter}"
    return f"{value:,.0f}" if abs(value) >= THOUSAND else f"{value:.4g}"


def percent_tick(share: float) -> str:
    return f"{100 * share:.4g} %"


SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power(value: float) -> str:
    """A power of ten: `0.1`, `100`, `10⁶`."""
    exponent = round(math.log10(value))
    return number(value) if -2 <= exponent <= 3 else f"10{str(exponent).translate(SUPERSCRIPTS)}"


def percent(share: float | None) -> str:
    """`12.3 %`, `0.04 %`; nothing for None."""
    if share is None:
        return ""
    if not math.isfinite(share):
        return "no rows"
    return f"{100 * share:.1f} %" if share == 0 or abs(share) >= 0.001 else f"{100 * share:.2g} %"


def short(text: str, letters: int = LETTERS) -> str:
    """The text, or its beginning and how long it is; in one line, without what cannot be seen."""
    line = "".join(letter if letter.isprintable() else " " for letter in text[: letters + 1])
    if not line.strip():
        return "(blank)"
    if len(text) <= letters:
        return line
    return (
        f"{line[: letters - 1]}… ({len(text):,} characters)"
        if letters >= LETTERS
        else f"{line[: letters - 1]}…"
    )


def name_of(statistic: Statistic) -> str:
    """What a statistic is of: `carrier: share of UA`."""
    is_span = statistic.of_range and " " in statistic.value  # "above 3", but "4" where it has one value
    of = "share" if is_span else "share of"
    what = REASONS.get(statistic.reason) or f"{of} {short(statistic.value, 30)}"
    return f"{short(statistic.column, 40)}, {what}"
