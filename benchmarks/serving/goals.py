"""Whether the goals are met, as a function of the measured numbers alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from benchmarks.serving.load import Point

BUSY, ALONE = 32, 1
"""The numbers of connections that goals are about."""

DIRECT = ("torchserve", "torchserve-single")
"""TorchServe alone, as it gathers requests and as it stands behind the gateway; the better one counts.

With one of them alone nothing is judged.
"""

THREEFOLD = ("kserve", "bentoml", "litserve", "mlflow")
SHARE, TIMES, ADDED_MS, OWN_TIMES = 0.8, 3.0, 0.5, 2.0
OWN = "gateway-own"

Results = Mapping[tuple[str, int], list[Point]]
"""The rounds' points of a contender with a number of connections."""


@dataclass(frozen=True)
class Goal:
    """One goal; `met` is None where a contender that it needs was not measured."""

    says: str
    found: str
    met: bool | None


def judge(results: Results, gateway: str) -> list[Goal]:
    """Hold the results against the goals.

    Args:
        gateway: The contender that stands for the gateway before TorchServe.
    """
    return [
        _share(results, gateway),
        *(_threefold(results, gateway, peer) for peer in THREEFOLD),
        _added(results, gateway),
        _own(results),
    ]


def rate(results: Results, name: str, connections: int) -> float | None:
    """The median of the rounds' requests a second; None where it was not measured."""
    points = results.get((name, connections))
    return median(point.rate for point in points) if points else None


def median_ms(results: Results, name: str, connections: int) -> float | None:
    """The median of the rounds' median latencies in milliseconds."""
    points = results.get((name, connections))
    return median(point.p50 for point in points) if points else None


def _share(results: Results, gateway: str) -> Goal:
    says = f"{gateway} answers at least {SHARE} of TorchServe alone at {BUSY} connections"
    return _ratio(says, rate(results, gateway, BUSY), _fastest(results), SHARE)


def _threefold(results: Results, gateway: str, peer: str) -> Goal:
    says = f"{gateway} answers at least {TIMES:g} times as much as {peer} at {BUSY} connections"
    return _ratio(says, rate(results, gateway, BUSY), rate(results, peer, BUSY), TIMES)


def _own(results: Results) -> Goal:
    says = f"{OWN} answers at least {OWN_TIMES:g} times as much as TorchServe alone at {BUSY} connections"
    return _ratio(says, rate(results, OWN, BUSY), _fastest(results), OWN_TIMES)


def _added(results: Results, gateway: str) -> Goal:
    says = f"{gateway} adds at most {ADDED_MS} ms to TorchServe's median at {ALONE} connection"
    through = median_ms(results, gateway, ALONE)
    direct = [found for name in DIRECT if (found := median_ms(results, name, ALONE)) is not None]
    if through is None or len(direct) < len(DIRECT):
        return Goal(says, "not measured", None)
    added = through - min(direct)
    return Goal(says, f"{added:.2f} ms", added <= ADDED_MS)


def _fastest(results: Results) -> float | None:
    found = [each for name in DIRECT if (each := rate(results, name, BUSY)) is not None]
    return max(found) if len(found) == len(DIRECT) else None


def _ratio(says: str, ours: float | None, theirs: float | None, at_least: float) -> Goal:
    if ours is None or theirs is None:
        return Goal(says, "not measured", None)
    return Goal(says, f"{ours / theirs:.2f}", ours / theirs >= at_least)
