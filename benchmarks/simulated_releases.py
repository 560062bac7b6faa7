"""Releases with counts drawn at random in place of a gateway: how often a good version goes back, and how
soon a worse one does.

`python -m benchmarks.simulated_releases --releases 2000` prints the table of docs/releases.md.
"""

import statistics
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from tasks.contracts import Counted, Losses, Route, Stage, StageLook
from tasks.release.decide import decide
from tasks.release.stages import kind_of, plan, slow_after
from tasks.spec import PipelineSpec, ReleaseSpec

PROJECT = Path(__file__).resolve().parents[1]
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
BOUNDS = ("0.005", "0.01", "0.02", "0.05", "0.1", "0.5")
USUAL = (0.55, 0.25, 0.16, 0.02, 0.01, 0.01)
"""Of latencies: the share of answers within each bound, so that 95 % take at most 0.02 s."""
SLOWER = (0.10, 0.20, 0.30, 0.25, 0.10, 0.05)
SLICES = {"source=shop": 0.80, "source=phone": 0.15, "source=mail": 0.05}
"""Which share of the requests falls into each slice."""


@dataclass(frozen=True)
class Version:
    """What a version does: how often it fails, is wrong (by slice) and says yes, and how long it takes."""

    failed: float = 0.002
    wrong: tuple[float, float, float] = (0.10, 0.10, 0.10)
    positive: float = 0.45
    latency: tuple[float, ...] = USUAL


GOOD = Version()
BRIEF = {"step": {"longest_seconds": 1800}, "shadow": {"longest_seconds": 1800}}
"""What is within every margin but not good enough to be sure is held after half an hour."""
VERSIONS = {
    "good": GOOD,
    "at the margins": Version(failed=0.022, wrong=(0.1175, 0.13, 0.13), positive=0.55),
    "wrong on a slice of 15 %": Version(wrong=(0.10, 0.95, 0.10), positive=0.43),
    "wrong on a slice of 5 %": Version(wrong=(0.10, 0.10, 0.95), positive=0.44),
    "slow": replace(GOOD, latency=SLOWER),
    "crashing": replace(GOOD, failed=0.08),
}
OTHER_DAY = Version(wrong=(0.05, 0.05, 0.05), positive=0.25)
"""What a good version did on the requests of another day, before the release."""


@dataclass(frozen=True)
class Released:
    """How a simulated release ended, in which stage, and after how many requests to the candidate."""

    verdict: str
    stage: str
    requests: int


def spec_of(**release: object) -> PipelineSpec:
    """The specification of a shipped model, released by steps."""
    spec = PipelineSpec.load(PROJECT / "models" / "review_sentiment" / "pipeline.yaml")
    rules = ReleaseSpec.model_validate({"mode": "canary", **BRIEF, **release})
    return spec.model_copy(update={"release": rules})


def simulate(
    candidate: Version,
    spec: PipelineSpec,
    random: np.random.Generator,
    *,
    per_look: int = 400,
    labelled: float = 0.5,
    usual: Version = GOOD,
) -> Released:
    """One release from its first stage to its end.

    Args:
        per_look: Requests between two looks.
        labelled: The share of answers whose label comes.
        usual: What the stable version did the day before, when other requests may have come.
    """
    asked, shares = 0, plan(spec.release)
    before = drawn(usual, 5000, labelled, random)
    for name in shares:
        stage = stage_of(name, spec, before)
        verdict, requests = _run(stage, candidate, spec, random, per_look, labelled)
        asked += requests
        if verdict != "proceed":
            return Released(verdict, name, asked)
    return Released("promoted", "", asked)


def _run(
    stage: Stage,
    candidate: Version,
    spec: PipelineSpec,
    random: np.random.Generator,
    per_look: int,
    labelled: float,
) -> tuple[str, int]:
    own, its = Counted(), Counted()
    copied = stage.kind == "shadow"
    share = stage.shadow_share if copied else stage.share
    for second in range(10, 10**7, 10):
        rows = int(random.binomial(per_look, share))
        own = added(own, drawn(candidate, rows, 0.0 if copied else labelled, random))
        its = added(its, drawn(GOOD, per_look if copied else per_look - rows, labelled, random))
        seen = StageLook(
            at=BEGIN + timedelta(seconds=second),
            seconds=float(second),
            candidate=own,
            stable=stage.before if stage.share == 1 else its,
        )
        verdict = decide(stage, seen, spec).verdict
        if verdict != "wait":
            return verdict, own.requests
    raise AssertionError("a stage ends by its longest time")


