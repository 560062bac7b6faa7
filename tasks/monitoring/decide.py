"""Judge what was found out about a window of predictions.

A pure function of the findings and the model's rules, so it can be replayed from the ledger. Broken data
comes first: it is an incident and never a reason to retrain.
"""

from math import isfinite
from typing import Literal

from pydantic.dataclasses import dataclass

from tasks.contracts import LedgerEntry, Signal, Verdict
from tasks.monitoring.states import next_state
from tasks.monitoring.watch import Check, Memory, Next, recorded_rules
from tasks.spec import FEWEST_ROWS, MonitorSpec

Question = Literal["validity", "input", "target", "skew"]
QUESTIONS: tuple[Question, ...] = ("input", "target", "validity", "skew")
Unjudged = Literal["incident", "too_few"]

ADVICE = (
    "Look at the report's columns; where chance gives more than 1, raise monitor.minimum_window_rows or "
    "monitor.false_alarm_share."
)


LOOK_FOR_THE_FAULT = "Look for the fault where they come from: a training would learn it."

MOST_TOLD = 3
"""So many changes are told in the sentence of a verdict; the others are among its signals."""


@dataclass(frozen=True)
class Findings:
    """What was found out about a window; None for what was
    not looked at, because something before it decided.

    Attributes:
        window_rows: Predictions in the window.
        bad_share: Of them, those that break the suite, in [0, 1].
        usable_rows: Those that do not, without repeated texts.
        reference_rows: Rows of the reference, without repeated texts.
        new_rows: Training rows that joined the table after the champion's snapshot.
        unknown: Why the check cannot tell, beside numbers that are none; sentences.
        new_fields: Features that the champion was not trained on.
        notes: What the reader of the verdict has to know beside it; sentences.
        signals: Everything that was noticed; None in entries of an earlier Perennial, which decided on the
            classifier's AUC alone.
    """

    window_rows: int
    bad_share: float | None = None
    usable_rows: int | None = None
    reference_rows: int | None = None
    domain_auc: float | None = None
    null_auc: float | None = None
    new_rows: int = 0
    new_fields: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    signals: tuple[Signal, ...] | None = None


def judge(found: Findings, rules: MonitorSpec) -> Check:
    """What a check found, all its signals together; what follows is decided by `states.next_state`.

    A pure function, so that it can be replayed from the ledger.
    """
    if (invalid := _not_valid(found, rules)) is not None:
        return Check(
            *invalid, question=_question(_at(found, "incident")) if invalid[0] == "incident" else None
        )
    if (unknown := _not_numbers(found)) or found.unknown:
        return Check("cannot_tell", _cannot_tell(found, unknown))
    if alarms := _of_drift(found):
        return Check("alarm", _told(alarms), _question(alarms), found.new_rows, found.new_fields)
    if (few := _too_few(found, rules)) is not None:
        return Check("too_few", few)
    if suspicions := _at(found, "suspicious"):
        return Check("suspicious", _told(suspicions), _question(suspicions), found.new_rows, found.new_fields)
    why = f"The {found.window_rows} predictions look like what the champion knows.{_small(found)}"
    return Check("none", why, None, found.new_rows, found.new_fields)


def replay(entry: LedgerEntry) -> tuple[Verdict, str]:
    """Decide once more from nothing but a ledger entry's evidence.

    That is what was found, what the ledger remembered, and the rules. An entry of an earlier Perennial, which
    kept no signals, is decided as it did.
    """
    evidence = entry.evidence
    found, rules = Findings(**evidence["findings"]), recorded_rules(evidence["rules"])
    if found.signals is None:
        return decide_without_signals(found, rules)
    step = next_state(judge(found, rules), Memory(**evidence["memory"]), rules)
    return step.verdict, in_full(step, found)


def in_full(step: Next, found: Findings) -> str:
    """Why, with what the reader has to know beside it."""
    return " ".join([step.why, *found.notes])


def decide_without_signals(found: Findings, rules: MonitorSpec) -> tuple[Verdict, str]:
    """The verdict as an earlier Perennial gave it: on the domain classifier's AUC alone."""
    verdict, why = _without_signals(found, rules)
    return verdict, " ".join([why, *found.notes])


def _without_signals(found: Findings, rules: MonitorSpec) -> tuple[Verdict, str]:
    if (invalid := _not_valid(found, rules)) is not None:
        return invalid
    if (unknown := _not_numbers(found)) or found.unknown:
        return "cannot_tell", _cannot_tell(found, unknown)
    if (few := _too_few(found, rules)) is not None:
        return "too_few", few
    return _decide_on_auc(found, rules, found.domain_auc or 0.0, found.null_auc or 0.0)


def _question(signals: list[Signal]) -> Question:
    """What is asked about first: of inputs that changed, the training learns more than of anything else."""
    return min((signal.question for signal in signals), key=QUESTIONS.index, default="validity")


