"""Is the candidate better than a simple baseline?"""

from typing import Literal

from tasks.contracts import EvaluationReport, Metric, RuleVerdict
from tasks.gate.rules.reports import is_told, metric_of, tell_metric, tell_reasons, tell_value
from tasks.spec import GateSpec, kind_of


def gain_over_baseline(evaluation: EvaluationReport, rules: GateSpec) -> RuleVerdict:
    """By the limit of the candidate's interval that is nearer, so that luck on few rows is no gain; against a
    linear model, which is right and wrong on much the same rows, by that of the paired difference.
    """
    rule, least, name = "gain_over_baseline", rules.minimum_gain_over_baseline, evaluation.baseline.name
    own = metric_of(evaluation.candidate, rules.primary_metric)
    simple = metric_of(evaluation.baseline, rules.primary_metric)
    gains = _gains(own, simple, evaluation, rules) if own and simple else None
    if own is None or simple is None or gains is None:
        metric = rules.primary_metric if own is None or simple is None else "The difference"
        reasons = tell_reasons(
            rules.primary_metric, candidate=evaluation.candidate, baseline=evaluation.baseline
        )
        why = f"{metric} is not defined on these rows{reasons}, so no gain over {name} can be shown."
        blocks: Literal["reject", "hold"] = "reject" if evaluation.rows else "hold"
        return RuleVerdict(rule=rule, value=None, threshold=least, passed=False, blocks=blocks, why=why)
    gain, sure = gains
    passed = sure >= least and sure > 0
    if passed and least == 0:
        compared = "is better than"
    elif passed:
        compared = f"is at least {least:g} better than"
    elif gain <= 0:
        compared = "is no better than"
    elif gain >= least:
        by = f"{least:g} better" if least else "better"
        compared = f"may be {by} only by luck, because the limit of its interval is not, than"
    else:
        compared = f"is not at least {least:g} better than"
    return RuleVerdict(
        rule=rule,
        value=gain,
        threshold=least,
        passed=passed,
        blocks="hold" if gain > 0 and gain >= least else "reject",
        why=f"{tell_metric(own)} {compared} the {tell_value(simple.value, simple.name)} of {name}.",
    )


def _gains(
    own: Metric, simple: Metric, evaluation: EvaluationReport, rules: GateSpec
) -> tuple[float, float] | None:
    """The gain, and the least that it probably is."""
    kind = kind_of(rules.primary_metric)
    if rules.baseline == "linear":
        found = evaluation.baseline_difference
        if found is None or not is_told(found):
            return None
        return kind.sign * found.difference, min(kind.sign * found.low, kind.sign * found.high)
    nearest = own.low if kind.larger_is_better else own.high
    return kind.sign * (own.value - simple.value), kind.sign * (nearest - simple.value)
