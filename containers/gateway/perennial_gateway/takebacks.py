"""Take back what a token said was true: its labels stay in the log, and never reach a training afterwards.

A record says which labels of which model, by the token's name and the time at which they were received. The
step `collect` brings it to the lake and leaves those labels out.
"""

import asyncio
import re
from datetime import UTC, datetime
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from perennial_gateway.database import Text, as_text, feedback, now, takebacks
from perennial_gateway.web import Refused

WITH_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]")


def in_utc(time: datetime) -> datetime:
    """A time in UTC, as the tables keep it.

    Raises:
        ValueError: UTC has no such year.
    """
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is no time of UTC; its years are 1 to 9999") from error


def _written_out(time: object) -> object:
    """Pydantic takes numbers, too, even as texts, for seconds since 1970."""
    if isinstance(time, datetime) or (isinstance(time, str) and WITH_DATE.match(time)):
        return time
    raise ValueError("is no time such as 2026-11-01T00:00:00Z")


Time = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(in_utc)]
"""A time that a request names: a date, a time and a zone."""


class TakebackRequest(BaseModel):
    """Which labels are taken back: those that a token sent, at `since` or later.

    Attributes:
        sent_by: The token's name; None for labels that were sent without a token.
        since: None for all.
        why: For those who read the record later.
    """

    model_config = ConfigDict(extra="forbid")

    sent_by: Text | None
    since: Time | None = None
    why: Text = Field(min_length=1, max_length=1000)


class Takebacks:
    """The records of labels taken back. Nothing is removed: neither a label nor a record."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._recording = asyncio.Lock()

    async def record(self, document: Any) -> list[dict[str, Any]]:
        """Take labels back that were received until now; once more does no harm.

        Returns:
            A record for each model: the window of time, and how many labels of the token are in it.

        Raises:
            Refused: 422 for a document that is no request, 404 where the token has sent no such label.
        """
        try:
            wanted = TakebackRequest.model_validate(document)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
            )
            example = '{"sent_by": "shop", "since": "2026-11-01T00:00:00Z", "why": "..."}'
            raise Refused(422, f"{faults}. Send {example}; `since` may be left out.") from error
        async with self._recording:  # one at a time, so that a reader who goes on by sequence misses none
            records = await asyncio.to_thread(self._record, wanted)
        if not records:
            sender = "without a token" if wanted.sent_by is None else f"by the token {wanted.sent_by!r}"
            since = "" if wanted.since is None else f" since {wanted.since.isoformat()}"
            raise Refused(404, f"No label was sent {sender}{since}. Nothing is taken back.")
        return records

    def _record(self, wanted: TakebackRequest) -> list[dict[str, Any]]:
        since = None if wanted.since is None else as_text(wanted.since)
        until = now()
        of_sender = [feedback.c.sent_by.is_not_distinct_from(wanted.sent_by), feedback.c.received_at <= until]
        if since:
            of_sender.append(feedback.c.received_at >= since)
        counting = sa.select(feedback.c.model, sa.func.count()).where(*of_sender).group_by(feedback.c.model)
        window = {"sent_by": wanted.sent_by, "since": since, "until": until, "why": wanted.why}
        with self._engine.begin() as connection:
            found = connection.execute(counting.order_by(feedback.c.model)).all()
            records = [{"model": model, "labels": labels, **window} for model, labels in found]
            if records:
                connection.execute(takebacks.insert(), records)
        return records
