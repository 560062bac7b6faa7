"""What is held at the door, in the lake: one row a labelled request, and what a person decided on it.

Nothing is lost: the request lies in `<model>__predictions` and its label in `<model>__feedback`. What was
decided holds for what was held by then; the same sender's later requests are judged anew.
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from tasks.contracts import HeldCount, HeldState, LedgerEntry
from tasks.spec import ColumnType
from tasks.stores.lake import Lake, arrow_schema

COLUMNS: dict[str, ColumnType] = {
    "prediction_id": "string",
    "number": "int64",
    "sender": "string",
    "day": "timestamp",
    "reason": "string",
    "why": "string",
    "ledger_hash": "string",
}
"""The columns of `<model>__door`: `number` counts the times at which something was held, from 1."""

DECISIONS: dict[str, ColumnType] = {
    "sender": "string",
    "day": "timestamp",
    "until_number": "int64",
    "state": "string",
    "why": "string",
    "ledger_hash": "string",
    "held_for": "string",
}
"""The columns of `<model>__door_decisions`; `day` and `held_for` (a reason) null for all, `until_number` the
last that it holds for.
"""

BY_REASON = """
    SELECT h.*, coalesce(d.state, 'held') AS state, d.ledger_hash AS decided_by
    FROM (SELECT *, unnest(string_split(reason, ',')) AS held_for FROM held) AS h
    LEFT JOIN decisions AS d ON d.sender IS NOT DISTINCT FROM h.sender
        AND (d.day IS NULL OR d.day = h.day) AND h.number <= d.until_number
        AND (d.held_for IS NULL OR d.held_for = h.held_for)
    QUALIFY row_number() OVER (
        PARTITION BY h.prediction_id, h.held_for ORDER BY d.ingested_at DESC NULLS LAST, d.ledger_hash
    ) = 1
"""

STATES = """
    SELECT * EXCLUDE (held_for, state, decided_by), CASE
        WHEN bool_or(state = 'confirmed') THEN 'confirmed' WHEN bool_or(state = 'held') THEN 'held'
        ELSE 'released' END AS state
    FROM by_reason GROUP BY ALL
"""


def name_of(model: str) -> str:
    """The table of what is held."""
    return f"{model}__door"


def decisions_of(model: str) -> str:
    """The table of what was decided on it."""
    return f"{model}__door_decisions"


def by_reason(lake: Lake, model: str) -> pa.Table:
    """Each request that was ever held, once for each reason (`held_for`), with that reason's `state` and the
    hash of the ledger's entry that it is so by (`decided_by`, null while it is held).
    """
    if not lake.exists(name_of(model)):
        more: dict[str, ColumnType] = {"held_for": "string", "state": "string", "decided_by": "string"}
        return arrow_schema({**COLUMNS, **more}).empty_table()
    lake.create(decisions_of(model), DECISIONS)
    return lake.query(BY_REASON, {"held": (name_of(model), None), "decisions": (decisions_of(model), None)})


def states(lake: Lake, model: str) -> pa.Table:
    """Each request that was ever held, with its present `state`."""
    return together(lake, by_reason(lake, model))


def together(lake: Lake, by_reason: pa.Table) -> pa.Table:
    """Each request once: `released` where all its reasons are, `confirmed` where one of them is, else held.

    Args:
        by_reason: As `by_reason` gives it.
    """
    return lake.query(STATES, {"by_reason": by_reason})


def counts(lake: Lake, model: str) -> tuple[HeldCount, ...]:
    """How many requests of each sender, day and reason are held, or were; the newest day first."""
    counted = """
        SELECT sender, day, reason, state, count(*) AS rows, min(why) AS why FROM states
        GROUP BY ALL ORDER BY day DESC, rows DESC, sender, reason, state
    """
    found = lake.query(counted, {"states": states(lake, model)}).to_pylist()
    return tuple(HeldCount.model_validate(row) for row in found)


def newest_number(lake: Lake, model: str) -> int:
    """How many times something was held."""
    return lake.app_version(name_of(model), _app_of(model)) or 0


def hold(lake: Lake, model: str, number: int, rows: Sequence[dict[str, Any]]) -> None:
    """Hold requests under this number, which nobody took before; else nothing is written.

    Args:
        rows: With the columns of `COLUMNS` but `number`.
    """
    table = pa.Table.from_pylist([{**row, "number": number} for row in rows], arrow_schema(COLUMNS))
    lake.append(
        name_of(model),
        table,
        batch_id=f"door-{number}",
        app_id=_app_of(model),
        app_version=number,
        app_previous=number - 1,
    )


def decide(lake: Lake, model: str, decided: dict[str, Any], state: HeldState, entry: LedgerEntry) -> None:
    """Append what an entry of the ledger decided, once.

    Args:
        decided: `sender`, `day`, `held_for` and `until_number`.
    """
    row = {**decided, "state": state, "why": entry.why, "ledger_hash": entry.entry_hash}
    lake.append(
        decisions_of(model),
        pa.Table.from_pylist([row], arrow_schema(DECISIONS)),
        batch_id=f"decided-{entry.entry_hash}",
    )


def _app_of(model: str) -> str:
    return f"door:{model}"
