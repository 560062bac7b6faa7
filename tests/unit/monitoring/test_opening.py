"""The sentence of a drift check begins with what it comes to and what follows, and the numbers come after."""

from dataclasses import replace
from typing import Any, get_args

import pytest

from tasks.contracts import Signal, Verdict
from tasks.monitoring.decide import Findings, judge
from tasks.monitoring.opening import ANSWERS, OTHERS, opening
from tasks.monitoring.states import next_state
from tasks.monitoring.watch import Check, Memory
from tasks.spec import MonitorSpec

RULES = MonitorSpec(minimum_new_rows=200, minimum_window_rows=100, cooldown_seconds=600)
FOUND = Findings(
    window_rows=812, bad_share=0.0, usable_rows=800, reference_rows=900, domain_auc=0.51, null_auc=0.6,
    new_rows=500, signals=(),
)  # fmt: skip
MOVED = "amount is 3.12 standard deviations higher."


def signal(level: str, question: str = "input") -> tuple[Signal, ...]:
    plain = {"reason": "location", "subject": "amount", "unit": "", "value": 3.12, "threshold": 1.0}
    return (Signal.model_validate({**plain, "question": question, "level": level, "why": MOVED}),)


@pytest.mark.parametrize(
    ("found", "rules", "memory", "verdict", "begins"),
    [
        ({}, {}, {}, "quiet", "Quiet: nothing is done. The next check looks again. The 812 predictions"),
        ({}, {}, {"state": "alarm"}, "suspicious", "Quiet, but what was found before is not over."),
        ({"signals": signal("suspicious")}, {}, {}, "suspicious", "Not sure yet: something may be changing."),
        ({"signals": signal("alarm")}, {}, {}, "retrain", "Alarm: the traffic has changed. A training is"),
        (
            {"signals": signal("alarm", "target")}, {}, {},
            "retrain", "Alarm: the answers, or what is true of them, have changed. A training is asked for.",
        ),
        (
            {"signals": signal("alarm"), "new_rows": 3}, {}, {},
            "wait", "Alarm: the traffic has changed. No training is asked for yet.",
        ),
        (
            {"signals": signal("alarm")}, {"mode": "suggest"}, {},
            "suggest", "Alarm: the traffic has changed. A training is suggested; a person starts it.",
        ),
        (
            {"signals": signal("alarm")}, {"mode": "approve"}, {},
            "ask", "Alarm: the traffic has changed. A person is asked whether the model is trained again.",
        ),
        (
            {"signals": signal("alarm")}, {}, {"failures_in_a_row": 99},
            "stopped", "Alarm: the traffic has changed. Nothing is trained until a person acts.",
        ),
        ({"bad_share": 0.9}, {}, {}, "incident", "Incident: the data that comes is broken. Nothing is"),
        (
            {"signals": signal("incident", "skew")}, {}, {},
            "incident", "Incident: what serves is not as it was trained. Nothing is trained.",
        ),
        ({"window_rows": 7}, {}, {}, "too_few", "Nothing could be compared: too little is there."),
        (
            {"null_auc": float("nan")}, {}, {},
            "cannot_tell", "Nothing could be compared, which is neither quiet nor a reason to train.",
        ),
    ],
)  # fmt: skip
def test_the_verdict_and_what_follows_come_before_any_number(
    found: dict[str, Any], rules: dict[str, Any], memory: dict[str, Any], verdict: Verdict, begins: str
) -> None:
    spec = RULES.model_copy(update=rules)
    check = judge(replace(FOUND, **found), spec)

    step = next_state(check, Memory(**memory), spec)

    assert (step.verdict, step.why[: len(begins)]) == (verdict, begins)
    assert check.why in step.why
    head = opening(check, verdict)
    assert step.why.startswith(f"{head} ")
    assert not any(letter.isdigit() for letter in head)


def test_every_verdict_has_its_words() -> None:
    assert {*ANSWERS, *OTHERS} == set(get_args(Verdict))
    assert opening(Check("alarm", "It moved."), "wait").startswith("Alarm: the traffic has changed.")
