"""How many rows a held candidate waits for: a function of the ledger's evidence alone."""

from collections.abc import Iterator
from math import ceil
from typing import Literal, NamedTuple

from tasks.contracts import EvaluationReport, LedgerEntry, Look, PairedDifference, RuleVerdict
from tasks.gate.rules.anchor import deciding_anchor
from tasks.gate.rules.non_inferiority import difference_to_root
from tasks.gate.rules.reports import overall_difference
from tasks.gate.rules.superiority import needed
from tasks.spec import GateSpec, kind_of

MORE = 1.2
"""How many times as many rows it takes at least: a look at hardly more costs as much as one at many."""

Set = Literal["test", "newest"]


class Awaited(NamedTuple):
    """So many rows of the set, for the rule."""

    rule: str
    rows: int
    of: Set


def awaited_rows(entry: LedgerEntry) -> tuple[Awaited, ...] | None:
    """What each rule that held the candidate waits for; None where the candidate was not held, and where one
    of them waits for no rows: more do not change it, or there were so many that what matters would have been
    shown in four of five cases.
    """
    evidence = entry.evidence
    if entry.after != "hold" or not evidence.get("look"):
        return None
    evaluation = EvaluationReport.model_validate(evidence["evaluation"])
    rules, look = GateSpec.model_validate(evidence["rules"]), Look.model_validate(evidence["look"])
    found = list(_each(evidence["decision"]["rules"], evaluation, rules, look))
    return None if None in found else tuple(each for each in found if each is not None)


def _each(
    verdicts: list[dict[str, object]], evaluation: EvaluationReport, rules: GateSpec, look: Look
) -> Iterator[Awaited | None]:
    for verdict in map(RuleVerdict.model_validate, verdicts):
        if not verdict.passed:
            yield _of(verdict.rule, evaluation, rules, look)


def _of(rule: str, evaluation: EvaluationReport, rules: GateSpec, look: Look) -> Awaited | None:
    name, newest = rule.partition(".")[0], evaluation.sets.newest if evaluation.sets else None
    found: PairedDifference | None
    if name == "superiority":
        found, slack, of = overall_difference(evaluation), None, "test"
    elif name == "newest_rows":
        found, slack, of = newest.to_champion if newest else None, None, "newest"
    elif name == "non_inferiority":
        found, slack, of = difference_to_root(evaluation), rules.margin, "test"
    elif name == "anchor":
        score = deciding_anchor(evaluation)
        own = score and (score.to_champion if evaluation.root is None else score.to_root)
        found, slack, of = own or difference_to_root(evaluation), rules.most_lost_on_anchor, "test"
    else:
        return None
    if found is None:
        return None
    gain = kind_of(rules.primary_metric).sign * found.difference
    rows = needed(found, max(gain, rules.margin) if slack is None else gain + slack, look)
    if rows is None or rows <= found.rows:
        return None
    return Awaited(rule, ceil(max(rows, MORE * found.rows)), "newest" if of == "newest" else "test")
