"""Times as people read them in a terminal: to the second, in UTC, sortable."""

from datetime import UTC, datetime


def short(at: datetime | None) -> str | None:
    """Such as `2026-11-28 09:05:31Z`; None stays None."""
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
