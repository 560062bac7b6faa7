"""What an entry of the ledger says, in a few words, and whether that is good news."""

from typing import Literal

from tasks.contracts import Action

Tone = Literal["good", "bad", "warn", "calm"]

STATES: dict[str, tuple[str, Tone]] = {
    "quiet": ("Quiet", "good"),
    "suspicious": ("Suspicious", "warn"),
    "alarm": ("Alarm", "bad"),
    "retraining": ("Retraining", "warn"),
    "probation": ("On probation", "warn"),
}
"""The states of the drift machine."""

VERDICTS: dict[str, Tone] = {
    "quiet": "good",
    "suspicious": "warn",
    "wait": "warn",
    "too_few": "calm",
    "cannot_tell": "bad",
    "incident": "bad",
    "suggest": "bad",
    "ask": "bad",
    "retrain": "bad",
    "stopped": "bad",
}
"""Those of the drift check."""

SAID: dict[tuple[str, str], tuple[str, Tone]] = {
    ("gate", "promote"): ("The gate promoted a candidate", "good"),
    ("gate", "hold"): ("The gate held a candidate", "warn"),
    ("gate", "reject"): ("The gate rejected a candidate", "bad"),
    ("release", "accepted"): ("A release of version {version} began", "calm"),
    ("release", "stage"): ("Version {version} entered the stage {at}", "calm"),
    ("release", "proceed"): ("Version {version} passed the stage {at}", "good"),
    ("release", "refused"): ("Version {version} was refused before it met a user", "bad"),
    ("release", "rejected"): ("A person rejected version {version}", "bad"),
    ("release", "roll_back"): ("Version {version} went back by itself", "bad"),
    ("release", "hold"): ("The release of version {version} was held", "warn"),
    ("release", "shown"): ("Version {version} was shown to copies alone", "calm"),
    ("release", "promoted"): ("Version {version} was released", "good"),
    ("release", "closed"): ("The release of version {version} was ended", "warn"),
    ("ab", "started"): ("A comparison (A/B) began", "calm"),
    ("ab", "reported"): ("A comparison (A/B) was reported", "calm"),
    ("ab", "stopped"): ("A person stopped a comparison (A/B)", "calm"),
    ("ab", "closed"): ("A comparison (A/B) could not go on", "warn"),
    ("retrain", "granted"): ("A training was granted", "calm"),
    ("retrain", "refused"): ("A training was refused", "warn"),
    ("retrain", "expired"): ("A granted training expired", "warn"),
    ("retrain", "not started"): ("A granted training was not started", "bad"),
    ("retrain", "ended"): ("A training ended", "calm"),
    ("effect", "helped"): ("A retrain helped", "good"),
    ("effect", "did_not_help"): ("A retrain did not help", "bad"),
    ("effect", "cannot_tell"): ("Whether a retrain helped cannot be told", "calm"),
    ("breaker", "closed"): ("A person let it retrain by itself again", "good"),
    ("batch", "passed"): ("A batch passed the check of its labels", "good"),
    ("batch", "cannot_tell"): ("A batch's labels could not be judged", "calm"),
    ("batch", "quarantined"): ("A batch is in quarantine", "bad"),
    ("batch", "released"): ("A person released a batch", "good"),
    ("batch", "confirmed"): ("A person confirmed that a batch is bad", "warn"),
    ("door", "held"): ("Labelled requests are held at the door", "warn"),
    ("door", "released"): ("A person released labelled requests", "good"),
    ("door", "confirmed"): ("A person confirmed that labelled requests are bad", "warn"),
    ("label_incident", "poison"): ("A person said: the labels are wrong", "bad"),
    ("label_incident", "the_world"): ("A person said: the world has changed", "calm"),
    ("silence", "silenced"): ("Alerts were silenced", "calm"),
    ("silence", "ended"): ("A silence was ended", "calm"),
    ("reproduce", "identical"): ("A version was trained again: identical", "good"),
    ("reproduce", "equivalent"): ("A version was trained again: equivalent", "good"),
    ("reproduce", "different"): ("A version was trained again: different", "bad"),
    ("ingest", "published"): ("A file was published", "good"),
    ("ingest", "empty"): ("Every row of a file is in quarantine", "bad"),
    ("ingest", "refused"): ("A file was refused", "bad"),
}
"""What each kind of entry decided, by `action` and `after`."""

KINDS: dict[str, tuple[str, Tone]] = {
    "deploy": ("Version {after} serves", "good"),
    "rollback": ("Rolled back to version {after}", "warn"),
    "withdraw": ("Taken out of service", "warn"),
    "champion": ("The alias champion names version {after}", "calm"),
    "drift": ("Drift check: {after}", "calm"),
    "environment": ("In an environment before production: {after}", "calm"),
    "image": ("A serving image: {after}", "calm"),
    "cloud_run": ("Cloud Run: {after}", "calm"),
    "recall": ("A batch was recalled", "warn"),
    "reconcile": ("Something that did not agree with the ledger was settled", "warn"),
    "done": ("A decision took effect", "calm"),
}
"""What is said of the others."""


def title_of(action: str, after: str | None, told: dict[str, object] | None = None) -> str:
    """What an entry decided, in a few words.

    Args:
        told: Its evidence, for the version and stage of a release; without it they are left out.
    """
    known = told or {}
    said, _ = _said(action, after)
    version, at = known.get("version"), known.get("at")
    if version is None:
        said = said.replace("version {version}", "a version").replace("Version {version}", "A version")
        said = said.replace("the stage {at}", "a stage")
    words = {"after": str(after or "none").replace("_", " "), "version": version, "at": at}
    return said.format_map(words)


def tone_of(action: str, after: str | None) -> Tone:
    """Whether an entry is good news, bad news, something to look at, or neither."""
    if action == Action.DRIFT:
        return VERDICTS.get(str(after), "calm")
    if action == Action.ENVIRONMENT and after in {"refused", "left"}:
        return "bad"
    return _said(action, after)[1]


def _said(action: str, after: str | None) -> tuple[str, Tone]:
    known = SAID.get((action, str(after))) or KINDS.get(action)
    return known or (f"{action.replace('_', ' ')}: {{after}}", "calm")
