"""How the sentence of a drift check begins: with what it comes to and what is done, before the numbers."""

from tasks.contracts import Verdict
from tasks.monitoring.watch import Check

AGAIN = "The next check looks again."
CHANGED = {"input": "the traffic has changed", "target": "the answers, or what is true of them, have changed"}
"""What an alarm is about, by its question."""
ANSWERS: dict[Verdict, str] = {
    "wait": "No training is asked for yet.",
    "suggest": "A training is suggested; a person starts it.",
    "ask": "A person is asked whether the model is trained again.",
    "retrain": "A training is asked for.",
    "stopped": "Nothing is trained until a person acts.",
}
"""What follows an alarm."""
OTHERS: dict[Verdict, str] = {
    "quiet": f"Quiet: nothing is done. {AGAIN}",
    "suspicious": f"Not sure yet: something may be changing. Nothing is done. {AGAIN}",
    "incident": "Incident: the data that comes is broken. Nothing is trained.",
    "too_few": f"Nothing could be compared: too little is there. {AGAIN}",
    "cannot_tell": f"Nothing could be compared, which is neither quiet nor a reason to train. {AGAIN}",
}
NOT_AS_TRAINED = "Incident: what serves is not as it was trained. Nothing is trained."
NOT_OVER = f"Quiet, but what was found before is not over. Nothing is done. {AGAIN}"


def opening(check: Check, verdict: Verdict) -> str:
    """The verdict in plain words, and what the loop does next."""
    if verdict in ANSWERS:
        return f"Alarm: {CHANGED.get(check.question or '', CHANGED['input'])}. {ANSWERS[verdict]}"
    if verdict == "incident" and check.question == "skew":
        return NOT_AS_TRAINED
    return NOT_OVER if (verdict, check.level) == ("suspicious", "none") else OTHERS[verdict]
