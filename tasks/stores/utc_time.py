"""The one type of a time in the platform's tables."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa


class UtcTime(sa.types.TypeDecorator[datetime]):
    """A moment: a datetime with a time zone goes in, the same moment in UTC comes out.

    It is kept as text, ISO 8601 in UTC with microseconds: all of one length, so texts are in the order of
    their moments on SQLite, which has no type for times, as on PostgreSQL; and the text is what the hashes of
    the ledger cover, which a column of PostgreSQL's own type would give back in another form.

    Raises:
        ValueError: A datetime without a time zone, which names no moment.
    """

    impl = sa.String(40)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Any) -> str | None:
        return None if value is None else as_text(value)

    def process_result_value(self, value: str | None, _dialect: Any) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value).astimezone(UTC)


def as_text(time: datetime) -> str:
    """A time as the tables keep it.

    Raises:
        ValueError: It has no time zone.
    """
    if time.tzinfo is None:
        raise ValueError(f"{time} has no time zone, so it names no moment: give it one (datetime.now(UTC)).")
    return time.astimezone(UTC).isoformat(timespec="microseconds")
