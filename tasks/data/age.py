"""Is the champion so old that a training starts by itself? A pure function of times."""

from datetime import datetime, timedelta

A_DAY = timedelta(days=1)
PAUSE_SHARE = 10
"""A candidate that was not better than an old champion is followed by another after a tenth of the age."""


def why_not_yet(
    trained_at: datetime | None, judged_at: datetime | None, maximum_age_days: float, now: datetime
) -> str | None:
    """Why the champion's age is no reason to train; None where it is.

    Args:
        trained_at: When the gate promoted what serves; None where nothing does.
        judged_at: When the newest candidate was judged, whatever came of it.
    """
    if trained_at is None:
        return "No version serves, so none is too old: training.maximum_age_days starts no first training."
    limit, age = timedelta(days=maximum_age_days), now - trained_at
    if age < limit:
        return f"The champion is {_days(age)} old, and training.maximum_age_days is {maximum_age_days:g}."
    pause = max(limit / PAUSE_SHARE, A_DAY * 0.9)  # a look of the next day may come a little early
    if judged_at is not None and judged_at > trained_at and now - judged_at < pause:
        return (
            f"The champion is {_days(age)} old, but the candidate of {_days(now - judged_at)} ago did not "
            f"take its place: the next is trained {_days(pause)} after it."
        )
    return None


def _days(time: timedelta) -> str:
    return f"{time / A_DAY:.1f} days"