def stage_of(name: str, spec: PipelineSpec, before: Counted) -> Stage:
    """The stage of this name, opened at a fixed time."""
    rules, shares = spec.release, plan(spec.release)
    kind = kind_of(name)
    return Stage(
        release_id="simulated",
        model=spec.name,
        name=name,
        kind=kind,
        number=[*shares].index(name),
        stages=len(shares),
        share=shares[name],
        shadow_share=rules.shadow.share if kind == "shadow" else 0.0,
        opened_at=BEGIN,
        until=BEGIN + timedelta(days=1),
        slow_after_seconds=slow_after(before, rules),
        stable=route_of(spec.name, "1"),
        candidate=route_of(spec.name, "2"),
        before=before,
    )


def route_of(model: str, version: str) -> Route:
    return Route(
        model=model,
        model_version=version,
        run_id=f"run-{version}",
        backend_version=version,
        archive_sha256=version * 64,
        input_schema={},
        label_schema={},
        timeout_seconds=5,
    )


def drawn(version: Version, requests: int, labelled: float, random: np.random.Generator) -> Counted:
    """What becomes of so many requests."""
    failed = int(random.binomial(requests, version.failed))
    answered = requests - failed
    within = np.cumsum(random.multinomial(answered, version.latency))
    positive = int(random.binomial(answered, version.positive))
    known = random.multinomial(int(random.binomial(answered, labelled)), [*SLICES.values()])
    slices = {
        name: Losses(labelled=int(rows), loss=float(random.binomial(rows, rate)))
        for name, rows, rate in zip(SLICES, known, version.wrong, strict=True)
    }
    return Counted(
        requests=requests,
        failed=failed,
        latency_buckets=dict(zip(BOUNDS, map(int, within), strict=True)),
        predictions={'"negative"': answered - positive, '"positive"': positive},
        labelled=sum(each.labelled for each in slices.values()),
        loss=sum(each.loss for each in slices.values()),
        slices={name: each for name, each in slices.items() if each.labelled},
    )


def added(one: Counted, other: Counted) -> Counted:
    """The counts of both."""

    def both(first: dict[str, int], second: dict[str, int]) -> dict[str, int]:
        return {name: first.get(name, 0) + second.get(name, 0) for name in {**first, **second}}

    return Counted(
        requests=one.requests + other.requests,
        failed=one.failed + other.failed,
        latency_buckets=both(one.latency_buckets, other.latency_buckets),
        predictions=both(one.predictions, other.predictions),
        labelled=one.labelled + other.labelled,
        loss=one.loss + other.loss,
        slices={
            name: Losses(labelled=sum(each.labelled for each in of), loss=sum(each.loss for each in of))
            for name in {**one.slices, **other.slices}
            if (of := [each.slices[name] for each in (one, other) if name in each.slices])
        },
    )


WITHOUT_SLICES = {"labels": {"slice_margin": None}}
"""To see what the slices are good for: the checks as they would be without them."""


def table(releases: int, worse: int, seed: int = 20261101) -> Iterator[str]:
    """The rows of the table, in Markdown, each as soon as it is there."""
    yield "| candidate | releases | promoted | rolled back | held | requests to it, median |"
    yield "|---|---|---|---|---|---|"
    yield _row("good, after a day of other requests", GOOD, spec_of(), worse, seed, OTHER_DAY)
    for name, version in VERSIONS.items():
        times = releases if name in {"good", "at the margins"} else worse
        yield _row(name, version, spec_of(), times, seed)
        if "slice" in name:
            yield _row(f"{name}, without `slices`", version, spec_of(checks=WITHOUT_SLICES), times, seed)


def _row(
    name: str, version: Version, spec: PipelineSpec, times: int, seed: int, usual: Version = GOOD
) -> str:
    random = np.random.default_rng(seed)
    found = [simulate(version, spec, random, usual=usual) for _ in range(times)]
    counts = [sum(each.verdict == verdict for each in found) for verdict in ("promoted", "roll_back", "hold")]
    median = statistics.median(each.requests for each in found)
    return f"| {name} | {times:,} | {' | '.join(f'{each:,}' for each in counts)} | {median:,.0f} |"


def main() -> None:
    """Print the table."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--releases", type=int, default=2000, help="of a version that may not go back")
    parser.add_argument("--worse", type=int, default=200, help="of each that has to")
    given = parser.parse_args()
    for line in table(given.releases, given.worse):
        print(line, flush=True)


if __name__ == "__main__":
    main()
