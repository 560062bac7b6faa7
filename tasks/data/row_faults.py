"""Why rows of a batch may not join their table."""

from dataclasses import dataclass, field

import numpy as np

from tasks.data.landed_rows import LandedRows
from tasks.data.quarantine import BrokenRow
from tasks.data.typed_values import Mask


@dataclass
class RowFaults:
    """Each fault with the rows that have it.

    Attributes:
        count: Rows of the batch.
    """

    count: int
    _found: list[tuple[Mask, str, str]] = field(default_factory=list)

    def add(self, mask: Mask, expectation: str, reason: str) -> None:
        """Note that rows break an expectation, and why in a sentence."""
        if mask.any():
            self._found.append((mask, expectation, reason))

    @property
    def rows(self) -> Mask:
        """The rows that have a fault."""
        return np.asarray(
            np.logical_or.reduce(
                [np.zeros(self.count, dtype=np.bool_), *(mask for mask, _, _ in self._found)]
            ),
            dtype=np.bool_,
        )

    def describe(self, landed: LandedRows) -> list[BrokenRow]:
        """The rows that have a fault, as they were landed."""
        places = np.flatnonzero(self.rows)
        if not len(places):
            return []
        kinds, kind_of = np.unique(
            np.stack([mask[places] for mask, _, _ in self._found], axis=1), axis=0, return_inverse=True
        )
        told = [self._told(kind) for kind in kinds]
        return [
            BrokenRow(int(number), row, *told[kind])
            for number, row, kind in zip(
                landed.numbers[places], landed.landed(places.tolist()), kind_of.reshape(-1), strict=True
            )
        ]

    def _told(self, kind: Mask) -> tuple[str, str]:
        """The expectations and the reasons of rows that have the same faults."""
        faults = [fault for fault, there in zip(self._found, kind, strict=True) if there]
        expectations = dict.fromkeys(expectation for _, expectation, _ in faults)
        return ", ".join(expectations), " ".join(reason for _, _, reason in faults)
