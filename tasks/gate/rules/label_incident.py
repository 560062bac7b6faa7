"""Does the champion fall on the new labels as only wrong labels or another world explain?

New labels may be wrong, by an accident or by intent, or the world may have changed; the rows do not say which
of the two. So a person does.
"""

from math import isfinite, sqrt

from tasks.contracts import Action, Circumstances, EvaluationReport, Metric, RuleVerdict, SetScore
from tasks.gate.rules.anchor import deciding_anchor, why_not
from tasks.gate.rules.reports import tell_metric, tell_value
from tasks.gate.rules.superiority import REACH
from tasks.spec import GateSpec, kind_of

RULE = Action.LABEL_INCIDENT.value
KEPT = 0.25
"""After a drift of the inputs, so much of its advantage over labels dealt out at random a champion keeps."""
ANSWER = (
    "A person has to say whether the labels are wrong or the world is another: the DAG label_incident_model."
)


def label_incident(
    evaluation: EvaluationReport, rules: GateSpec, circumstances: Circumstances
) -> RuleVerdict:
    """Hold where the champion is surely worse on the new rows than on the anchor, by more than
    `anchor_margin`: a smaller fall is what every model suffers as it gets older.

    Where the drift check found that the inputs are others, a fall is what that leads to; an incident is then
    only that the champion has nearly nothing in common with the labels: surely less than
    `KEPT` of its advantage over the same labels dealt out at random. So it is where the anchor cannot decide,
    with no advantage at all.

    Args:
        circumstances: Whether it did, of this champion; and an earlier incident, which stays one until it is
            answered.
    """
    suspect = evaluation.sets.suspect if evaluation.sets else None
    rows, least = suspect.rows if suspect else 0, rules.minimum_slice_rows
    if circumstances.incident is not None:
        why = f"The label incident of the ledger's entry {circumstances.incident} is not answered. {ANSWER}"
        return _verdict(None, None, passed=False, why=why)
    if suspect is None or rows < least:
        why = (
            f"{rows} test rows have labels that the champion's snapshot has not: too few to tell anything of."
        )
        return _verdict(None, None, passed=True, why=why)
    if suspect.champion is None or not _is_told(suspect.champion):
        why = f"The champion's {rules.primary_metric} is not defined on the {rows} new rows."
        return _verdict(None, None, passed=False, why=why)
    anchor = deciding_anchor(evaluation)
    before = anchor.champion if anchor is not None else None
    if before is not None and not _is_told(before):
        why = f"The champion's {rules.primary_metric} is not defined on the anchor."
        return _verdict(None, None, passed=False, why=why)
    if before is not None and circumstances.drifted is None:
        return _by_fall(suspect.champion, before, rules, rows)
    return _by_advantage(suspect, suspect.champion, anchor, rules, evaluation, circumstances)


def _by_fall(new: Metric, old: Metric, rules: GateSpec, rows: int) -> RuleVerdict:
    sign = kind_of(rules.primary_metric).sign
    error = sqrt(_error(new) ** 2 + _error(old) ** 2)
    margin = rules.most_lost_on_anchor
    fallen = sign * (new.value - old.value) + REACH * error < -margin
    told = f"{tell_metric(new)} on the {rows} new rows, and {tell_metric(old)} on the anchor"
    if fallen:
        why = f"The champion has {told}: surely worse by more than {margin:g}. {ANSWER}"
    else:
        why = f"The champion has {told}: not surely worse by more than {margin:g}."
    return _verdict(new.value, old.value - sign * margin, passed=not fallen, why=why)


def _by_advantage(
    suspect: SetScore,
    new: Metric,
    anchor: SetScore | None,
    rules: GateSpec,
    evaluation: EvaluationReport,
    circumstances: Circumstances,
) -> RuleVerdict:
    name, sign = rules.primary_metric, kind_of(rules.primary_metric).sign
    dealt = suspect.at_random
    if dealt is None or not isfinite(dealt):
        why = f"{name} of labels dealt out at random is not defined on the {suspect.rows} new rows."
        return _verdict(None, None, passed=False, why=why)
    expected = 0.0
    if anchor is not None and anchor.champion is not None and anchor.at_random is not None:
        expected = max(0.0, KEPT * sign * (anchor.champion.value - anchor.at_random))
    most = max(sign * new.low, sign * new.high) - sign * dealt
    fallen = most < expected
    told = (
        f"{tell_metric(new)} on the {suspect.rows} new rows, where the same labels dealt out at random give "
        f"{tell_value(dealt, name)}"
    )
    if fallen:
        why = f"The champion has {told}: its answers say nearly nothing of these labels. {ANSWER}"
    elif circumstances.drifted is not None:
        why = f"The champion has {told}: what it lost, the drift of the inputs explains."
    else:
        why = f"The champion has {told}. {why_not(evaluation)} So a smaller fall cannot be told."
    return _verdict(new.value, dealt + sign * expected, passed=not fallen, why=why)


def _is_told(metric: Metric) -> bool:
    return all(isfinite(each) for each in (metric.value, metric.low, metric.high))


def _error(metric: Metric) -> float:
    return (metric.high - metric.low) / 2 / REACH


def _verdict(value: float | None, threshold: float | None, *, passed: bool, why: str) -> RuleVerdict:
    return RuleVerdict(rule=RULE, value=value, threshold=threshold, passed=passed, blocks="hold", why=why)
