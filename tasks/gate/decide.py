"""Decide whether a candidate may be promoted.

The decision is a pure function of the evaluation, the model's rules, the archive, what this comparison may
cost of the year's rate of false promotions, and what the ledger says beside, so it can be replayed. A rule
passes only where its number says so: what is missing, undefined or NaN never promotes. Against a champion a
candidate has to be better, by a paired test at the level of this comparison; surely worse rejects, and what
is between holds, because the rows do not say. Which way is worse, the table of metrics says.
"""

from collections.abc import Iterator

from tasks.contracts import (
    Action,
    Archive,
    Circumstances,
    EvaluationReport,
    GateDecision,
    LedgerEntry,
    Look,
    RuleVerdict,
)
from tasks.errors import ArchiveMismatch, FrozenSetMismatch, InvalidRequest
from tasks.gate.rules.anchor import no_harm_on_anchor, not_worse_on_anchor
from tasks.gate.rules.as_trained import serves_as_trained
from tasks.gate.rules.baseline import gain_over_baseline
from tasks.gate.rules.behaviour import behaves
from tasks.gate.rules.currency import current_test_rows
from tasks.gate.rules.fairness import fair_to_groups
from tasks.gate.rules.first_model import first_model_is_declared
from tasks.gate.rules.health import numerical_health
from tasks.gate.rules.label_incident import label_incident
from tasks.gate.rules.latency import latency
from tasks.gate.rules.memory import peak_memory
from tasks.gate.rules.newest_rows import better_on_newest_rows
from tasks.gate.rules.non_inferiority import difference_to_root, not_worse_than_root
from tasks.gate.rules.preparation import prepares_as_trained
from tasks.gate.rules.reports import metric_of, overall_difference, tell_difference, tell_metric
from tasks.gate.rules.rows import enough_test_rows
from tasks.gate.rules.size import archive_size
from tasks.gate.rules.slice_thresholds import slice_thresholds
from tasks.gate.rules.superiority import better_than_champion, worse_on_no_slice
from tasks.gate.rules.thresholds import thresholds
from tasks.spec import GateSpec, Policy, kind_of

FIRST = Circumstances()


def decide(
    evaluation: EvaluationReport,
    rules: GateSpec,
    archive: Archive,
    look: Look | None,
    circumstances: Circumstances = FIRST,
) -> GateDecision:
    """Judge a candidate by `rules`, against the champion where there is one.

    Args:
        evaluation: Candidate, champion and baseline on the frozen rows, each metric with its 95 % interval.
        rules: Thresholds and margins in units of their metrics, latencies in seconds, sizes in bytes.
        archive: What would be served.
        look: What the comparison with the champion may cost; None where there is none to compare with.
        circumstances: What the ledger says beside: whether drift asked for the training, and an incident that
            is open.

    Raises:
        FrozenSetMismatch: The champion was scored on other rows.
        ArchiveMismatch: Another archive was evaluated.
        InvalidRequest: The evaluation compares by another metric than the rules name, or there is a champion
            and no look.
    """
    _same_candidate(evaluation, rules, archive)
    verdicts = tuple(_verdicts(evaluation, rules, archive, look, circumstances))
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
        look=look,
        root_run_id=_root(evaluation, rules, look) if verdict == "promote" else None,
        anchor=evaluation.sets.anchor.part if evaluation.sets and verdict == "promote" else None,
    )


def policy_of(rules: GateSpec, circumstances: Circumstances) -> Policy:
    """The policy that pipeline.yaml says; else the one that fits who asked for the training."""
    return rules.policy or ("superiority" if circumstances.drift is None else "after_drift")


def replay(entry: LedgerEntry) -> GateDecision:
    """Decide once more from nothing but a ledger entry's evidence; the same rules give the same decision.

    Raises:
        InvalidRequest: An earlier Perennial decided it, by other rules than there are now.
    """
    evidence = entry.evidence
    if is_of_earlier_rules(entry):
        raise InvalidRequest(
            f"The ledger's entry {entry.sequence} was decided by the rules of an earlier Perennial. Replay "
            "it with the code of that time."
        )
    return decide(
        EvaluationReport.model_validate(evidence["evaluation"]),
        GateSpec.model_validate(evidence["rules"]),
        Archive.model_validate(evidence["archive"]),
        None if evidence["look"] is None else Look.model_validate(evidence["look"]),
        Circumstances.model_validate(evidence.get("circumstances", {})),
    )


