"""Decide whether a candidate may be promoted.

The decision is a pure function of the evaluation, the model's rules and the archive, so it can be replayed
from the ledger. A rule passes only where its number says so: what is missing, undefined or NaN never
promotes. A difference is judged by its paired 95 % interval: at or above the limit passes, a difference below
the limit or surely negative rejects, and an interval that reaches across the limit holds, because the rows do
not say.
"""

from collections.abc import Iterator
from math import isfinite

from tasks.contracts import (
    Archive,
    EvaluationReport,
    GateDecision,
    GateRequest,
    LedgerEntry,
    Metric,
    ModelScore,
    PairedDifference,
    RuleVerdict,
)
from tasks.errors import ArchiveMismatch, FrozenSetMismatch, InvalidRequest
from tasks.ledger import entries
from tasks.spec import GateSpec
from tasks.stores import registry

ACTION = "gate"


def gate(request: GateRequest) -> GateDecision:
    """Decide, write the decision to the ledger, and then keep it with the MLflow run.

    A refused candidate keeps its run, its archive and the tag with the reason; only `register` makes a
    version.

    Raises:
        FrozenSetMismatch: The evaluation was not made on the test part of the run's snapshot.
        ArchiveMismatch: Another archive was evaluated than the one that is asked about.
        InvalidRequest: Run, archive and evaluation are not of one candidate, or of other rules than the
            model's.
    """
    spec, run, archive, evaluation = request.spec, request.run, request.archive, request.evaluation
    if {spec.name} != {run.model, archive.model, evaluation.model} or run.run_id != archive.run_id:
        raise InvalidRequest(
            f"The gate of {spec.name!r} was given run {run.run_id} of {run.model!r}, the archive of run "
            f"{archive.run_id} of {archive.model!r} and an evaluation of {evaluation.model!r}. Give it one "
            "candidate's."
        )
    if evaluation.frozen_sha256 != run.snapshot.test.sha256:
        raise FrozenSetMismatch(
            f"{evaluation.report_url} was made on rows with the hash {evaluation.frozen_sha256}, but the "
            f"test part of the run {run.run_id} has {run.snapshot.test.sha256}. Evaluate the candidate on "
            "its own snapshot."
        )
    decision = decide(evaluation, spec.gate, archive)
    entry = entries.record(
        model=spec.name,
        actor=request.context.actor,
        action=ACTION,
        before=evaluation.champion.run_id if evaluation.champion else None,
        after=decision.verdict,
        why=decision.why,
        evidence={"evaluation": evaluation, "rules": spec.gate, "archive": archive, "decision": decision},
    )
    recorded = decision.model_copy(update={"ledger_hash": entry.entry_hash})
    _keep(recorded)
    return recorded


def replay(entry: LedgerEntry) -> GateDecision:
    """Decide once more from nothing but a ledger entry's evidence; the same rules give the same decision."""
    evidence = entry.evidence
    return decide(
        EvaluationReport.model_validate(evidence["evaluation"]),
        GateSpec.model_validate(evidence["rules"]),
        Archive.model_validate(evidence["archive"]),
    )


def decide(evaluation: EvaluationReport, rules: GateSpec, archive: Archive) -> GateDecision:
    """Judge a candidate by `rules`, against the champion where there is one.

    Args:
        evaluation: Candidate, champion and baseline on the frozen rows, metrics in [0, 1] with 95 %
            intervals.
        rules: Thresholds and margins; shares are in [0, 1], latencies in seconds, sizes in bytes.
        archive: What would be served.

    Raises:
        FrozenSetMismatch: The champion was scored on other rows.
        ArchiveMismatch: Another archive was evaluated.
        InvalidRequest: The evaluation compares by another metric than the rules name.

    Source: non-inferiority by the limit of a confidence interval, Piaggio et al., JAMA 308:2594 (2012).
    """
    _same_candidate(evaluation, rules, archive)
    verdicts = tuple(_rules(evaluation, rules, archive))
    blocking = {rule.blocks for rule in verdicts if not rule.passed}
    verdict = "reject" if "reject" in blocking else "hold" if blocking else "promote"
    return GateDecision(
        model=evaluation.model,
        run_id=archive.run_id,
        verdict=verdict,
        first_model=evaluation.champion is None,
        rules=verdicts,
        why=_sentence(evaluation, verdict, verdicts),
        archive_sha256=archive.sha256,
        evaluation_url=evaluation.report_url,
    )


