"""What a team says of the slices that its model is judged on one by one."""

from itertools import pairwise
from math import inf
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from tasks.spec.base import FiniteFloat, Spec

MOST_BINS = 50


class SliceSpec(Spec):
    """A column whose values, or bins of numbers, are slices.

    Attributes:
        column: A column of the query's result.
        edges: Where one bin ends and the next begins, in the column's units: `[500, 1000]` makes the three
            bins below 500, from 500 to below 1000, and from 1000 on.
        quantiles: As many bins with about as many training rows each. Where they end, the training part says,
            never the test part.
    """

    column: str
    edges: tuple[FiniteFloat, ...] = Field(default=(), max_length=MOST_BINS - 1)
    quantiles: int | None = Field(default=None, ge=2, le=MOST_BINS)

    @model_validator(mode="after")
    def _bins_are_said_once_and_in_order(self) -> "SliceSpec":
        if self.edges and self.quantiles is not None:
            raise ValueError(f"{self.column}: say where the bins end by edges or by quantiles, not by both")
        if any(low >= high for low, high in pairwise(self.edges)):
            raise ValueError(f"{self.column}: each of the edges {list(self.edges)} has to be above the last")
        return self

    @property
    def has_bins(self) -> bool:
        return bool(self.edges) or self.quantiles is not None


def _as_slices(value: Any) -> Any:
    """One column's name, or several, or some of them with bins."""
    if value is None:
        return ()
    each = value if isinstance(value, list | tuple) else [value]
    return tuple({"column": one} if isinstance(one, str) else one for one in each)


Slices = Annotated[tuple[SliceSpec, ...], BeforeValidator(_as_slices)]


def bin_names(edges: tuple[float, ...]) -> tuple[str, ...]:
    """The bins between the edges in the notation of intervals, the lowest first: `[500, 1000)`."""
    ends = (-inf, *edges, inf)
    return tuple(f"{'(' if low == -inf else '['}{low:.12g}, {high:.12g})" for low, high in pairwise(ends))
