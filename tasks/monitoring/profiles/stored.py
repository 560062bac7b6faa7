"""Keep references and the profiles of windows in the lake, so that no later question reads raw rows again."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime

import pyarrow as pa

from tasks.contracts import Reference, WindowProfile
from tasks.spec import ColumnType
from tasks.stores.lake import Lake, arrow_schema
from tasks.stores.lake_sql import literal

REFERENCES: dict[str, ColumnType] = {
    "reference_id": "string",
    "champion_run_id": "string",
    "document": "string",
}
"""The columns of `<model>__references`: `document` is a `Reference` as JSON, `reference_id` its SHA-256."""

PROFILES: dict[str, ColumnType] = {
    "champion_run_id": "string",
    "window_start": "timestamp",
    "window_end": "timestamp",
    "rows": "int64",
    "document": "string",
}
"""The columns of `<model>__profiles`: `document` is a `WindowProfile` as JSON, on the scales of the
champion's reference.
"""

Looked = tuple[datetime, datetime, int]
"""A window as it was looked at: its start, its end, and its rows then."""


def reference_table(model: str) -> str:
    return f"{model}__references"


def profile_table(model: str) -> str:
    return f"{model}__profiles"


def id_of(reference: Reference) -> str:
    """The SHA-256 of what it says."""
    return hashlib.sha256(reference.model_dump_json().encode()).hexdigest()


def keep_reference(lake: Lake, model: str, reference: Reference) -> str:
    """Add a reference, once; earlier ones stay, so that what was decided by them can be decided again.

    Returns:
        Its id.
    """
    reference_id = id_of(reference)
    row = {
        "reference_id": reference_id,
        "champion_run_id": reference.champion_run_id,
        "document": reference.model_dump_json(),
    }
    _append(lake, reference_table(model), REFERENCES, row, batch_id=f"reference-{reference_id}")
    return reference_id


def newest_reference(lake: Lake, model: str, champion_run_id: str) -> Reference | None:
    """The champion's reference that was kept last; None where it has none yet."""
    table = reference_table(model)
    if not lake.exists(table):
        return None
    found = lake.read(
        table,
        columns=["document"],
        where_sql=f"champion_run_id = {literal(champion_run_id)} ORDER BY ingested_at DESC LIMIT 1",
    )
    return Reference.model_validate_json(found["document"][0].as_py()) if len(found) else None


def reference_by_id(lake: Lake, model: str, reference_id: str) -> Reference | None:
    """The reference with this id; None where there is none."""
    table = reference_table(model)
    if not lake.exists(table):
        return None
    found = lake.read(
        table, columns=["document"], where_sql=f"reference_id = {literal(reference_id)} LIMIT 1"
    )
    return Reference.model_validate_json(found["document"][0].as_py()) if len(found) else None


def keep_profile(lake: Lake, model: str, champion_run_id: str, profile: WindowProfile) -> None:
    """Add a window's profile, once for each number of rows; the one that was kept last counts."""
    row = {
        "champion_run_id": champion_run_id,
        "window_start": profile.start,
        "window_end": profile.end,
        "rows": profile.rows,
        "document": profile.model_dump_json(),
    }
    window = f"{profile.start.isoformat()}-{profile.end.isoformat()}-{profile.rows}"
    _append(lake, profile_table(model), PROFILES, row, batch_id=f"profile-{champion_run_id}-{window}")


def profiles_of(
    lake: Lake, model: str, champion_run_id: str
) -> dict[tuple[datetime, datetime], WindowProfile]:
    """Every window's profile on the champion's scales, by start and end, in their order."""
    kept = _kept(lake, model, champion_run_id)
    return {(profile.start.astimezone(UTC), profile.end.astimezone(UTC)): profile for profile in kept}


def profiles_as_seen(lake: Lake, model: str, champion_run_id: str) -> dict[Looked, WindowProfile]:
    """Every profile that was kept, also of a window that had fewer rows when it was looked at, by start, end
    and rows.
    """
    kept = _kept(lake, model, champion_run_id)
    return {(each.start.astimezone(UTC), each.end.astimezone(UTC), each.rows): each for each in kept}


def _kept(lake: Lake, model: str, champion_run_id: str) -> list[WindowProfile]:
    table = profile_table(model)
    if not lake.exists(table):
        return []
    found = lake.read(
        table,
        columns=["document"],
        where_sql=f"champion_run_id = {literal(champion_run_id)} "
        "ORDER BY window_start, window_end, ingested_at",
    )
    return [WindowProfile.model_validate_json(document) for document in found["document"].to_pylist()]


def _append(
    lake: Lake, table: str, columns: Mapping[str, ColumnType], row: Mapping[str, object], batch_id: str
) -> None:
    rows = pa.Table.from_pylist([dict(row)], schema=arrow_schema(columns))
    lake.append(table, rows, batch_id=batch_id)
