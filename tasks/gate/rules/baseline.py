"""Is the candidate better than a simple baseline?"""

from typing import Literal

from tasks.contracts import EvaluationReport, RuleVerdict
from tasks.gate.rules.reports import metric_of, tell_metric, tell_reasons, tell_value
from tasks.spec import GateSpec, kind_of


def gain_over_baseline(evaluation: EvaluationReport, rules: GateSpec) -> RuleVerdict:
    """By the limit of the candidate's interval that is nearer, so that luck on few rows is no gain."""
    rule, least, name = "gain_over_baseline", rules.minimum_gain_over_baseline, evaluation.baseline.name
    own = metric_of(evaluation.candidate, rules.primary_metric)
    simple = metric_of(evaluation.baseline, rules.primary_metric)
    if own is None or simple is None:
        metric = rules.primary_metric
        reasons = tell_reasons(metric, candidate=evaluation.candidate, baseline=evaluation.baseline)
        why = f"{metric} is not defined on these rows{reasons}, so no gain over {name} can be shown."
        blocks: Literal["reject", "hold"] = "reject" if evaluation.rows else "hold"
        return RuleVerdict(rule=rule, value=None, threshold=least, passed=False, blocks=blocks, why=why)
    kind = kind_of(rules.primary_metric)
    nearest = own.low if kind.larger_is_better else own.high
    gain, sure = (kind.sign * (value - simple.value) for value in (own.value, nearest))
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
