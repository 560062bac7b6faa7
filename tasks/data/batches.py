"""What is known of the batches of a model's table: which were judged, and which no training sees.

The states lie in the lake, in `<model>__batches`, each appended after its entry in the ledger; the newest one
of a batch counts.
"""

import hashlib
from collections.abc import Collection, Mapping

import pyarrow as pa

from tasks.contracts import BatchState, LedgerEntry
from tasks.spec import ColumnType
from tasks.stores.lake import Lake, arrow_schema
from tasks.stores.lake_sql import literal

COLUMNS: dict[str, ColumnType] = {
    "of_table": "string",
    "judged_batch": "string",
    "state": "string",
    "why": "string",
    "ledger_hash": "string",
}
LEFT_OUT = frozenset({"quarantined", "confirmed"})


def name_of(model: str) -> str:
    """The table of a model's judged batches."""
    return f"{model}__batches"


def states(lake: Lake, model: str, table: str) -> dict[str, BatchState]:
    """The present state of each batch of a table that was judged for the model."""
    if not lake.exists(name_of(model)):
        return {}
    newest = f"""
        SELECT judged_batch, state FROM {name_of(model)} WHERE of_table = '{table}'
        QUALIFY row_number() OVER (PARTITION BY judged_batch ORDER BY ingested_at DESC, batch_id DESC) = 1
        ORDER BY judged_batch
    """  # noqa: S608 - names of the specification
    found = lake.query(newest, [name_of(model)]).to_pylist()
    return {row["judged_batch"]: row["state"] for row in found}


def left_out(lake: Lake, model: str, table: str) -> tuple[str, ...]:
    """The batches that no training of the model sees."""
    found = states(lake, model, table)
    return tuple(batch for batch, state in found.items() if state in LEFT_OUT)


def without(table: str, batches: Collection[str]) -> dict[str, str]:
    """What tells a query to leave batches of a table out, as if they had never come."""
    named = ", ".join(literal(batch) for batch in batches)
    return {table: f"batch_id IN ({named})"} if batches else {}


def write(lake: Lake, model: str, table: str, judged: Mapping[str, LedgerEntry]) -> None:
    """Append the states that entries of the ledger gave to batches of a table, once.

    Args:
        judged: Each batch's entry.
    """
    if not judged:
        return
    if not lake.exists(name_of(model)):
        lake.create(name_of(model), COLUMNS)
    rows = {
        "of_table": [table] * len(judged),
        "judged_batch": list(judged),
        "state": [entry.after for entry in judged.values()],
        "why": [entry.why for entry in judged.values()],
        "ledger_hash": [entry.entry_hash for entry in judged.values()],
    }
    hashes = "\n".join(entry.entry_hash for entry in judged.values())
    lake.append(
        name_of(model),
        pa.table(rows, schema=arrow_schema(COLUMNS)),
        batch_id=hashlib.sha256(hashes.encode()).hexdigest(),
        metadata={"model": model},
    )
