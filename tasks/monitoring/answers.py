"""What follows an alarm: a policy of named rules in their order, of which the first that applies decides.

Pure functions of the check, of what the ledger remembers and of the model's rules.
"""

from collections.abc import Callable
from typing import NamedTuple

from tasks.contracts import Follows, Verdict
from tasks.monitoring.watch import Case, Check, Memory
from tasks.spec import MonitorSpec

Applies = Callable[[Case], bool]
Says = Callable[[Case], str]

SECONDS_APART = 300.0
"""Clocks of machines that work together differ by less; more means that one was set back."""


class Answer(NamedTuple):
    """What follows an alarm where the rule applies.

    Attributes:
        reason: Why there is the rule.
        says: The sentence for people.
    """

    name: str
    reason: str
    applies: Applies
    follows: Follows
    verdict: Verdict
    says: Says


def is_on_probation(at: Case) -> bool:
    """Whether the champion came from a retrain that few checks have looked at since."""
    checks = at.memory.checks_since_retrain
    return checks is not None and checks < at.rules.probation_checks


def _seconds(rules: MonitorSpec) -> float:
    return rules.retrain_budget.seconds or float("inf")


BROKEN = Answer(
    "a training would learn the fault",
    "Broken data, and rows that serving prepares otherwise, are mended where they come from.",
    lambda at: at.check.question in {"validity", "skew"},
    "nothing",
    "incident",
    lambda _: "Look for the fault where it comes from: no training answers it.",
)
ONE_AT_A_TIME = Answer(
    "one training at a time",
    "What it brings is not known yet.",
    lambda at: at.memory.open_training is not None,
    "nothing",
    "wait",
    lambda at: f"The training {at.memory.open_training} has not ended: its candidate comes first.",
)
BREAKER = Answer(
    "the breaker is open",
    "Whatever makes candidate after candidate useless, one more training does not mend it.",
    lambda at: at.memory.failures_in_a_row >= at.rules.breaker_after,
    "page",
    "stopped",
    lambda at: (
        f"The breaker is open: the candidates of the last {at.memory.failures_in_a_row} retrains were "
        f"refused or did not help, and monitor.breaker_after is {at.rules.breaker_after}. Nothing is "
        "retrained until a person has looked why and closes it (`perennial breaker "
        f'{at.memory.model} close --why "..."`).'
    ),
)
TOO_FEW_LABELS = Answer(
    "too few labels",
    "A training on the rows that the champion has seen gives the champion again.",
    lambda at: at.check.new_rows < at.rules.minimum_new_rows,
    "nothing",
    "wait",
    lambda at: (
        f"But only {at.check.new_rows} new labelled rows joined the table since the champion's snapshot, and "
        f"{at.rules.minimum_new_rows} are asked for: a training would learn nothing new yet."
    ),
)
TOO_SOON = Answer(
    "too soon",
    "What the retrain before has changed shows only after some time.",
    lambda at: (
        at.memory.seconds_since_grant is not None
        and (
            at.memory.seconds_since_grant < -SECONDS_APART
            or max(0.0, at.memory.seconds_since_grant) < at.rules.cooldown_seconds
        )
    ),
    "nothing",
    "wait",
    lambda at: _too_soon(at.memory.seconds_since_grant or 0.0, at.rules),
)
BUDGET = Answer(
    "the budget is spent",
    "A source that comes and goes would else be followed for ever, at any price.",
    lambda at: (
        at.memory.runs >= at.rules.retrain_budget.runs
        or at.memory.seconds + at.memory.dearest_seconds > _seconds(at.rules)
    ),
    "page",
    "stopped",
    lambda at: _spent(at.memory, at.rules),
)
NEW_FIELDS = Answer(
    "there are new fields",
    "A training on the same features does not learn what is new: a person changes the model.",
    lambda at: bool(at.check.new_fields),
    "rebuild",
    "ask",
    lambda at: (
        f"The data has {_named(at.check.new_fields)}, which the champion does not know: a full rebuild is "
        "asked for. Add it to data.features where it tells something, or approve a training without it."
    ),
)
EROSION = Answer(
    "light retrains do not last",
    "Where each retrain is overtaken by the next alarm, the model itself does not fit any more.",
    lambda at: at.memory.light_in_a_row >= at.rules.rebuild_after,
    "rebuild",
    "ask",
    lambda at: (
        f"The last {at.memory.light_in_a_row} retrains were promoted and did not last, and "
        f"monitor.rebuild_after is {at.rules.rebuild_after}: a full rebuild is asked for. Look at features, "
        "model and data, or approve a training of the model as it is."
    ),
)
ON_PROBATION = Answer(
    "the champion is on probation",
    "A retrain that is followed by an alarm at once has not helped, and one more may not either.",
    is_on_probation,
    "ask",
    "ask",
    lambda at: (
        f"The champion is on probation: it came from a retrain, of which this is check "
        f"{(at.memory.checks_since_retrain or 0) + 1} of {at.rules.probation_checks}. A person says whether "
        "it is trained again."
    ),
)
NOTHING_SPEAKS_AGAINST_IT = Answer(
    "nothing speaks against a training",
    "There is something new to learn, and room for it.",
    lambda _: True,
    "retrain",
    "retrain",
    lambda at: f"There are {at.check.new_rows} new labelled rows to learn from.",
)

