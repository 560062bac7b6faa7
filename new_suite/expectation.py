"""An expectation that is proposed, with the reason for it."""

from dataclasses import dataclass
from typing import Any

from new_suite.slack import bad_share, mostly


@dataclass(frozen=True)
class Proposed:
    """One expectation of a suite.

    Attributes:
        why: What in the sample speaks for it; it is kept beside the expectation, as `notes`.
    """

    type: str
    arguments: dict[str, Any]
    why: str

    @property
    def says_something(self) -> bool:
        """Whether at least half of the rows have to meet it; a few rows are no reason for that."""
        return bool(self.arguments.get("mostly", 1) >= 0.5)

    @property
    def declared(self) -> dict[str, Any]:
        return {"type": self.type, "kwargs": self.arguments, "notes": self.why}


def tolerant(kind: str, arguments: dict[str, Any], broken: int, total: int, why: str) -> Proposed:
    """An expectation on rows that `broken` of `total` rows with a value break in the sample."""
    limit = mostly(bad_share(broken, total))
    return Proposed(kind, {**arguments, "mostly": limit}, f"{why} {broken:,} of {total:,} values break it.")
