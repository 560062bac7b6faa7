"""How many requests a stage needs is what its own decision says of a faultless candidate."""

from typing import Any

import pytest

from benchmarks.simulated_releases import spec_of, stage_of
from tasks.contracts import Counted, StageDecision, StageLook
from tasks.release.decide import decide
from tasks.release.needed import needed


def faultless(requests: int) -> Counted:
    half = {"0": requests / 2, "1": requests / 2}
    return Counted(requests=requests, latency_buckets={"0.005": requests}, predictions=half)


def decided(name: str, share: float, requests: int, **rules: Any) -> StageDecision:
    """What a stage says of a faultless candidate that was asked so often."""
    spec = spec_of(step={"requests": 0, "seconds": 0}, **rules)
    stable = faultless(round(requests * (1 - share) / share) if share < 1 else requests)
    stage = stage_of(name, spec, faultless(5000)).model_copy(update={"before": stable})
    look = StageLook(at=stage.opened_at, seconds=60, candidate=faultless(requests), stable=stable)
    return decide(stage, look, spec)


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"checks": {"errors": {"margin": 0.3}, "latency": {"margin": 0.4}}, "steps": [0.3, 1.0]},
        {"error_rates": {"missed": 0.2}},
    ],
)
def test_so_many_requests_are_enough_and_one_less_is_not(rules: dict[str, Any]) -> None:
    found = [each for each in needed(spec_of(**rules)) if each.share]
    assert [each.stage for each in found]
    for each in found:
        assert each.requests is not None
        assert decided(each.stage, each.share, each.requests, **rules).verdict == "proceed"
        before = decided(each.stage, each.share, each.requests - 1, **rules)
        assert before.verdict == "wait"
        assert tuple(one.check for one in before.checks if one.says == "open" and one.needed) == each.checks


def test_wider_margins_need_fewer_requests_and_a_shadow_counts_copies() -> None:
    wide = {
        "checks": {
            "errors": {"margin": 0.3},
            "latency": {"margin": 0.4},
            "predictions": {"largest_change": 0.5},
        }
    }
    usual, wider = needed(spec_of()), needed(spec_of(**wide))
    assert [each.stage for each in usual] == ["shadow", "canary_5", "canary_25", "canary_50", "canary_100"]
    assert all(
        (one.requests or 0) > 2 * (other.requests or 0) for one, other in zip(usual, wider, strict=True)
    )
