"""In which state the watch of a model is: quiet, suspicious, alarm, retraining, probation.

A policy of named rules in their order, of which the first that applies decides: one for what happened since
the check before, one for what this check found. What follows an alarm is `tasks.monitoring.answers`. All are
pure functions of the check, of what the ledger remembers and of the model's rules, so that a decision can be
replayed from its entry.

Suspicion never adds up to an alarm: the detectors sum their evidence over windows themselves, and to count it
once more would spend the budget of false alarms twice. N of M serves the way back: an alarm ends with `CLEAR`
quiet checks among the last `AMONG`, so that a source which comes and goes is one alarm and not many.
"""

from collections.abc import Callable
from typing import NamedTuple, get_args

from tasks.contracts import LedgerEntry, State, Verdict
from tasks.monitoring.answers import answer, in_words, is_on_probation
from tasks.monitoring.opening import opening
from tasks.monitoring.watch import UNJUDGED, Case, Check, Level, Memory, Next, recorded_rules
from tasks.spec import MonitorSpec

CLEAR, AMONG = 3, 4
ANY: frozenset[State] = frozenset(get_args(State))
WATCHING: frozenset[State] = frozenset({"quiet", "suspicious", "alarm"})


class Rule(NamedTuple):
    """One way from state to state.

    Attributes:
        leaves: The states that it is a way from.
        enters: The state that it leads to; None where the state stays.
        why: Why there is the rule.
    """

    name: str
    leaves: frozenset[State]
    enters: State | None
    why: str
    applies: Callable[[Case], bool]


SINCE_THE_CHECK_BEFORE = (
    Rule(
        "a training has begun",
        ANY,
        "retraining",
        "Until its candidate is judged, the champion's alarm is answered.",
        lambda at: at.memory.open_training is not None,
    ),
    Rule(
        "a retrain was promoted",
        ANY,
        "probation",
        "Whether it helped shows in the checks that follow.",
        is_on_probation,
    ),
    Rule(
        "the probation is over",
        frozenset({"probation"}),
        "quiet",
        "The checks since the retrain gave nothing to ask about, or a person was asked.",
        lambda _: True,
    ),
    Rule(
        "the training came to nothing",
        frozenset({"retraining"}),
        "alarm",
        "What it should have answered is as it was.",
        lambda _: True,
    ),
)

AT_THIS_CHECK = (
    Rule(
        "nothing was judged",
        ANY,
        None,
        "A broken, small or unmeasured window says nothing of the model.",
        lambda at: at.check.level in UNJUDGED,
    ),
    Rule(
        "it is being retrained, or on probation",
        ANY - WATCHING,
        None,
        "What ends these is no check's level: the training, and the number of checks.",
        lambda _: True,
    ),
    Rule(
        "an alarm",
        WATCHING,
        "alarm",
        "A detector's evidence has passed its threshold.",
        lambda at: at.check.level == "alarm",
    ),
    Rule(
        "a suspicion",
        frozenset({"quiet", "suspicious"}),
        "suspicious",
        "The evidence is on its way, and may turn back.",
        lambda at: at.check.level == "suspicious",
    ),
    Rule(
        "not over yet",
        frozenset({"suspicious", "alarm"}),
        None,
        f"It ends with {CLEAR} quiet checks among the last {AMONG}.",
        lambda at: not _is_over(at),
    ),
    Rule(
        "quiet",
        WATCHING,
        "quiet",
        "The traffic looks like what the champion knows.",
        lambda _: True,
    ),
)


SAID: dict[Level, Verdict] = {
    "suspicious": "suspicious",
    "incident": "incident",
    "cannot_tell": "cannot_tell",
    "too_few": "too_few",
}
NOT_OVER = f"What was found before is over after {CLEAR} quiet checks among {AMONG}."


def next_state(check: Check, memory: Memory, rules: MonitorSpec) -> Next:
    """The state after a check, what follows, and why."""
    at = Case(check, memory, rules)
    before, happened = _move(SINCE_THE_CHECK_BEFORE, memory.state, at)
    state, found = _move(AT_THIS_CHECK, before, at)
    named = (*happened, *found)
    if check.level == "alarm":
        given = answer(at)
        why = f"{opening(check, given.verdict)} {check.why} {in_words(given, at)}"
        return Next(state, given.verdict, given.follows, why, (*named, given.name))
    verdict = _verdict(check, state)
    lasts = (verdict, check.level) == ("suspicious", "none")
    told = [opening(check, verdict), check.why, *([NOT_OVER] if lasts else [])]
    return Next(state, verdict, "nothing", " ".join(told), named)


def replay(entry: LedgerEntry) -> Next:
    """What comes of a check once more, from nothing but its ledger entry's evidence."""
    evidence = entry.evidence
    return next_state(
        Check(**evidence["check"]), Memory(**evidence["memory"]), recorded_rules(evidence["rules"])
    )


def _move(policy: tuple[Rule, ...], state: State, at: Case) -> tuple[State, tuple[str, ...]]:
    """The state that the first rule of a policy leads to, and its name; as it is where none applies."""
    for rule in policy:
        if state in rule.leaves and rule.applies(at):
            return rule.enters or state, (rule.name,)
    return state, ()


def _is_over(at: Case) -> bool:
    newest = (at.check.level, *at.memory.levels)[:AMONG]
    return at.check.level == "none" and newest.count("none") >= CLEAR


def _verdict(check: Check, state: State) -> Verdict:
    """What is said of a check that is no alarm."""
    if check.level == "none":
        return "suspicious" if state in {"suspicious", "alarm"} else "quiet"
    return SAID[check.level]