def _same_candidate(evaluation: EvaluationReport, rules: GateSpec, archive: Archive) -> None:
    candidate = evaluation.candidate
    if candidate.archive_sha256 != archive.sha256 or candidate.run_id != archive.run_id:
        raise ArchiveMismatch(
            f"The evaluation {evaluation.report_url} is of the archive {candidate.archive_sha256} of run "
            f"{candidate.run_id}, but {archive.sha256} of run {archive.run_id} is to be judged. Evaluate "
            "this archive."
        )
    if evaluation.champion is not None and evaluation.champion_frozen_sha256 != evaluation.frozen_sha256:
        raise FrozenSetMismatch(
            f"The candidate was scored on rows with the hash {evaluation.frozen_sha256}, the champion on "
            f"{evaluation.champion_frozen_sha256}. Evaluate both on the same rows.",
            candidate=evaluation.frozen_sha256,
            champion=evaluation.champion_frozen_sha256,
        )
    if evaluation.primary_metric != rules.primary_metric:
        raise InvalidRequest(
            f"The evaluation compares by {evaluation.primary_metric!r}, but gate.primary_metric of "
            f"{evaluation.model!r} is {rules.primary_metric!r}. Evaluate again."
        )


def _rules(evaluation: EvaluationReport, rules: GateSpec, archive: Archive) -> Iterator[RuleVerdict]:
    yield _enough_rows(evaluation, rules)
    if evaluation.champion is None:
        yield _first_model(rules)
    thresholds = rules.minimum if evaluation.champion else rules.first_model_minimum
    for name, threshold in thresholds.items():
        yield _minimum(evaluation.candidate, name, threshold)
    yield _gain_over_baseline(evaluation, rules)
    if evaluation.champion is not None:
        yield _margin(_overall(evaluation), rules.margin, f"margin.{rules.primary_metric}", "the champion")
        yield from _slices(evaluation, rules)
    yield _latency(evaluation.candidate, rules)
    yield _size(archive, rules)


def _enough_rows(evaluation: EvaluationReport, rules: GateSpec) -> RuleVerdict:
    passed = evaluation.rows >= rules.minimum_test_rows
    return RuleVerdict(
        rule="minimum_test_rows",
        value=evaluation.rows,
        threshold=rules.minimum_test_rows,
        passed=passed,
        blocks="hold",
        why=(
            f"{evaluation.rows} test rows are {'enough' if passed else 'too few'}: {rules.minimum_test_rows} "
            "are asked for."
        ),
    )


def _first_model(rules: GateSpec) -> RuleVerdict:
    declared = ", ".join(f"{name} {value:g}" for name, value in rules.first_model_minimum.items())
    return RuleVerdict(
        rule="first_model",
        value=declared or None,
        threshold="gate.first_model_minimum",
        passed=bool(declared),
        blocks="hold",
        why=f"No champion serves yet; a first model must reach {declared}."
        if declared
        else "No champion serves yet, and gate.first_model_minimum says nothing of what a first model must reach. Declare it.",
    )


def _minimum(candidate: ModelScore, name: str, threshold: float) -> RuleVerdict:
    metric = _metric(candidate, name)
    if metric is None:
        why = (
            f"{name} is not defined for the candidate on these rows, but gate.minimum asks for {threshold:g}."
        )
        return RuleVerdict(
            rule=f"minimum.{name}", value=None, threshold=threshold, passed=False, blocks="reject", why=why
        )
    passed = metric.value >= threshold
    why = f"{_said(metric)} is {'at least' if passed else 'below'} {threshold:g}."
    return RuleVerdict(
        rule=f"minimum.{name}",
        value=metric.value,
        threshold=threshold,
        passed=passed,
        blocks="reject",
        why=why,
    )


def _gain_over_baseline(evaluation: EvaluationReport, rules: GateSpec) -> RuleVerdict:
    """By the lower limit of the candidate's interval, so that luck on few rows is no gain."""
    rule, asked = "gain_over_baseline", rules.minimum_gain_over_baseline
    own, simple = (
        _metric(evaluation.candidate, rules.primary_metric),
        _metric(evaluation.baseline, rules.primary_metric),
    )
    if own is None or simple is None:
        why = (
            f"{rules.primary_metric} is not defined on these rows, so no gain over "
            f"{evaluation.baseline.name} can be shown."
        )
        return RuleVerdict(rule=rule, value=None, threshold=asked, passed=False, blocks="reject", why=why)
    gain, sure = own.value - simple.value, own.low - simple.value
    passed = sure >= asked
    judged = (
        "is a gain" if passed else "is no gain" if gain < asked else "may be luck: its lower limit is no gain"
    )
    return RuleVerdict(
        rule=rule,
        value=gain,
        threshold=asked,
        passed=passed,
        blocks="hold" if gain >= asked else "reject",
        why=(
            f"{_said(own)} {judged} of {asked:g} or more over {simple.value:.4f} of "
            f"{evaluation.baseline.name}."
        ),
    )


