"""The one error of the demo: a step did not do what it should."""


class StepFailed(Exception):
    """A sentence that says what was expected and what was found; raised by any step of the story."""


def require(condition: bool, sentence: str) -> None:  # noqa: FBT001 - reads as `require(x == y, "because")`
    """Raise StepFailed with `sentence` unless `condition` holds."""
    if not condition:
        raise StepFailed(sentence)
