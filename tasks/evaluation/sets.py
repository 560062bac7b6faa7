"""Which rows a candidate is judged on: the test part without what nothing has confirmed, and the anchor.

A batch that is wrong is in the test part by the same share as in the training part, so that a model which
learnt it seems to be right. So a row counts as a test row only if the champion's snapshot has it too, if it
is old enough, or if a person called it right. The anchor is frozen with the first champion and takes up old
rows only; a row that is in it stays as it is, whatever comes later under its key.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.contracts import DataSnapshot, SnapshotPart
from tasks.evaluation.frozen_rows import Frozen, freeze
from tasks.spec import PipelineSpec, declared_classes
from tasks.stores import files
from tasks.stores.parts import read_part
from tasks.stores.row_hash import sha256_of_rows
from tasks.stores.same_rows import Mask, same_rows


@dataclass(frozen=True)
class Known:
    """What was seen before; empty without a champion.

    Attributes:
        snapshot: The champion's.
        anchor: What the anchor was until now; None where it begins anew.
        world: A test part whose rows a person called right.
    """

    snapshot: DataSnapshot | None = None
    anchor: SnapshotPart | None = None
    world: SnapshotPart | None = None


@dataclass(frozen=True)
class Sets:
    """Rows of `frozen` by what they are good for, each a mask of shape (rows,).

    Attributes:
        frozen: The rows of the test part, and behind them those that only the anchor has.
        test: Rows of the test part that are confirmed.
        unconfirmed: Those that are not.
        newest: Rows of the test part that the champion's snapshot has not; None without a champion.
        suspect: Those of them that no person called right.
        anchor: Rows of the anchor; None where it begins with this candidate, or cannot be scored.
        unusable: Why it cannot be scored; a sentence.
        added_rows: How many joined the anchor.
        kept: All rows of the anchor, to be kept for later candidates; None where it begins with those of
            `test`.
    """

    frozen: Frozen
    test: Mask
    unconfirmed: Mask
    newest: Mask | None = None
    suspect: Mask | None = None
    anchor: Mask | None = None
    unusable: str | None = None
    added_rows: int = 0
    kept: pa.Table | None = None


def divide(spec: PipelineSpec, snapshot: DataSnapshot, known: Known, folder: Path) -> Sets:
    """Read the test part and the anchor, and say which row is what.

    Raises:
        FrozenSetMismatch: A part is not the one that was frozen.
        CheckFailed: It lacks a column, or a row has no label, or one that `label_schema` does not name.
    """
    test = read_part(snapshot.test)
    aged = _is_in(test, snapshot.aged, spec)
    right = _is_in(test, known.world, spec)
    if known.snapshot is None:
        seen = np.ones(len(test), dtype=np.bool_)
    else:
        seen = _is_in(test, known.snapshot.test, spec)
    confirmed = seen | aged | right
    base = read_part(known.anchor) if known.anchor else None
    kept, added_rows = (None, 0) if base is None else _extended(base, test.filter(pa.array(aged)), spec)
    scored, unusable = (None, None) if kept is None else _scorable(kept, test, snapshot, spec)
    kept = None if unusable else kept
    both = np.zeros(len(test), dtype=np.bool_) if scored is None else same_rows(test, scored, *_same_by(spec))
    more = None if scored is None else scored.filter(pa.array(~same_rows(scored, test, *_same_by(spec))))
    frozen = freeze(spec, snapshot.train, snapshot.test, folder, more)
    behind = 0 if more is None else len(more)
    no_more = np.zeros(behind, dtype=np.bool_)
    has_champion = known.snapshot is not None
    return Sets(
        frozen,
        test=np.append(confirmed, no_more),
        unconfirmed=np.append(~confirmed, no_more),
        newest=np.append(~seen, no_more) if has_champion else None,
        suspect=np.append(~seen & ~right, no_more) if has_champion else None,
        anchor=None if scored is None else np.append(both, ~no_more),
        unusable=unusable,
        added_rows=added_rows,
        kept=kept,
    )


def anchor_of(sets: Sets, snapshot: DataSnapshot, known: Known, work_url: str) -> SnapshotPart:
    """The anchor from now on, kept in the store: the one that there is where nothing joined it."""
    if sets.kept is None:
        if not sets.unconfirmed.any():
            return snapshot.test
        return _keep(sets.frozen.rows.filter(pa.array(sets.test)), work_url)
    if known.anchor is not None and not sets.added_rows:
        return known.anchor
    return _keep(sets.kept, work_url)


def _extended(base: pa.Table, aged: pa.Table, spec: PipelineSpec) -> tuple[pa.Table, int]:
    """The anchor with the old rows that it has not by their key, in the order of the key, and how many."""
    key = spec.data.key
    if key not in base.column_names or base.schema != aged.schema:
        return base, 0
    new = aged.filter(pc.invert(pc.is_in(aged[key], value_set=base[key].combine_chunks())))
    if not len(new):
        return base, 0
    whole = pa.concat_tables([base, new])
    return whole.take(pc.sort_indices(whole, sort_keys=[(key, "ascending")])), len(new)


def _scorable(
    kept: pa.Table, test: pa.Table, snapshot: DataSnapshot, spec: PipelineSpec
) -> tuple[pa.Table | None, str | None]:
    """The anchor's rows as the test part's, without any that the candidate was trained on; or why not."""
    if lacking := ", ".join(repr(name) for name in test.column_names if name not in kept.column_names):
        return None, f"The anchor was frozen before the query gave {lacking}, so it cannot be scored."
    try:
        rows = kept.select(test.column_names).cast(test.schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        return (
            None,
            f"The anchor's columns have other types than the test part's, so it cannot be scored: {error}",
        )
    classes = declared_classes(spec.serving.label_schema)
    if classes is not None and not set(rows[spec.data.label].unique().to_pylist()) <= set(classes):
        return None, "The anchor has labels that serving.label_schema does not name, so it cannot be scored."
    for part in (snapshot.train, snapshot.validation):  # only where data.split was changed
        trained = read_part(part)[spec.data.key].combine_chunks()
        rows = rows.filter(pc.invert(pc.is_in(rows[spec.data.key], value_set=trained)))
    return rows, None


def _is_in(test: pa.Table, part: SnapshotPart | None, spec: PipelineSpec) -> Mask:
    if part is None:
        return np.zeros(len(test), dtype=np.bool_)
    return same_rows(test, read_part(part), *_same_by(spec))


def _same_by(spec: PipelineSpec) -> tuple[str, tuple[str, ...]]:
    return spec.data.key, (spec.data.label,)


def _keep(rows: pa.Table, work_url: str) -> SnapshotPart:
    sha256 = sha256_of_rows(rows)
    path = files.at(work_url, f"anchor-{sha256[:16]}.parquet")
    with tempfile.TemporaryDirectory(prefix="perennial-anchor-") as folder:
        local = Path(folder) / path.name
        pq.write_table(rows, local)
        return SnapshotPart(url=files.put(local, path), rows=len(rows), sha256=sha256)