def _root(evaluation: EvaluationReport, rules: GateSpec, look: Look | None) -> str | None:
    """The run that later candidates may not be worse than by more than a margin, once this one serves."""
    own, champion = evaluation.candidate.run_id, evaluation.champion
    if champion is None:
        return own
    begins_anew = evaluation.sets is not None and evaluation.sets.world_sha256 is not None
    if meets_another(evaluation) and (rules.policy == "superiority" or begins_anew):
        return own
    found = difference_to_root(evaluation)
    if meets_another(evaluation) and look is not None and found is not None:
        gain, p = kind_of(rules.primary_metric).sign * found.difference, found.p_not_better
        if gain > 0 and p is not None and p <= look.alpha:
            return own
    return evaluation.root.run_id if evaluation.root else champion.run_id


def is_of_earlier_rules(entry: LedgerEntry) -> bool:
    """Whether a Perennial wrote the entry that spent no rate of false promotions."""
    return "look" not in entry.evidence


def meets_another(evaluation: EvaluationReport) -> bool:
    """Whether the candidate is compared with a champion that is not itself.

    It is itself where the tasks of a promoted run are cleared: there is nothing to show, and it may serve on.
    """
    champion = evaluation.champion
    return champion is not None and champion.archive_sha256 != evaluation.candidate.archive_sha256


def _verdicts(
    evaluation: EvaluationReport,
    rules: GateSpec,
    archive: Archive,
    look: Look | None,
    circumstances: Circumstances,
) -> Iterator[RuleVerdict]:
    """Every rule that applies, in the order in which they are told."""
    yield enough_test_rows(evaluation, rules)
    yield from numerical_health(evaluation)
    if evaluation.champion is None:
        yield first_model_is_declared(rules)
    yield from thresholds(evaluation, rules)
    yield from slice_thresholds(evaluation, rules)
    yield gain_over_baseline(evaluation, rules)
    if evaluation.as_trained is not None:
        yield serves_as_trained(evaluation.as_trained)
    if evaluation.preparation is not None:
        yield prepares_as_trained(evaluation.preparation)
    if meets_another(evaluation):
        if look is None:
            raise InvalidRequest(
                "A comparison with a champion needs to know what it may cost: give it a look."
            )
        yield current_test_rows(evaluation)
        yield from _comparisons(evaluation, rules, look, policy_of(rules, circumstances))
        yield from worse_on_no_slice(evaluation, rules)
    # One that is open holds whatever is judged, also what serves already: a promotion would close it.
    if circumstances.incident is not None or (meets_another(evaluation) and evaluation.sets is not None):
        yield label_incident(evaluation, rules, circumstances)
    yield from fair_to_groups(evaluation, rules)
    yield from behaves(evaluation)
    yield latency(evaluation, rules)
    yield archive_size(archive, rules)
    yield from peak_memory(evaluation, rules)


def _comparisons(
    evaluation: EvaluationReport, rules: GateSpec, look: Look, policy: Policy
) -> Iterator[RuleVerdict]:
    """What the policy asks of the candidate beside the champion and the root."""
    if policy == "after_drift":
        yield better_on_newest_rows(evaluation, rules, look)
        yield not_worse_on_anchor(evaluation, rules, look)
        return
    yield (better_than_champion if policy == "superiority" else not_worse_than_root)(evaluation, rules, look)
    if evaluation.sets is not None:
        yield no_harm_on_anchor(evaluation, rules)


def _sentence(evaluation: EvaluationReport, verdict: str, rules: tuple[RuleVerdict, ...]) -> str:
    if verdict == "promote":
        metric, overall = (
            metric_of(evaluation.candidate, evaluation.primary_metric),
            overall_difference(evaluation),
        )
        own = tell_metric(metric) if metric else evaluation.primary_metric
        against = (
            f", {tell_difference(overall, evaluation.primary_metric)} against the champion" if overall else ""
        )
        told = f"Promoted: all {len(rules)} rules passed. {own} on {evaluation.rows} test rows{against}."
        return " ".join([told, *(rule.why for rule in rules if rule.rule.startswith("newest_rows."))])
    failed = [rule for rule in rules if not rule.passed and (verdict == "hold" or rule.blocks == "reject")]
    done = "Rejected" if verdict == "reject" else "Held"
    reasons = " ".join(f"{rule.rule}: {rule.why}" for rule in failed)
    told = f"{done} by {len(failed)} of {len(rules)} rules: {reasons}"
    # A person has to act on it, whatever else is wrong with the candidate.
    incident = [rule for rule in rules if rule.rule == Action.LABEL_INCIDENT and not rule.passed]
    return f"A label incident is open: {incident[0].why} {told}" if incident and failed != incident else told


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
