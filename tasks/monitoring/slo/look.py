"""Look how a model stands by its objectives: count at the gateway, read the ledger, decide."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from tasks.contracts import Action, Estimate, LabelledCounts, LedgerEntry, ModelFigures, Objective, State
from tasks.ledger import entries
from tasks.monitoring.slo.decide import Served, decide, troubled_since, windows_of
from tasks.monitoring.slo.served import TELLING, served_by
from tasks.serving.gateway import Gateway
from tasks.spec import PipelineSpec
from tasks.spec.monitor import MonitorSpec

MOST = 200
"""So many of a model's newest judgements and switches are looked at."""

LABELS_DAYS = 30
"""Of how many days labels tell how right the version is, where no objective says it."""

ANY_SECONDS = 1.0


def look(
    spec: PipelineSpec, gateway: Gateway, before: Sequence[Objective] = (), now: datetime | None = None
) -> ModelFigures:
    """How a model stands now.

    Args:
        before: How its objectives stood the last time.

    Raises:
        ServingError: The gateway does not answer.
        LedgerBroken: An entry is none any more.
    """
    now = now or datetime.now(UTC)
    slo, asked = spec.monitor.slo, spec.monitor.slo.latency
    counts = gateway.objectives(
        spec.name,
        windows_of(slo, now),
        asked.seconds if asked else ANY_SECONDS,
        now - timedelta(days=_labels_days(spec.monitor)),
    )
    served = served_by(reversed(entries.newest_of(spec.name, TELLING, MOST)), now)
    serves = _serves(served, now)
    labelled = next((one for one in counts.labelled if serves and one.model_version == serves.version), None)
    checks = entries.newest_of(spec.name, [Action.DRIFT], 1)
    return ModelFigures(
        model=spec.name,
        at=now,
        model_version=serves.version if serves else None,
        serving_since=serves.since if serves else None,
        promoted_at=serves.promoted_at if serves else None,
        state=_state(checks),
        checked_at=checks[0].at if checks else None,
        labelled=labelled.labelled if labelled else 0,
        accuracy=_accuracy(spec, labelled),
        latency_seconds=asked.seconds if asked else None,
        objectives=troubled_since(decide(slo, counts, served, now), before, now),
    )


def _labels_days(monitor: MonitorSpec) -> int:
    return monitor.slo.accuracy.window_days if monitor.slo.accuracy else LABELS_DAYS


def _serves(served: list[Served], now: datetime) -> Served | None:
    return served[-1] if served and served[-1].until == now else None


def _state(checks: list[LedgerEntry]) -> State | None:
    state: State | None = checks[0].evidence.get("decision", {}).get("state") if checks else None
    return state


def _accuracy(spec: PipelineSpec, labelled: LabelledCounts | None) -> Estimate | None:
    if labelled is None:
        return None
    return labelled.error if spec.task == "regression" else labelled.right
