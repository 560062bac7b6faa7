"""How many requests a stage of a release needs at least: asked of its own decision on a faultless candidate.

A pure function of the specification: counts that nothing speaks against are decided on, fewer and fewer,
until the stage would wait for more.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from tasks.contracts import Counted, Route, Stage, StageDecision, StageLook
from tasks.release.decide import decide
from tasks.release.stages import kind_of, plan
from tasks.spec import PipelineSpec, declared_classes
from tasks.spec.release_checks import MOST_REQUESTS

AT = datetime(2026, 1, 1, tzinfo=UTC)
SLOW_SECONDS = 1.0
MOST_BESIDE = 1e18
"""Requests of the stable version beside the candidate's; a share of almost none would make them infinite."""


@dataclass(frozen=True)
class Needed:
    """What a stage needs of a candidate that answers as the stable version does, all of it, and quickly.

    Attributes:
        requests: Of the candidate, the least that its checks go on with; None where no number is enough.
        checks: Those that wait for so many.
    """

    stage: str
    share: float
    requests: int | None
    checks: tuple[str, ...]


def needed(spec: PipelineSpec) -> list[Needed]:
    """What each stage of a release of the model needs, in order."""
    patient = spec.release.model_copy(
        update={
            "step": spec.release.step.model_copy(update={"requests": 0, "seconds": 0}),
            "shadow": spec.release.shadow.model_copy(update={"requests": 1}),
            "checks": spec.release.checks.model_copy(
                update={"labels": spec.release.checks.labels.model_copy(update={"least": 0})}
            ),
        }
    )
    eager = spec.model_copy(update={"release": patient})
    return [_needed(eager, name, share) for name, share in plan(spec.release).items()]


def _needed(spec: PipelineSpec, name: str, share: float) -> Needed:
    most = MOST_REQUESTS
    if not _is_enough(spec, name, share, most):
        return Needed(name, share, None, _open(spec, name, share, most))
    few, enough = 0, 1
    while not _is_enough(spec, name, share, enough):
        few, enough = enough, min(2 * enough, most)
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if _is_enough(spec, name, share, middle) else (middle, enough)
    return Needed(name, share, enough, _open(spec, name, share, enough - 1))


def _is_enough(spec: PipelineSpec, name: str, share: float, requests: int) -> bool:
    return _decided(spec, name, share, requests).verdict == "proceed"


def _open(spec: PipelineSpec, name: str, share: float, requests: int) -> tuple[str, ...]:
    checks = _decided(spec, name, share, requests).checks
    return tuple(each.check for each in checks if each.needed and each.says != "good")


def _decided(spec: PipelineSpec, name: str, share: float, requests: int) -> StageDecision:
    """What follows of a stage in which the candidate was asked so often, and the stable version its part."""
    part = share if name.startswith("canary") else spec.release.shadow.share
    beside = requests * (1 - part) / part if name.startswith("canary") else requests / part
    stable = _faultless(spec, max(1, round(min(beside, MOST_BESIDE))) if part < 1 else requests)
    stage = Stage(
        release_id="needed",
        model=spec.name,
        name=name,
        kind=kind_of(name),
        number=0,
        stages=len(plan(spec.release)),
        share=share,
        shadow_share=spec.release.shadow.share if kind_of(name) == "shadow" else 0.0,
        opened_at=AT,
        until=AT,
        slow_after_seconds=SLOW_SECONDS,
        stable=_route(spec.name, "1"),
        candidate=_route(spec.name, "2"),
        before=stable,
    )
    copies = float(requests) if stage.kind == "shadow" else 0.0
    look = StageLook(
        at=AT,
        seconds=0.0,
        candidate=_faultless(spec, requests),
        stable=stable,
        compared=copies,
        agreed=copies,
    )
    return decide(stage, look, spec)


def _faultless(spec: PipelineSpec, requests: int) -> Counted:
    """Answers that are all quick, of each class equally often."""
    classes = [] if spec.task == "regression" else declared_classes(spec.serving.label_schema) or (0, 1)
    return Counted(
        requests=requests,
        latency_buckets={str(SLOW_SECONDS): requests},
        predictions={str(each): requests / len(classes) for each in classes},
    )


def _route(model: str, version: str) -> Route:
    return Route(
        model=model,
        model_version=version,
        run_id=version,
        backend_version=version,
        archive_sha256=version * 64,
        input_schema={},
        label_schema={},
        timeout_seconds=SLOW_SECONDS,
    )
