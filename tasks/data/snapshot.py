"""Freeze the rows that one training sees: a query on pinned versions of its tables, in three parts.

The part of a row follows from a hash of its split columns alone, so a row that was tested on once is never
trained on later; what says the same as a row of the test part is left out of the others. Rows are in the
order of their key, so the same query on the same version has the same hashes, always.
"""

import hashlib
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tasks.contracts import DataSnapshot, NearDuplicates, PinnedTable, SnapshotPart, SnapshotRequest
from tasks.data import batches
from tasks.data.model_query import pin, training_rows
from tasks.data.near_duplicates import without_leaks
from tasks.data.trusted_rows import aged
from tasks.errors import DataRejected
from tasks.spec import DataSpec, PipelineSpec, SplitSpec
from tasks.stores import snapshots
from tasks.stores.files import at, put
from tasks.stores.lake import Lake
from tasks.stores.row_hash import sha256_of_rows

Numbers = NDArray[np.int8]

PARTS = ("train", "validation", "test")
NAMED = 10
BOUNDS = frozenset(
    {"type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "title", "description"}
)
"""What a schema of numbers may say so that all numbers between two that fit it fit it too."""


def snapshot(request: SnapshotRequest) -> DataSnapshot:
    """Run the model's query on the versions of its tables that
    `as_of` saw (None: the newest) and write the three parts.

    Batches whose labels were quarantined, and not released, are left out. Where the labels were checked, the
    snapshot sees the versions that the check saw: no batch that nobody has looked at.

    Raises:
        InvalidProject: The query is wrong, reaches beyond its tables, gives other rows each time, or lacks a
            column.
        DataRejected: Too few rows, a key that is null or there twice, a label that is null or unknown, an
            empty part.
        LakeError: There is no such table, or it did not exist at `as_of`.
    """
    spec, data = request.spec, request.spec.data
    lake = Lake()
    versions = _versions(lake, request)
    left_out = batches.left_out(lake, spec.name, data.table)
    rows = training_rows(lake, spec, versions, batches.without(data.table, left_out))
    _check(rows, spec, versions[data.table])
    divided, duplicates = divide(rows, data)
    parts = {name: _write(part, request.context.work_url, name) for name, part in divided.items()}
    _check_parts(parts, data)
    old = aged(lake, spec, divided["test"], versions, request.as_of or datetime.now(UTC))
    snapshots.remember(request.context.run_key, spec.name, versions)
    own, *further = (
        PinnedTable(table=name, version=version, version_at=lake.committed_at(name, version))
        for name, version in versions.items()
    )
    return DataSnapshot(
        table=own.table,
        table_version=own.version,
        as_of=request.as_of,
        version_at=own.version_at,
        tables=tuple(further),
        query=data.query,
        rows=sum(part.rows for part in parts.values()),
        sha256=sha256_of_parts(data.query, *(parts[name] for name in PARTS)),
        near_duplicates=duplicates,
        left_out_batches=left_out,
        **parts,
        aged=parts["test"] if old is divided["test"] else _write_aged(old, request.context.work_url),
    )


def divide(rows: pa.Table, data: DataSpec) -> tuple[dict[str, pa.Table], NearDuplicates]:
    """The rows of each part, by its name, in the order of their key, and which of them say the same."""
    rows = rows.take(pc.sort_indices(rows, sort_keys=[(data.key, "ascending")]))
    numbers, duplicates = without_leaks(rows, _numbers(rows, data.split), data)
    divided = {name: rows.filter(pa.array(numbers == number)) for number, name in enumerate(PARTS)}
    return divided, duplicates


def _versions(lake: Lake, request: SnapshotRequest) -> dict[str, int]:
    if request.label_check is None:
        return pin(lake, request.spec.data, request.as_of)
    return {table.table: table.version for table in request.label_check.tables}


def part_of(values: pa.ChunkedArray, split: SplitSpec) -> Numbers:
    """For each value the position of its part in `PARTS`, by the MD5 of its text.

    The test part is cut off first, so that another `validation_share` moves no row into or out of it.
    """
    texts = pc.cast(values, pa.string()).to_pylist()
    digests = b"".join(hashlib.md5(text.encode(), usedforsecurity=False).digest()[:8] for text in texts)
    position = np.frombuffer(digests, dtype=">u8") / 2.0**64
    tested, validated = position < split.test_share, position < split.test_share + split.validation_share
    return np.where(tested, 2, np.where(validated, 1, 0)).astype(np.int8)


def _numbers(rows: pa.Table, split: SplitSpec) -> Numbers:
    """For each row the position of its part, by the texts of its split columns."""
    texts = [pc.cast(rows.column(name), pa.string()) for name in split.columns]
    return part_of(texts[0] if len(texts) == 1 else pc.binary_join_element_wise(*texts, "\x1f"), split)


def _check(rows: pa.Table, spec: PipelineSpec, version: int) -> None:
    data, where = spec.data, f"The snapshot of {spec.data.table!r}, version {version}"
    if len(rows) < data.minimum_rows:
        raise DataRejected(
            f"{where}, has {len(rows)} rows, fewer than the {data.minimum_rows} of data.minimum_rows in "
            f"models/{spec.name}/pipeline.yaml. Ingest more rows, or widen data.query.",
            rows=len(rows),
        )
    for column in dict.fromkeys((data.key, data.label, *data.split.columns)):
        if nulls := rows.column(column).null_count:
            raise DataRejected(
                f"{where}, has {nulls} rows without {column!r}. Leave them out in data.query.", column=column
            )
    counts = pc.value_counts(rows.column(data.key))
    doubled = counts.field("values").filter(pc.greater(counts.field("counts"), 1)).to_pylist()
    if doubled:
        raise DataRejected(
            f"{where}, has {len(doubled)} keys ({data.key}) in more than one row: {_some(doubled)}. They "
            "would count twice: let data.query return each key once.",
            keys=doubled[:NAMED],
        )
    _check_labels(rows.column(data.label), spec, where)


def _check_labels(labels: pa.ChunkedArray, spec: PipelineSpec, where: str) -> None:
    """Each label that there is, once; of numbers between bounds the least and the largest speak for all."""
    schema, distinct = spec.serving.label_schema, pc.unique(labels)
    if pa.types.is_floating(distinct.type):
        _check_finite(labels, spec, where)
    known = jsonschema.Draft202012Validator(schema)
    if BOUNDS.issuperset(schema) and (pa.types.is_integer(distinct.type) or schema["type"] == "number"):
        extremes = pc.min_max(distinct).as_py().values()
        if all(known.is_valid(label) for label in extremes):
            return
    unknown = [label for label in distinct.to_pylist() if not known.is_valid(label)]
    if unknown:
        raise DataRejected(
            f"{where}, has labels that serving.label_schema does not know: {_some(unknown)}. Leave their "
            "rows out in data.query, or correct the schema.",
            labels=unknown[:NAMED],
        )


def _check_finite(labels: pa.ChunkedArray, spec: PipelineSpec, where: str) -> None:
    """NaN is a number to JSON Schema, and within all bounds."""
    if odd := len(labels) - (pc.sum(pc.is_finite(labels)).as_py() or 0):
        raise DataRejected(
            f"{where}, has {odd} rows whose {spec.data.label!r} is NaN or infinite. Leave them out in "
            "data.query.",
            column=spec.data.label,
        )


def _check_parts(parts: dict[str, SnapshotPart], data: DataSpec) -> None:
    shares = {"train": 1.0, "validation": data.split.validation_share, "test": data.split.test_share}
    empty = [name for name in PARTS if shares[name] > 0 and parts[name].rows == 0]
    if empty:
        raise DataRejected(
            f"The snapshot of {data.table!r} leaves no rows for {' and '.join(empty)}. Widen data.query, or "
            "change data.split.",
            rows={name: part.rows for name, part in parts.items()},
        )


def _write(rows: pa.Table, work_url: str, name: str) -> SnapshotPart:
    """Named by its rows, so that a step that is cleared when more have joined overwrites no part."""
    sha256 = sha256_of_rows(rows)
    path = at(work_url, f"{name}-{sha256[:16]}.parquet")
    with tempfile.TemporaryDirectory(prefix="perennial-snapshot-") as folder:
        local = Path(folder) / path.name
        pq.write_table(rows, local)
        return SnapshotPart(url=put(local, path), rows=len(rows), sha256=sha256)


def _write_aged(rows: pa.Table | None, work_url: str) -> SnapshotPart | None:
    return None if rows is None else _write(rows, work_url, "aged")


def sha256_of_parts(query: str, *parts: SnapshotPart) -> str:
    """Of a snapshot with this query and these parts, in the order of `PARTS`."""
    return hashlib.sha256("\n".join([query, *(part.sha256 for part in parts)]).encode()).hexdigest()


def _some(values: list[Any]) -> str:
    return ", ".join(repr(value) for value in values[:NAMED]) + (", ..." if len(values) > NAMED else "")
