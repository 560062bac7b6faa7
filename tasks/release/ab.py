"""Compare two versions at fixed weights (A/B): start, report, stop.

The version comes up and is accepted as for a release; then it answers its share until somebody stops it, or
something else comes to serve. Which is better is said once the declared number of labels is there.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from tasks.contracts import (
    Action,
    Comparison,
    ComparisonReport,
    LedgerEntry,
    ModelVersion,
    RolloutCheck,
    Route,
    Side,
)
from tasks.contracts.ab import MOST_LABELS
from tasks.errors import InvalidRequest
from tasks.gate.replay import require_replay
from tasks.ledger import entries, precedent
from tasks.release.ab_compare import compare, sides_of
from tasks.release.ab_record import comparison_of, end_comparison, record_ab
from tasks.release.ab_under_way import split_of_comparison
from tasks.release.accept import passed_checks
from tasks.release.in_environment import environments_of, require_passed
from tasks.release.record import require_alone
from tasks.release.switch import route_of, same_archive
from tasks.serving.backend import exclusive
from tasks.serving.gateway import Gateway
from tasks.spec import PipelineSpec
from tasks.stores import registry


@dataclass(frozen=True)
class Wanted:
    """What is to be compared with what serves, and how."""

    version: str
    share: float
    labels: int


def start_ab(spec: PipelineSpec, wanted: Wanted, actor: str, why: str) -> Comparison:
    """Let a version answer its share of the requests beside what serves.

    Raises:
        InvalidRequest: A release or another comparison of the model is under way, no version serves, or this
            one does; or the share or the number of labels is none.
        GateRefused: The gate did not promote the version's archive, or it has not passed through the
            environments before production.
        CheckFailed, ServingError: It does not load, or is not what was judged; what serves goes on serving.
    """
    _require_possible(wanted)
    version, gateway = registry.named_version(spec.name, wanted.version), Gateway()
    require_replay(precedent.promotion_of_version(version))
    with exclusive(spec.name):
        _beside(gateway, spec, version)
    with passed_checks(spec, version, registry.training_run(version.run_id)) as checks:
        comparison = _comparison(spec, wanted, version, _beside(gateway, spec, version))
        _open(gateway, comparison, checks, actor, why)
    return comparison


def report_ab(spec: PipelineSpec, actor: str) -> ComparisonReport:
    """Which version is better, or how many labels are there so far.

    The first report for which they are there is the report: it is in the ledger, and later labels change
    nothing of it.

    Raises:
        InvalidRequest: No comparison of the model was ever started.
        ServingError: The gateway does not answer.
    """
    comparison = _newest(spec.name)
    if (entry := _reported(comparison)) is not None:
        return ComparisonReport.model_validate(entry.evidence["report"])
    if comparison != comparison_of(spec.name):
        return _ended_before(comparison)
    is_number = spec.task == "regression"
    report = compare(comparison, *_sides(comparison, is_number=is_number), is_number=is_number)
    if report.reached:
        record_ab(comparison, actor, "reported", report.why, report=report.model_dump(mode="json"))
    return report


def stop_ab(spec: PipelineSpec, actor: str, why: str) -> Comparison:
    """Let what serves answer everything again; where the declared labels are there, the report is kept first.

    Raises:
        InvalidRequest: No comparison of the model is under way.
        ServingError: The gateway does not answer.
    """
    with exclusive(spec.name):
        comparison = comparison_of(spec.name)
        if comparison is None:
            raise InvalidRequest(
                f"No comparison (A/B) of {spec.name} is under way, so there is none to stop."
            )
        report_ab(spec, actor)
        end_comparison(Gateway(), comparison, actor, why)
    return comparison


def _require_possible(wanted: Wanted) -> None:
    if not 0 < wanted.share < 1:
        raise InvalidRequest(f"The share {wanted.share:g} is not between 0 and 1. Half and half is 0.5.")
    if not 100 <= wanted.labels <= MOST_LABELS:
        raise InvalidRequest(
            f"{wanted.labels} labels cannot be declared: give a number from 100 to {MOST_LABELS:,}."
        )


def _beside(gateway: Gateway, spec: PipelineSpec, version: ModelVersion) -> Route:
    """What serves, where the version may be compared with it: it may have changed while that was tested."""
    require_passed(version, environments_of(spec))
    require_alone(spec.name, None)
    return _require_other(gateway.route(spec.name), spec, version)


def _require_other(stable: Route | None, spec: PipelineSpec, version: ModelVersion) -> Route:
    if stable is None:
        raise InvalidRequest(f"No version of {spec.name} serves, so there is nothing to compare with.")
    if same_archive(stable, route_of(spec, version)):
        raise InvalidRequest(
            f"Version {version.version} of {spec.name} is what serves. Name another one to compare with it."
        )
    return stable


def _comparison(spec: PipelineSpec, wanted: Wanted, version: ModelVersion, stable: Route) -> Comparison:
    now = datetime.now(UTC)
    of_start = hashlib.sha256(f"{spec.name} {version.version} {now.isoformat()}".encode()).hexdigest()
    return Comparison(
        comparison_id=f"ab-{spec.name}-{version.version}-{of_start[:12]}",
        model=spec.name,
        share=wanted.share,
        labels=wanted.labels,
        opened_at=now,
        stable=stable,
        candidate=route_of(spec, version),
    )


def _open(
    gateway: Gateway, comparison: Comparison, checks: tuple[RolloutCheck, ...], actor: str, why: str
) -> None:
    """Killed after the entry, the reconciliation opens it."""
    entry = record_ab(
        comparison, actor, "started", why, checks=[check.model_dump(mode="json") for check in checks]
    )
    gateway.open_split(split_of_comparison(comparison))
    entries.complete(entry, "The gateway divides the requests.")


def _newest(model: str) -> Comparison:
    told = [each for each in entries.history(model, {Action.AB}) if each.after == "started"]
    if not told:
        raise InvalidRequest(
            f"No comparison (A/B) of {model} was ever started: perennial ab start {model} VERSION ..."
        )
    return Comparison.model_validate(told[-1].evidence["comparison"])


def _reported(comparison: Comparison) -> LedgerEntry | None:
    told = entries.history(comparison.model, {Action.AB})
    mine = (each for each in told if each.evidence["comparison_id"] == comparison.comparison_id)
    return next((each for each in mine if each.after == "reported"), None)


def _ended_before(comparison: Comparison) -> ComparisonReport:
    """Since its end one version answers alone, at other times than the other did: its labels do not count."""
    why = (
        f"The comparison was ended before a report of its {comparison.labels} labelled answers was made, so "
        "nothing is said of the versions. Start another one."
    )
    return ComparisonReport(comparison=comparison, reached=False, labelled=0, why=why)


def _sides(comparison: Comparison, *, is_number: bool) -> tuple[Side, Side]:
    """Of no more labelled predictions than it takes: each carries its whole instance."""
    gateway, asked = Gateway(), comparison.labels
    while True:
        seen = gateway.outcomes(comparison.model, comparison.opened_at, asked).labelled
        sides = sides_of(seen, comparison, is_number=is_number)
        there = sum(side.rows for side in sides)
        if there >= comparison.labels or len(seen) < asked or asked == MOST_LABELS:
            return sides
        asked = min(2 * asked, MOST_LABELS)
