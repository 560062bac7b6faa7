"""What objectives are held against: how many requests were answered, failed or slow since some times.

Counted by the log and not by this process, so that a restart forgets nothing, and in one pass over the
longest time that is asked for. As in `outcomes`, the unit is the request.
"""

from collections.abc import Sequence
from typing import Any

import orjson
import sqlalchemy as sa

from perennial_gateway.database import NUL, failures, now, predictions
from perennial_gateway.failures import SHADOW
from perennial_gateway.history import Window, right
from perennial_gateway.intervals import mean, wilson
from perennial_gateway.labelled import part_of_request

MOST_WINDOWS = 12
P, F = predictions.c, failures.c
SUMS = ("labelled", "correct", "numbers", "errors", "squares")


def objectives_of(
    engine: sa.Engine, model: str, since: Sequence[str], seconds: float, labels_since: str
) -> bytes:
    """The contract `ObjectiveCounts` of the steps, as JSON. It blocks: call it in a thread.

    Args:
        since: As the tables keep times, each the begin of a window until now.
        seconds: An answer that took longer is slow.
        labels_since: Labelled are answers that were given then or later.
    """
    told: dict[str, Any] = {"model": model, "until": now(), "windows": [], "labelled": []}
    if NUL not in model:
        with engine.connect() as connection:
            told["windows"] = _windows(connection, model, since, seconds)
            told["labelled"] = _labelled(connection, model, labels_since)
    return orjson.dumps(told)


def _windows(
    connection: sa.Connection, model: str, since: Sequence[str], seconds: float
) -> list[dict[str, Any]]:
    part, longest = part_of_request(P.instances), min(since)
    slow = sa.case((P.latency_seconds > seconds, part), else_=0.0)
    sums = [_since(P.predicted_at, each, what) for each in since for what in (part, slow)]
    answered = connection.execute(sa.select(*sums).where(P.model == model, P.predicted_at >= longest)).one()
    of_failed = sa.select(*(_since(F.failed_at, each, F.requests) for each in since)).where(
        F.model == model, F.failed_at >= longest, F.role.is_distinct_from(SHADOW)
    )
    failed = connection.execute(of_failed).one()
    return [
        {
            "since": each,
            "answered": round(answered[2 * place]),
            "slow": round(answered[2 * place + 1]),
            "failed": int(failed[place]),
        }
        for place, each in enumerate(since)
    ]


def _since(
    column: sa.Column[str], since: str, what: sa.ColumnElement[Any] | sa.Column[int]
) -> sa.ColumnElement[Any]:
    """The sum of something in a window; 0 of none."""
    return sa.func.coalesce(sa.func.sum(sa.case((column >= since, what), else_=0)), 0)


def _labelled(connection: sa.Connection, model: str, since: str) -> list[dict[str, Any]]:
    """How right the labelled answers are: those of each version, and first those of all together."""
    window = Window.model_validate({"since": since})
    rows = connection.execute(right(model, window)).mappings().all()
    sums = {
        row["model_version"]: [float(row[name] or 0) for name in SUMS]
        for row in sorted(rows, key=lambda row: str(row["model_version"]))
    }
    together = [sum(column) for column in zip(*sums.values(), strict=True)]
    return [_told(version, *each) for version, each in ({None: together} | sums).items() if each]


def _told(
    version: str | None, labelled: float, correct: float, numbers: float, errors: float, squares: float
) -> dict[str, Any]:
    share, error = wilson(int(correct), int(labelled)), mean(errors, squares, int(numbers))
    return {
        "model_version": version,
        "labelled": int(labelled),
        "right": share and share._asdict(),
        "error": error and error._asdict(),
    }
