"""Whose step a container or a pod is, written on it."""

from collections.abc import Mapping

from plugins.runners.step import Left, Owner, Step
from tasks.settings import Settings

PREFIX = "perennial."


def labels_of(step: Step, place: Settings) -> dict[str, str]:
    """Whose step it is, for those who find it: another worker, the janitor, a person."""
    owner = step.owner
    named = {
        "installation": place.installation,
        "step": step.key,
        "dag": owner.dag_id,
        "run": owner.run_id,
        "task": owner.task_id,
        "map": owner.map_index,
        "try": owner.try_number,
        "verb": step.verb,
        "model": step.model or "",
        "request_sha256": step.request_sha256,
        "deadline": int(step.deadline),
    }
    return {f"{PREFIX}{name}": str(value) for name, value in named.items()}


def as_left(job: str, labels: Mapping[str, str]) -> Left:
    """The step that `labels_of` has marked so, as the janitor knows it."""
    label = {name.removeprefix(PREFIX): value for name, value in labels.items()}
    owner = Owner(label["dag"], label["run"], label["task"], int(label["map"]), int(label["try"]))
    return Left(job, owner, float(label["deadline"]))