def _margin(found: PairedDifference | None, margin: float, rule: str, over: str) -> RuleVerdict:
    """Not worse than the champion by more than `margin`."""
    if found is None or not all(isfinite(value) for value in (found.difference, found.low, found.high)):
        why = (
            f"The difference to {over} is not defined on these rows, so nothing shows that the candidate is "
            "not worse."
        )
        return RuleVerdict(rule=rule, value=None, threshold=-margin, passed=False, blocks="hold", why=why)
    passed = found.low >= -margin <= found.difference
    worse = found.difference < -margin or found.high < 0
    judged = (
        "is not worse by more than"
        if passed
        else "is worse: it may lose"
        if worse
        else "may be worse by more than"
    )
    return RuleVerdict(
        rule=rule,
        value=found.low,
        threshold=-margin,
        passed=passed,
        blocks="reject" if worse else "hold",
        why=f"{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}] against {over} on {found.rows} rows {judged} "
        f"{margin:g}{'' if passed or worse else ': the rows are too few to say'}.",
    )


def _slices(evaluation: EvaluationReport, rules: GateSpec) -> Iterator[RuleVerdict]:
    differences = {
        found.slice_value: found for found in evaluation.differences if found.slice_value is not None
    }
    for part in evaluation.candidate.slices:
        if part.rows >= rules.minimum_slice_rows:
            name = f"{part.column}={part.value}"
            yield _margin(
                differences.get(part.value),
                rules.slice_margin,
                f"slice_margin.{name}",
                f"the champion on {name}",
            )


def _latency(candidate: ModelScore, rules: GateSpec) -> RuleVerdict:
    measured, limit = candidate.latency_p95_seconds, rules.latency_p95_seconds
    known = measured is not None and isfinite(measured)
    passed = measured is not None and measured <= limit
    said = (
        f"{measured:.4f} s for the 95th percentile of single requests"
        if known
        else "The latency was not measured: it"
    )
    return RuleVerdict(
        rule="latency_p95_seconds",
        value=measured if known else None,
        threshold=limit,
        passed=passed,
        blocks="reject",
        why=f"{said} is {'within' if passed else 'not within'} {limit:g} s.",
    )


def _size(archive: Archive, rules: GateSpec) -> RuleVerdict:
    passed = archive.size_bytes <= rules.archive_bytes
    return RuleVerdict(
        rule="archive_bytes",
        value=archive.size_bytes,
        threshold=rules.archive_bytes,
        passed=passed,
        blocks="reject",
        why=(
            f"The archive of {archive.size_bytes} bytes is {'within' if passed else 'above'} "
            f"{rules.archive_bytes}."
        ),
    )


def _metric(score: ModelScore, name: str) -> Metric | None:
    """The metric where it is there and each of its numbers is one."""
    found = next((metric for metric in score.metrics if metric.name == name), None)
    return (
        found
        if found is not None and all(isfinite(value) for value in (found.value, found.low, found.high))
        else None
    )


def _overall(evaluation: EvaluationReport) -> PairedDifference | None:
    return next((found for found in evaluation.differences if found.slice_value is None), None)


def _said(metric: Metric) -> str:
    return f"{metric.name} {metric.value:.4f} [{metric.low:.4f}, {metric.high:.4f}]"


def _sentence(evaluation: EvaluationReport, verdict: str, rules: tuple[RuleVerdict, ...]) -> str:
    if verdict == "promote":
        metric, overall = _metric(evaluation.candidate, evaluation.primary_metric), _overall(evaluation)
        against = (
            f", {overall.difference:+.4f} [{overall.low:+.4f}, {overall.high:+.4f}] against the champion"
            if overall
            else ""
        )
        own = _said(metric) if metric else evaluation.primary_metric
        return f"Promoted: all {len(rules)} rules hold. {own} on {evaluation.rows} test rows{against}."
    failed = [rule for rule in rules if not rule.passed and (verdict == "hold" or rule.blocks == "reject")]
    done = "Rejected" if verdict == "reject" else "Held"
    return f"{done} by {len(failed)} of {len(rules)} rules: " + " ".join(
        f"{rule.rule}: {rule.why}" for rule in failed
    )


def _keep(decision: GateDecision) -> None:
    registry.log_text(decision.run_id, "gate/decision.json", decision.model_dump_json(indent=2))
    registry.tag_run(
        decision.run_id,
        {
            "perennial.verdict": decision.verdict,
            "perennial.reason": decision.why,
            "perennial.decision_hash": decision.ledger_hash or "",
        },
    )
