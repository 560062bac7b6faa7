"""How long a caller waits for an answer: as long as it says, and no longer than the model may take."""

import math
from collections.abc import Iterable

from perennial_gateway.web import Refused

HEADER = "X-Request-Timeout"
NAME = HEADER.lower().encode()


FAIR_SHARE = 0.1
"""Of a model's `timeout_seconds`: a caller that waits for less says nothing of the version by its 504."""

LATE = 504


def is_fair(seconds: float, most: float) -> bool:
    """Whether a version that does not answer within these seconds is at fault.

    Else one caller's hurry, which no version could please, would take every release of the model back.

    Args:
        most: The model's `timeout_seconds`.
    """
    return seconds >= FAIR_SHARE * most


def seconds_of(headers: Iterable[tuple[bytes, bytes]], most: float) -> float:
    """The seconds that a request may take: what its header says, at most `most`.

    Args:
        headers: As ASGI has them: names in lower case.
        most: The model's `timeout_seconds`.

    Raises:
        Refused: 422; the header is no number of seconds above 0.
    """
    for name, value in headers:
        if name == NAME:
            return min(_number(value), most)
    return most


def _number(value: bytes) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not seconds > 0:
        shown = value[:40].decode("latin-1")
        raise Refused(422, f"{HEADER}: {shown!r} is no number of seconds above 0. Send one such as 0.5.")
    return seconds


def late(seconds: float) -> Refused:
    """What a caller is told whose time is over."""
    message = f"The model did not answer within {seconds:g} seconds. Try again, or send fewer instances."
    return Refused(LATE, message, headers={"Retry-After": "2"})
