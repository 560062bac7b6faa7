"""Cron expressions, checked without Airflow: what is wrong here, Airflow refuses too."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator

FIELDS = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of the month", 1, 31),
    ("month", 1, 12),
    ("day of the week", 0, 7),
    ("second", 0, 59),
    ("year", 1970, 2099),
)
FEWEST = 5
PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly", "@midnight", "@annually")
NAMES = {
    "month": ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    "day of the week": ["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
}
# Airflow's cron knows further forms; Airflow itself judges those.
SPECIAL = {
    "day of the month": re.compile(r"l|\d+w|w\d+|\?"),
    "day of the week": re.compile(r"l\d|\w+#\d|\?"),
}
QUARTERLY = "0 0 1 */3 *"
"""As Airflow takes the one preset that croniter does not know."""
DAYS = dict(zip(range(1, 13), (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), strict=True))
"""Of each month, at the most."""
RANDOM = re.compile(r"r(\(\d+-\d+\))?(/\d+)?")
RANGE = re.compile(r"(?P<first>\*|\w+)(-(?P<last>\w+))?(/(?P<step>\d+))?")


def _cron(expression: str) -> str:
    if fault := _fault(expression.lower()):
        raise ValueError(
            f"{expression!r} is not a cron expression: {fault}; write five fields, such as '0 3 * * *' for "
            f"each day at 3:00 UTC, or one of {', '.join(PRESETS[:6])}"
        )
    if not _occurs(expression.lower()):
        raise ValueError(
            f"{expression!r} never occurs: no month that it names has a day that it names; write a day of "
            "the month that is there, or l for a month's last one"
        )
    return expression.lower() if expression.startswith("@") else expression


Cron = Annotated[str, AfterValidator(_cron)]
"""A cron expression; the hours are UTC."""


def _fault(expression: str) -> str | None:
    """What is wrong with an expression in lower case; None where nothing is known to be."""
    if expression.startswith("@"):
        return None if expression in PRESETS else "there is no such preset"
    if f"@{expression}" in PRESETS:
        return f"'@{expression}' is one"
    parts = expression.split()
    if not FEWEST <= len(parts) <= len(FIELDS):
        return f"its number of fields is {len(parts)}"
    for (field, least, most), part in zip(FIELDS, parts, strict=False):
        for item in part.split(","):
            if not _fits(item, field, least, most):
                return f"its {field} cannot be {item!r}; it lies in {least} to {most}"
    return None


def _fits(item: str, field: str, least: int, most: int) -> bool:
    special = SPECIAL.get(field, RANDOM)
    if special.fullmatch(item) or RANDOM.fullmatch(item):
        return True
    found = RANGE.fullmatch(item)
    if not found or (found["first"] == "*" and found["last"]):
        return False
    if found["step"] and not int(found["step"]):
        return False
    ends = [found[name] for name in ("first", "last") if found[name] not in {None, "*"}]
    numbers = NAMES.get(field, [])
    return all(end in numbers or (end.isdecimal() and least <= int(end) <= most) for end in ends)


def as_croniter_takes(expression: str) -> str:
    """The expression, with the presets that croniter does not know written in fields."""
    return QUARTERLY if expression == "@quarterly" else expression


def _occurs(expression: str) -> bool:
    """Whether a month has a day that a sound expression in lower case names; each has a day of the week."""
    if expression.startswith("@"):
        return True
    _, _, days, months, weekday, *_ = expression.split()
    if weekday not in {"*", "?"} or not all(RANGE.fullmatch(each) for each in days.split(",")):
        return True
    named = months.split(",")
    longest = max((DAYS[each] for month in named for each in _months(month)), default=31)
    return any(_earliest(day) <= longest for day in days.split(","))


def _months(item: str) -> list[int]:
    """The months that an item of the field has; each, where that is left to chance."""
    if not (found := RANGE.fullmatch(item)) or RANDOM.fullmatch(item):
        return list(DAYS)
    numbers = {name: number for number, name in enumerate(NAMES["month"], 1)}
    first, last = (numbers.get(end) or (int(end) if end and end != "*" else None)
                   for end in (found["first"], found["last"]))  # fmt: skip
    step = int(found["step"] or 1)
    if first is None:
        return list(range(1, 13, step))
    last = last or (12 if found["step"] else first)
    return [(month - 1) % 12 + 1 for month in range(first, last + (12 if last < first else 0) + 1, step)]


def _earliest(item: str) -> int:
    """The least day of the month that an item of the field surely has; a range over the end has the first."""
    found = RANGE.fullmatch(item)
    if not found or not found["first"].isdecimal():
        return 1
    first, last = int(found["first"]), int(found["last"] or found["first"])
    return 1 if last < first else first


def day_begins(expression: str) -> timedelta:
    """At which time of the day (UTC) a schedule of one hour and minute fires; 0:00 for any other."""
    minute, hour, *_ = [*expression.split(), "*"]
    if not (minute.isdecimal() and hour.isdecimal()):
        return timedelta()
    return timedelta(hours=int(hour), minutes=int(minute))


def fires_a_day(expression: str) -> int:
    """How often a schedule fires on one day, at the most."""
    if expression.startswith("@"):
        return 24 if expression == "@hourly" else 1
    minutes, hours = (
        sum(_values(item, least, most) for item in part.split(","))
        for (_, least, most), part in zip(FIELDS, expression.lower().split()[:2], strict=False)
    )
    return minutes * hours


def _values(item: str, least: int, most: int) -> int:
    """How many values an item of a field has."""
    found = RANGE.fullmatch(item)
    if not found:
        return 1
    step = int(found["step"] or 1)
    first = least if found["first"] == "*" else int(found["first"])
    one = found["first"] != "*" and not found["step"]
    last = int(found["last"]) if found["last"] else first if one else most
    over = most - least + 1 if last < first else 0
    return (last + over - first) // step + 1