POLICY = (
    BROKEN,
    ONE_AT_A_TIME,
    BREAKER,
    TOO_FEW_LABELS,
    TOO_SOON,
    BUDGET,
    NEW_FIELDS,
    EROSION,
    ON_PROBATION,
    NOTHING_SPEAKS_AGAINST_IT,
)
AT_THE_GRANT = (BREAKER, TOO_FEW_LABELS, BUDGET)
"""What a request is held to once more: others may have been granted since the decision."""

WOULD_TRAIN: frozenset[Follows] = frozenset({"ask", "rebuild", "retrain"})


def answer(at: Case) -> Answer:
    """What follows an alarm in the model's mode."""
    found = next(each for each in POLICY if each.applies(at))
    if at.rules.mode == "suggest" and found.follows in WOULD_TRAIN:
        return found._replace(follows="suggest", verdict="suggest")
    if at.rules.mode == "approve" and found.follows == "retrain":
        return found._replace(follows="ask", verdict="ask")
    return found


def in_words(given: Answer, at: Case) -> str:
    """The answer's sentence, with what the mode makes of it."""
    said = given.says(at)
    if given.follows == "suggest":
        return f"{said} monitor.mode is suggest, so nothing is requested. Start a training if you agree."
    if given.follows == "ask" and given.name == NOTHING_SPEAKS_AGAINST_IT.name:
        return f"{said} monitor.mode is approve: a person says whether it is trained."
    return said


def why_not_granted(new_rows: int, memory: Memory, rules: MonitorSpec) -> str | None:
    """Why a retrain that a drift decision asks for is refused; None where nothing here speaks against it.

    Args:
        new_rows: Labelled rows that the decision counted.
    """
    at = Case(Check("alarm", "", new_rows=new_rows), memory, rules)
    return next((each.says(at) for each in AT_THE_GRANT if each.applies(at)), None)


def _too_soon(since: float, rules: MonitorSpec) -> str:
    if since < -SECONDS_APART:
        return (
            f"By this machine's clock the last retrain was granted {-since:.0f} s in the future: the clock "
            "was set back. Set it right; until then nothing is retrained by itself."
        )
    return (
        f"The last retrain was granted {max(0.0, since):.0f} s ago, and monitor.cooldown_seconds is "
        f"{rules.cooldown_seconds:g}."
    )


def _spent(memory: Memory, rules: MonitorSpec) -> str:
    budget = rules.retrain_budget
    then = "Nothing is retrained until they are older. Start a training by hand, or raise the budget."
    if not budget.runs:
        return "monitor.retrain_budget.runs is 0: nothing is retrained by itself. Start a training by hand."
    if memory.runs >= budget.runs:
        return (
            f"The budget is spent: {memory.runs} retrains were granted in the last 30 days, and "
            f"monitor.retrain_budget.runs is {budget.runs}. {then}"
        )
    return (
        f"The budget is spent: the retrains of the last 30 days cost {memory.seconds:.0f} s, another one may "
        f"cost {memory.dearest_seconds:.0f} s, and monitor.retrain_budget.seconds is {budget.seconds:g}. "
        f"{then}"
    )


def _named(fields: tuple[str, ...]) -> str:
    return f"the new field {fields[0]!r}" if len(fields) == 1 else f"the new fields {', '.join(fields)}"
