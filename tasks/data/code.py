"""Is the model's code a reason that a training starts by itself? A pure function of what was read."""

from collections.abc import Mapping


def why_not_now(
    champion: Mapping[str, str] | None,
    here: Mapping[str, str],
    *,
    is_judged: bool,
    open_training: str | None,
) -> str | None:
    """Why the code is no reason to train; None where it is.

    Args:
        champion: What the champion's training read of the model's folder: a hash for each part. None where it
            was not kept.
        here: The same of the folder as it is now.
        is_judged: Whether a candidate of exactly this code was judged, whatever came of it.
        open_training: The granted training of the model that has not ended.
    """
    if champion is None:
        return "The champion's code was not kept, by an earlier Perennial, so nobody can say what changed."
    changed = changed_parts(champion, here)
    if not changed:
        return "The model's code is what the champion was trained with."
    told = f"The model's code is not the champion's any more ({', '.join(changed)})"
    if is_judged:
        return f"{told}, but a candidate of exactly this code was judged already."
    if open_training:
        return f"{told}, but {open_training} has not ended: one at a time."
    return None


def changed_parts(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The names of the parts that were changed, added or removed."""
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
