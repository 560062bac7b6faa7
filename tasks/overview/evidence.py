"""What an entry rests on, as tables and forest plots; a pure function of its evidence.

An entry of an earlier Perennial lacks some of it: what is not there is not shown.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from tasks.contracts import Action, EvaluationReport, LedgerEntry
from tasks.overview.columns import LEVELS, Column, columns_of
from tasks.overview.shapes import part, parts
from tasks.overview.words import Tone
from tasks.provenance.forest import Forest, differences_of, forest, scores_of, slices_of
from tasks.provenance.numbers import tell_number

SAYS: dict[str, Tone] = {"worse": "bad", "good": "good", "open": "warn", "nothing": "calm"}


@dataclass(frozen=True)
class Rule:
    """One rule, check or signal: what was measured, what it was held against, and what that says."""

    name: str
    verdict: str
    tone: Tone
    value: str
    threshold: str
    why: str


@dataclass(frozen=True)
class Plot:
    """A forest plot under its heading."""

    title: str
    told: str
    forest: Forest


@dataclass(frozen=True)
class Evidence:
    """Everything that an entry rests on.

    Attributes:
        facts: Names and values, in their order.
        reports: Where reports of it lie, by what they are.
        missing: Why a part could not be shown; empty where all could.
        then_and_now: The columns of a drift check, those that something was noticed about first.
        not_kept: Why there are none of them; empty for entries of other kinds.
    """

    rules_title: str = ""
    rules: tuple[Rule, ...] = ()
    plots: tuple[Plot, ...] = ()
    columns: tuple[Rule, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    reports: tuple[tuple[str, str], ...] = ()
    missing: str = ""
    then_and_now: tuple[Column, ...] = ()
    not_kept: str = ""


def evidence_of(entry: LedgerEntry) -> Evidence:
    """What an entry rests on, of the kinds that have more to show than their facts."""
    known = entry.evidence
    if entry.action == Action.GATE:
        return _of_gate(known)
    if entry.action == Action.DRIFT:
        return _of_drift(known)
    if entry.action in {Action.RELEASE, Action.AB}:
        return _of_release(known)
    if entry.action == Action.ENVIRONMENT:
        return Evidence("Checks", tuple(_passed(parts(known, "checks"))), facts=tuple(_routes(known)))
    return Evidence(facts=(*_routes(known), *_scalars(known)))


def _of_gate(known: Mapping[str, Any]) -> Evidence:
    decision, archive = part(known, "decision"), part(known, "archive")
    report, missing = _report(known.get("evaluation"))
    rules = tuple(
        Rule(
            name=str(each.get("rule", "")).replace("_", " "),
            verdict="passed" if each.get("passed") else str(each.get("blocks", "failed")),
            tone="good" if each.get("passed") else "warn" if each.get("blocks") == "hold" else "bad",
            value=told(each.get("value")),
            threshold=told(each.get("threshold")),
            why=str(each.get("why", "")),
        )
        for each in parts(decision, "rules")
    )
    facts = {
        "MLflow run": decision.get("run_id"),
        "Archive, SHA-256": archive.get("sha256"),
        "Test rows": report.rows if report else None,
        "Trained because of": known.get("started_by"),
        "First model": "yes" if decision.get("first_model") else None,
        **_cost(part(known, "look")),
    }
    reports = [("Evaluation report", str(report.report_url))] if report else []
    return Evidence(
        "Rules of the gate",
        rules,
        tuple(_plots(report)) if report else (),
        facts=_facts(facts),
        reports=tuple(reports),
        missing=missing,
    )


def _report(found: object) -> tuple[EvaluationReport | None, str]:
    if not found:
        return None, "The entry holds no evaluation."
    try:
        return EvaluationReport.model_validate(found), ""
    except ValidationError as error:
        return (
            None,
            f"Its evaluation cannot be drawn: {error.error_count()} fields are not as they are known now.",
        )


def _plots(report: EvaluationReport) -> Iterator[Plot]:
    scores = forest(scores_of(report))
    if scores:
        yield Plot(
            f"{report.primary_metric} of candidate and champion",
            f"On {report.rows} frozen test rows, with 95 % intervals.",
            scores,
        )
    if differences := forest(differences_of(report), with_zero=True):
        yield Plot(
            "Candidate minus champion",
            "The paired difference on the same rows, with its 95 % interval; the dashed line is none.",
            differences,
        )
    if slices := forest(slices_of(report)):
        yield Plot("Slices", f"{report.primary_metric} of the candidate on each slice.", slices)


def _of_drift(known: Mapping[str, Any]) -> Evidence:
    decision = part(known, "decision")
    signals = [*_auc(decision), *_signals(parts(decision, "signals"))]
    facts = {
        "Window": f"{decision.get('window_start', '')} to {decision.get('window_end', '')}",
        "Predictions in the window": decision.get("window_rows"),
        "Rows of the reference": decision.get("reference_rows"),
        "New labelled rows": decision.get("new_rows"),
        "State of the watch": decision.get("state"),
        "What follows": decision.get("follows"),
        "MLflow run of the champion": decision.get("champion_run_id"),
    }
    then_and_now, not_kept = columns_of(known)
    urls = (
        ("The check's own page: every column then and now, and how days differ", "page_url"),
        ("Evidently's report", "report_url"),
    )
    return Evidence(
        "What was noticed",
        tuple(signals),
        columns=tuple(_columns(decision)),
        facts=_facts(facts),
        reports=tuple((name, str(decision[key])) for name, key in urls if decision.get(key)),
        then_and_now=then_and_now,
        not_kept=not_kept,
    )


def _auc(decision: Mapping[str, Any]) -> Iterator[Rule]:
    """The classifier that tells window from reference, where it was asked."""
    auc, limit = decision.get("domain_auc"), decision.get("threshold")
    if not (isinstance(auc, int | float) and isinstance(limit, int | float)):
        return
    beyond = auc > limit
    why = "ROC AUC of a classifier that tells the window from the reference: 0.5 means it cannot."
    yield Rule(
        "all columns together",
        "beyond" if beyond else "within",
        "warn" if beyond else "good",
        told(auc),
        told(limit),
        why,
    )


def _signals(found: Sequence[Mapping[str, Any]]) -> Iterator[Rule]:
    for each in found:
        level, unit = str(each.get("level", "")), str(each.get("unit") or "")
        name = f"{each.get('subject', '')}: {str(each.get('reason', '')).replace('_', ' ')}"
        value, limit = (
            f"{told(each.get(key))} {unit}".strip() if each.get(key) is not None else ""
            for key in ("value", "threshold")
        )
        yield Rule(name, level, LEVELS.get(level, "calm"), value, limit, str(each.get("why", "")))


def _columns(decision: Mapping[str, Any]) -> Iterator[Rule]:
    """How far each column is from the reference, the furthest first."""
    found = parts(decision, "columns")
    numbers = [each for each in found if isinstance(each.get("distance"), int | float)]
    for each in sorted(numbers, key=lambda one: -one["distance"]):
        yield Rule(
            str(each.get("column")), "", "calm", told(each["distance"]), "", str(each.get("method", ""))
        )


def _of_release(known: Mapping[str, Any]) -> Evidence:
    decision = part(known, "decision")
    checks = parts(decision, "checks") or parts(known, "checks")
    judged = [each for each in checks if "says" in each]
    rules = [
        Rule(
            name=str(each.get("check", "")),
            verdict=str(each["says"]),
            tone=SAYS.get(str(each["says"]), "calm"),
            value=told(each.get("value")),
            threshold=told(each.get("limit")),
            why=str(each.get("why", "")),
        )
        for each in judged
    ]
    plain = _passed([each for each in checks if "says" not in each])
    facts = {
        "Version": known.get("version"),
        "Stage": known.get("at"),
        "Share of the requests": told(known.get("share")),
        "Release": known.get("release_id"),
        **_asked(part(decision, "look")),
    }
    return Evidence("Checks", (*rules, *plain), facts=(*_facts(facts), *_routes(known)))


def _asked(look: Mapping[str, Any]) -> dict[str, object]:
    both = {role: part(look, role) for role in ("candidate", "stable")}
    return {
        f"Requests to the {name}": counted["requests"]
        for name, role in (("candidate", "candidate"), ("version before", "stable"))
        if "requests" in (counted := both[role])
    }


def _passed(checks: Sequence[Mapping[str, Any]]) -> Iterator[Rule]:
    for each in checks:
        passed = bool(each.get("passed"))
        verdict, tone = ("passed", "good") if passed else ("failed", "bad")
        yield Rule(str(each.get("check", "")), verdict, tone, "", "", str(each.get("detail", "")))  # type: ignore[arg-type]


def _routes(known: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What served before, and what is served now, where an entry changed that."""
    for name, key in (("Served before", "before"), ("Serves now", "route")):
        route = known.get(key)
        if isinstance(route, dict) and route.get("model_version"):
            run, sha256 = str(route.get("run_id", "")), str(route.get("archive_sha256", ""))
            yield name, f"version {route['model_version']}, run {run}, archive {sha256[:16]}"


def _cost(look: Mapping[str, Any]) -> dict[str, object]:
    if not look:
        return {}
    return {"Level of the comparison with the champion": told(look.get("alpha"))}


def _scalars(known: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What can be said in a word; the rest is in the entry as JSON."""
    for name, value in known.items():
        if isinstance(value, str | int | float) and value != "":
            yield name.replace("_", " ").capitalize(), told(value)


def _facts(facts: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    return tuple((name, told(value)) for name, value in facts.items() if value is not None and value != "")


def told(value: object) -> str:
    """A number as people read it; a text as it is, and nothing for None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "" if value is None else str(value)
    return f"{value:,}" if isinstance(value, int) else tell_number(value)
