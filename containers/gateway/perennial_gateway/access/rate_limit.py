"""How often one sender may ask: counted in fixed windows of time, in this process.

`limits` reads the texts; its own counters take a lock and 5 microseconds a request, these half of one.
Requests are counted in the event loop alone, so that no lock is needed.
"""

import math
from collections.abc import Sequence

from limits import RateLimitItem, parse_many


class Window:
    """One limit: so many requests in so many seconds, counted from the first request of the window."""

    __slots__ = ("amount", "began", "count", "item", "seconds")

    def __init__(self, item: RateLimitItem, workers: int) -> None:
        self.item = item
        self.amount = max(1, item.amount // workers)
        self.seconds = item.get_expiry()
        self.began = -math.inf
        self.count = 0


class RateLimit:
    """The limits of one sender.

    Args:
        text: One or more limits, such as `100/second;20000/hour`.
        workers: The gateway's processes, among which requests are spread: each counts its part.

    Raises:
        ValueError: The text is no limit.
    """

    __slots__ = ("_windows", "text")

    def __init__(self, text: str, workers: int = 1) -> None:
        self.text = text
        self._windows: Sequence[Window] = [Window(item, workers) for item in parse_many(text)]

    def take(self, now: float) -> Window | None:
        """Count one request, at a time of the monotonic clock in seconds.

        Returns:
            None; or the limit that it would break, and then it is not counted.
        """
        for window in self._windows:
            if now - window.began >= window.seconds:
                window.began, window.count = now, 0
            if window.count >= window.amount:
                return window
        for window in self._windows:
            window.count += 1
        return None


def wait_seconds(window: Window, now: float) -> int:
    """Whole seconds until a limit lets the next request pass."""
    return max(1, math.ceil(window.began + window.seconds - now))


def told(window: Window) -> str:
    """A limit as a person says it, such as `100 requests per minute`."""
    name = window.item.GRANULARITY.name
    period = name if window.item.multiples == 1 else f"{window.item.multiples} {name}s"
    requests = "1 request" if window.item.amount == 1 else f"{window.item.amount} requests"
    return f"{requests} per {period}"
