"""Which settings the version that serves is to get: pipeline.yaml was changed since it came to serve."""

from tasks.contracts import Route


def changed_settings(serves: Route, wanted: Route, *, fits: bool) -> tuple[str, ...]:
    """What is to change of the version that serves, a phrase each; empty where nothing is.

    Args:
        wanted: The same version as pipeline.yaml says it now.
        fits: Whether its backend keeps it with the settings that pipeline.yaml says.
    """
    now, then = serves.model_dump(), wanted.model_dump()
    changed = tuple(
        f"{name}: {now[name]} -> {then[name]}"
        if isinstance(then[name], str | int | float)
        else f"another {name}"
        for name in then
        if now[name] != then[name]
    )
    return changed or (() if fits else ("what its backend keeps of it",))
