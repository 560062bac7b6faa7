"""Why rows of a batch may not join their table."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tasks.data import strict_json
from tasks.data.findings import SAMPLE_CHARACTERS
from tasks.data.landed_rows import LandedRows
from tasks.data.quarantine import BrokenRow
from tasks.data.typed_values import Mask

VALUE = "{value}"


@dataclass(frozen=True)
class Fault:
    """What is wrong with the rows of `mask`; the arguments of `RowFaults.add`."""

    mask: Mask
    expectation: str
    reason: str
    value_of: str | None


@dataclass
class RowFaults:
    """Each fault with the rows that have it.

    Attributes:
        count: Rows of the batch.
    """

    count: int
    _found: list[Fault] = field(default_factory=list)

    def add(self, mask: Mask, expectation: str, reason: str, *, value_of: str | None = None) -> None:
        """Note that rows break an expectation, and why in a sentence.

        Args:
            value_of: The column whose value, as it was landed, takes the place of `VALUE` in the sentence.
        """
        if mask.any():
            self._found.append(Fault(mask, expectation, reason, value_of))

    @property
    def rows(self) -> Mask:
        """The rows that have a fault."""
        return np.asarray(
            np.logical_or.reduce(
                [np.zeros(self.count, dtype=np.bool_), *(fault.mask for fault in self._found)]
            ),
            dtype=np.bool_,
        )

    def describe(self, landed: LandedRows) -> list[BrokenRow]:
        """The rows that have a fault, as they were landed."""
        places = np.flatnonzero(self.rows)
        if not len(places):
            return []
        kinds, kind_of = np.unique(
            np.stack([fault.mask[places] for fault in self._found], axis=1), axis=0, return_inverse=True
        )
        faults = [[fault for fault, there in zip(self._found, kind, strict=True) if there] for kind in kinds]
        return [
            BrokenRow(int(number), row, *_told(faults[kind], row))
            for number, row, kind in zip(
                landed.numbers[places], landed.landed(places.tolist()), kind_of.reshape(-1), strict=True
            )
        ]


def _told(faults: Sequence[Fault], row: str) -> tuple[str, str]:
    """The expectations that a row breaks, and why; `row` is what was landed, as JSON."""
    values = (
        json.loads(row, parse_float=strict_json.number) if any(fault.value_of for fault in faults) else {}
    )
    reasons = [
        fault.reason.replace(VALUE, _short(values.get(fault.value_of))) if fault.value_of else fault.reason
        for fault in faults
    ]
    expectations = dict.fromkeys(fault.expectation for fault in faults)
    return ", ".join(expectations), " ".join(reasons)


def _short(value: object) -> str:
    """A value as JSON, of a long one its start."""
    as_json = json.dumps(value, ensure_ascii=False)
    text = value.text if isinstance(value, strict_json.WrittenNumber) else as_json
    if len(text) <= SAMPLE_CHARACTERS:
        return text
    return f"{text[:SAMPLE_CHARACTERS]}…" + ('"' if isinstance(value, str) else "")
