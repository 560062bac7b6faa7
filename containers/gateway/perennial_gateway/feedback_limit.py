"""How many labels one token may send: a stolen one cannot outweigh the training data in an afternoon."""

import math
import time

from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from perennial_gateway.web import Refused


class FeedbackLimit:
    """Counts labels by token in fixed windows of time.

    The count is kept in memory: a restart begins a new window.

    Args:
        text: One or more limits, such as `20000/hour` or `500/minute;20000/day`.
        workers: The gateway's processes, among which requests are spread: each counts its part.

    Raises:
        ValueError: The text is no limit.
    """

    def __init__(self, text: str, workers: int = 1) -> None:
        self._limits = [
            type(limit)(max(1, limit.amount // workers), limit.multiples) for limit in parse_many(text)
        ]
        self._workers = workers
        self._counter = FixedWindowRateLimiter(MemoryStorage())

    def take(self, sender: str, labels: int) -> None:
        """Count the labels of a request.

        Raises:
            Refused: 429; they are more than the token may send now, and none of them is counted.
        """
        for limit in self._limits:
            if not self._counter.test(limit, sender, cost=labels):
                raise self._refusal(limit, sender, labels)
        for limit in self._limits:
            self._counter.hit(limit, sender, cost=labels)

    def _refusal(self, limit: RateLimitItem, sender: str, labels: int) -> Refused:
        window = self._counter.get_window_stats(limit, sender)
        seconds = max(1, math.ceil(window.reset_time - time.time()))
        if labels > limit.amount:
            advice = f"Send at most {limit.amount} labels at a time."
        else:
            advice = f"It may send {window.remaining} more now; send these again in {seconds} s."
        sentence = f"The token {sender!r} may send {limit.amount * self._workers} labels per {_period(limit)}"
        message = f"{sentence}, and these {labels} would be more. Nothing was accepted. {advice}"
        return Refused(429, message, headers={"Retry-After": str(seconds)})


def _period(limit: RateLimitItem) -> str:
    name = limit.GRANULARITY.name
    return name if limit.multiples == 1 else f"{limit.multiples} {name}s"
