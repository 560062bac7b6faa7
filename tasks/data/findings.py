"""What an expectation found, on one batch of rows or over all of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.data.suites import Expectation

SAMPLES = 20
SAMPLE_CHARACTERS = 200
"""How much is told of one value."""

Positions = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Finding:
    """What an expectation found on some rows.

    Attributes:
        rows, judged, unexpected: How many rows there were, how many of them it judges (others have no value,
            or are left out by its condition), and how many of those break it.
        broken: Positions of the rows that break it, from 0; None where it does not judge rows.
        samples: Some of the values that break it.
        observed: What it saw of the rows as a whole; empty where it judges rows.
    """

    met: bool
    rows: int
    judged: int
    unexpected: int
    broken: Positions | None
    samples: tuple[str, ...]
    observed: str


@dataclass(frozen=True)
class Outcome:
    """What an expectation found on all rows.

    Attributes:
        met: By the suite's own tolerance: rows may break an expectation that is met (`mostly`).
        broken_rows: How many rows break it; None where it does not judge rows.
        share: Broken rows among those that have a value, in [0, 1].
        samples: At most 20 of the values that break it.
        message: A sentence with what was found.
    """

    expectation: Expectation
    met: bool
    broken_rows: int | None
    share: float | None
    samples: tuple[str, ...]
    message: str


class Tally:
    """Adds up what one expectation finds on one batch after the other."""

    def __init__(self, expectation: Expectation) -> None:
        self.expectation = expectation
        self._counts = (0, 0, 0)
        self._counted = False
        self._all_met = True
        self._samples: dict[str, None] = {}
        self._observed = ""

    def add(self, finding: Finding) -> None:
        own = finding.rows, finding.judged, finding.unexpected
        self._counts = tuple(sum(pair) for pair in zip(self._counts, own, strict=True))  # type: ignore[assignment]
        self._counted |= finding.broken is not None
        self._all_met &= finding.met
        self._observed = finding.observed if self._all_met or not finding.met else self._observed
        self._samples |= dict.fromkeys(finding.samples)

    def add_unbroken(self, *, rows: int, judged: int) -> None:
        """Add rows that were not evaluated, because nothing about them can break it."""
        nothing = np.empty(0, np.int64)
        self.add(
            Finding(met=True, rows=rows, judged=judged, unexpected=0, broken=nothing, samples=(), observed="")
        )

    def outcome(self) -> Outcome:
        samples = tuple(self._samples)[:SAMPLES]
        if not self._counted:
            return Outcome(self.expectation, self._all_met, None, None, samples, self._observed)
        rows, judged, unexpected = self._counts
        share = unexpected / judged if judged else 0.0
        least = float(self.expectation.arguments.get("mostly", 1))
        met = (judged - unexpected) / judged >= least if judged else True
        message = f"{unexpected} of {rows} rows break it ({share:.2%} of those judged; {1 - least:.2%} may)."
        return Outcome(self.expectation, met, unexpected, share, samples, message)
