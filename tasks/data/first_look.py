"""Look at each row of a file by itself: its types, its key, its text, and what the suite says of single rows.

What may join, as far as a row by itself tells, is staged on the way. What the look over all rows needs is
kept: hashes of keys and of values that have to be unique, and the columns that have to be seen as a whole.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from tasks.data import quarantine
from tasks.data.duplicates import Hashed
from tasks.data.findings import Tally
from tasks.data.judge import Judge
from tasks.data.kept_columns import Kept
from tasks.data.landed_rows import LandedRows
from tasks.data.row_faults import VALUE, RowFaults
from tasks.data.staging import Staging
from tasks.data.suites import Expectation, Scope, require_columns
from tasks.data.typed_values import TYPES_HOLD, Mask
from tasks.data.wrong_encoding import DECODED, find_wrong_encoding
from tasks.spec import TableSpec

KEY_HOLDS = "key_is_there_once"


@dataclass
class Counts:
    """Rows so far.

    Attributes:
        rows: All but the blank ones.
        faults: For each expectation, how many rows break it.
        example: What is wrong with the first bad row.
    """

    rows: int = 0
    bad: int = 0
    blank: int = 0
    judged: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    example: str = ""

    def add_bad(self, broken: list[quarantine.BrokenRow]) -> None:
        self.bad += len(broken)
        for row in broken:
            self.faults.update(row.expectation.split(", "))
        if broken and not self.example:
            first = min(broken, key=lambda row: row.number)
            self.example = f"row {first.number}: {first.reason}"


@dataclass(frozen=True)
class Seen:
    """What was seen of one batch: its rows that may join by themselves, and those that the suite judged."""

    accepted: Mask
    judged: Mask


class FirstLook:
    """Looks at the rows of a file, batch by batch."""

    def __init__(self, name: str, table: TableSpec, judge: Judge, staging: Staging) -> None:
        self.name = name
        self.table = table
        self.judge = judge
        self.staging = staging
        self.counts = Counts()
        self.tallies = {expectation: Tally(expectation) for expectation in judge.suite.expectations}
        self.keys = Hashed([table.key])
        others = [name for name in table.columns if name != table.key]
        self.contents = Hashed(others) if others and table.maximum_duplicate_share < 1 else None
        self.unique = {each: Hashed(each.columns) for each in self.of("unique")}
        self.kept = {each: Kept(each) for each in self.of("distinct", "whole")}
        self._seen: list[tuple[int, bytes, bytes]] = []

    def of(self, *scopes: Scope) -> list[Expectation]:
        """The suite's expectations that have to see as much."""
        return [expectation for expectation in self.tallies if expectation.scope in scopes]

    def take(self, landed: LandedRows) -> None:
        """Look at a batch, and stage what may join of it."""
        rows, faults = landed.typed.rows, self._by_themselves(landed)
        if not self._seen:
            require_columns(self.judge.suite, self.judge.suite.expectations, rows.column_names)
        judged = ~faults.rows
        chosen = rows if judged.all() else rows.filter(pa.array(judged))
        self._judge(chosen, np.flatnonzero(judged), faults)
        for name in rows.column_names:
            if pa.types.is_string(rows.schema.field(name).type):
                wrong = find_wrong_encoding(rows.column(name)) & judged
                faults.add(wrong, DECODED, f"{name} was decoded by another encoding than its own.")
        self._keep(landed, chosen, Seen(~faults.rows, judged))
        self._stage(landed, faults)

    def seen(self) -> Iterator[Seen]:
        """What was seen of each batch, in their order."""
        for count, accepted, judged in self._seen:
            yield Seen(_unpack(accepted, count), _unpack(judged, count))

    def _by_themselves(self, landed: LandedRows) -> RowFaults:
        """The rows with a value of a wrong type, or without a key."""
        faults = RowFaults(len(landed.numbers))
        for name, mask in landed.typed.broken.items():
            kind = self.table.columns.get(name)
            faults.add(
                mask,
                TYPES_HOLD,
                f"{name} is not of type {kind or landed.typed.rows.schema.field(name).type}: {VALUE}.",
                value_of=name,
            )
        keys = landed.typed.rows.column(self.table.key)
        missing = np.asarray(keys.is_null(), dtype=np.bool_) & ~landed.typed.broken[self.table.key]
        faults.add(missing, KEY_HOLDS, f"{self.table.key} is missing.")
        return faults

    def _judge(
        self, rows: pa.Table, places: "np.ndarray[tuple[int], np.dtype[np.int64]]", faults: RowFaults
    ) -> None:
        if not len(rows):
            return
        if not self.counts.judged:
            self.tell(self.of("layout"), rows.slice(0, 1000))
        by_row = self.of("row")
        for expectation, finding in zip(by_row, self.judge.evaluate(by_row, rows), strict=True):
            self.tallies[expectation].add(finding)
            if expectation.required and finding.broken is not None:
                mask = np.zeros(faults.count, dtype=np.bool_)
                mask[places[finding.broken]] = True
                faults.add(mask, expectation.type, reason_of(expectation))

    def tell(self, expectations: list[Expectation], rows: pa.Table) -> None:
        """Evaluate expectations that do not judge rows."""
        for expectation, finding in zip(expectations, self.judge.evaluate(expectations, rows), strict=True):
            self.tallies[expectation].add(finding)

    def _keep(self, landed: LandedRows, judged: pa.Table, seen: Seen) -> None:
        self.keys.add(landed.typed.rows)
        for hashed in [*self.unique.values(), *([self.contents] if self.contents else [])]:
            hashed.add(judged)
        for kept in self.kept.values():
            kept.add(judged)
        self.counts.judged += len(judged)
        self._seen.append((len(landed.numbers), _pack(seen.accepted), _pack(seen.judged)))

    def _stage(self, landed: LandedRows, faults: RowFaults) -> None:
        bad = faults.rows
        rows = landed.typed.rows
        self.staging.write("accepted", rows if not bad.any() else rows.filter(pa.array(~bad)))
        broken = [*landed.unreadable, *faults.describe(landed)]
        self.staging.write("quarantined", quarantine.as_table(self.name, broken))
        self.counts.add_bad(broken)
        self.counts.rows += len(landed.numbers) + len(landed.unreadable)
        self.counts.blank += landed.blank


def _pack(mask: Mask) -> bytes:
    return np.packbits(mask).tobytes()


def _unpack(bits: bytes, count: int) -> Mask:
    return np.unpackbits(np.frombuffer(bits, dtype=np.uint8), count=count).astype(np.bool_)


def reason_of(expectation: Expectation) -> str:
    """Why a row that breaks an expectation may not join."""
    arguments = {name: value for name, value in expectation.arguments.items() if name != "mostly"}
    return f"The row breaks {expectation.type} {json.dumps(arguments)}."
