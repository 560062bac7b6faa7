"""How many requests may be tried again: a share of those that came, so that an outage is not multiplied."""

SHARE = 0.2
"""Further tries for each request that came."""

A_SECOND = 10.0
"""Further tries that are earned in a second anyway, so that few requests may be tried again too."""

MOST = 200.0
"""What can be saved up: about as many as wait for one version when its worker dies."""


class RetryBudget:
    """Further tries that are left.

    Source: the retry budgets of Finagle (twitter.github.io/finagle/guide/Clients.html#retries).
    """

    def __init__(self) -> None:
        self._left = MOST
        self._at: float | None = None

    def earn(self, requests: int) -> None:
        """So many requests came."""
        self._left = min(MOST, self._left + SHARE * requests)

    def spend(self, now: float) -> bool:
        """Whether one more may be tried again, at this time in seconds on a clock that only goes forward."""
        passed = now - (now if self._at is None else self._at)
        self._at = now
        self._left = min(MOST, self._left + A_SECOND * passed)
        if self._left < 1:
            return False
        self._left -= 1
        return True