def _not_valid(found: Findings, rules: MonitorSpec) -> tuple[Unjudged, str] | None:
    """The verdict on a window that is not judged on its distribution; None for one that is."""
    incidents = _at(found, "incident")
    if found.bad_share is not None and found.bad_share > rules.maximum_bad_share:
        broken = (
            f"{found.bad_share:.1%} of {found.window_rows} predictions were asked with features that break "
            f"the suite, more than the {rules.maximum_bad_share:.1%} of monitor.maximum_bad_share."
        )
        told = [_told(incidents)] if incidents else []
        return "incident", " ".join([broken, *told, LOOK_FOR_THE_FAULT])
    if incidents:
        return "incident", f"{_told(incidents)} {LOOK_FOR_THE_FAULT}"
    if found.window_rows < rules.minimum_window_rows and not _of_drift(found):
        few = (
            f"{found.window_rows} predictions are too few to judge: {rules.minimum_window_rows} are asked "
            "for."
        )
        doubts = [one for one in _at(found, "suspicious") if one.question == "validity"]
        return "too_few", " ".join([few, _told(doubts)]).strip()
    return None


def _too_few(found: Findings, rules: MonitorSpec) -> str | None:
    """Why there are too few rows to compare; None where there are enough."""
    least = max(rules.minimum_window_rows, FEWEST_ROWS)
    if (found.usable_rows or 0) < least:
        return (
            f"Of {found.window_rows} predictions only {found.usable_rows or 0} are whole and different: too "
            f"few to judge, {least} are asked for."
        )
    if found.domain_auc is None or found.null_auc is None:
        return (
            f"The champion's validation part has only {found.reference_rows or 0} different rows, too few to "
            f"compare with: {FEWEST_ROWS} are needed. Raise data.split.validation_share."
        )
    return None


def _of_drift(found: Findings) -> list[Signal]:
    """What is sure of the input or the target. What was kept out at the door is told, and trains none."""
    return [signal for signal in _at(found, "alarm") if signal.question in {"input", "target"}]


def _small(found: Findings) -> str:
    """How many columns have changed by less than matters; other notes are no changes."""
    names = {note.subject for note in _at(found, "note") if note.question == "input"}
    if not names:
        return ""
    told = "1 column has" if len(names) == 1 else f"{len(names)} columns have"
    return f" {told} certainly changed, by too little to matter."


def _at(found: Findings, level: str) -> list[Signal]:
    return [signal for signal in found.signals or () if signal.level == level]


def _told(signals: list[Signal]) -> str:
    """The gravest of them in words, and how many there are beside."""
    more = len(signals) - MOST_TOLD
    beside = [f"{more} more changes are among the signals."] if more > 0 else []
    return " ".join([*(signal.why for signal in signals[:MOST_TOLD]), *beside])


def _cannot_tell(found: Findings, not_numbers: list[str]) -> str:
    numbers = [f"{' and '.join(not_numbers)}, which is not a number that it can be."] if not_numbers else []
    advice = [ADVICE] if not_numbers else []
    return " ".join(
        [
            f"The check of {found.window_rows} predictions cannot tell:",
            *numbers,
            *found.unknown,
            *advice,
        ]
    )


def _not_numbers(found: Findings) -> list[str]:
    """What was measured and is not a number, or not one that it can be."""
    measured = {
        "the share of broken rows": found.bad_share,
        "the classifier's ROC AUC": found.domain_auc,
        "the ROC AUC that chance gives": found.null_auc,
    }
    return [
        f"{name} is {value:.4g}"
        for name, value in measured.items()
        if value is not None and not (isfinite(value) and 0 <= value <= 1)
    ]


def _decide_on_auc(found: Findings, rules: MonitorSpec, auc: float, null_auc: float) -> tuple[Verdict, str]:
    threshold = max(rules.domain_auc, null_auc)
    compared = min(found.usable_rows or 0, rules.maximum_rows)
    told = (
        f"A classifier tells {compared} predictions from the champion's reference with a ROC AUC of {auc:.3f}"
    )
    limit = (
        "the floor of monitor.domain_auc"
        if rules.domain_auc >= null_auc
        else "what chance gives at these sizes"
    )
    if not auc > threshold:
        return (
            "quiet",
            f"{told}, not above {threshold:.3f}, {limit}: the traffic looks like what the champion knows.",
        )
    if found.new_rows < rules.minimum_new_rows:
        return "wait", (
            f"{told}, above {threshold:.3f}, {limit}: the traffic has changed. But only {found.new_rows} new "
            f"labelled rows joined the table since, and {rules.minimum_new_rows} are asked for: a training "
            "would learn nothing new yet."
        )
    return "retrain", (
        f"{told}, above {threshold:.3f}, {limit}: the traffic has changed, and there are {found.new_rows} "
        "new labelled rows to learn from."
    )
