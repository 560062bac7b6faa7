"""Decide whether the labels of a batch may be trained on, from what was measured of them.

Plain data in, plain data out: a verdict can be replayed from its entry in the ledger.
"""

from collections.abc import Iterator

from tasks.contracts import BatchFindings, BatchVerdict
from tasks.spec import LabelCheckSpec

BATCHES_OF_A_YEAR = 365
CHECKS = 4
SURE_OF_HALF = 0.05
"""Rows that tell half as much as usual look this bad by chance with this probability."""


def level(rules: LabelCheckSpec) -> float:
    """The level of one check of one batch: the declared rate, shared by the checks of 365 batches."""
    return rules.false_alarm_rate / BATCHES_OF_A_YEAR / CHECKS


def decide(findings: BatchFindings, rules: LabelCheckSpec) -> BatchVerdict:
    """Judge a batch: quarantined where one check is sure, `cannot_tell` where none could be made."""
    if faults := list(_faults(findings, rules)):
        return BatchVerdict(findings=findings, state="quarantined", why=_sentence(findings, faults))
    untold = "; ".join(findings.untold)
    made = (findings.share, findings.noise, findings.agreement, findings.association)
    if all(finding is None for finding in made):
        return BatchVerdict(
            findings=findings,
            state="cannot_tell",
            why=f"The labels of the batch {findings.batch_id} cannot be judged: {untold}. It is trained on.",
        )
    left = f" Not judged: {untold}." if untold else ""
    why = f"The labels of the {findings.rows} rows of the batch {findings.batch_id} are as expected.{left}"
    return BatchVerdict(findings=findings, state="passed", why=why)


def _sentence(findings: BatchFindings, faults: list[str]) -> str:
    return (
        f"The batch {findings.batch_id} ({findings.rows} rows) is quarantined and not trained on: "
        f"{'; '.join(faults)}. Look at its labels, then release or confirm it: DAG decide_batch_model."
    )


def _faults(findings: BatchFindings, rules: LabelCheckSpec) -> Iterator[str]:
    most = level(rules)
    share, noise = findings.share, findings.noise
    agreement, association = findings.agreement, findings.association
    if share is not None and share.p_value < most:
        yield (
            f"the label {share.label} has the share {share.share:.3f}, and {share.batches} earlier batches "
            f"lead to expect {share.low:.3f} to {share.high:.3f}"
        )
    if noise is not None and noise.p_value < most:
        yield (
            f"about {noise.share:.0%} of its labels seem wrong (of {noise.rows} rows looked at), surely more "
            f"than the {rules.maximum_noise_share:.0%} of data.label_check.maximum_noise_share"
        )
    if agreement is not None and agreement.p_value < most:
        yield (
            f"its labels agree with the champion's answers by {agreement.batch:.2f} (1 fully, 0 by chance), "
            f"surely less than half of the {agreement.before:.2f} that batches before it do on average"
        )
    if association is not None and association.p_value < most and association.p_half < SURE_OF_HALF:
        yield (
            f"its rows tell its labels by {association.batch:.2f} (1 fully, 0 by chance), surely less "
            f"than in the {association.batches} batches before it, {association.before:.2f} on average: the "
            "labels look shuffled, or joined to other rows"
        )
