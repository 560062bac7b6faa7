"""Through which environments a version has passed, and what serves in each: told by the ledger alone."""

from collections.abc import Collection, Iterable

from tasks.contracts import Action, InEnvironment, LedgerEntry, Route

ENTERED, LEFT, ROLLED_BACK, WITHDRAWN = "entered", "left", "rolled_back", "withdrawn"
CHANGES = frozenset({ENTERED, LEFT, ROLLED_BACK, WITHDRAWN})
"""What changes what serves in an environment. `left`: the version did not answer there, and what served
before serves again. A version that was `refused` changed nothing."""


def passed(entries: Iterable[LedgerEntry], environment: str, archive_sha256: str) -> LedgerEntry | None:
    """The entry by which an archive has passed through an environment; None where it has not.

    What was rolled back from there or withdrawn has not, nor what serves there without its checks being
    written down as done.

    Args:
        entries: Of the model, oldest first: of the environments, and what completes them.
    """
    told = list(entries)
    done = {each.evidence.get("completes") for each in told if each.action == Action.DONE}
    found: LedgerEntry | None = None
    for entry in _changes(told, environment):
        if entry.after == ENTERED and _archive(entry, "route") == archive_sha256:
            found = entry if entry.entry_hash in done else found
        elif entry.after in {LEFT, ROLLED_BACK, WITHDRAWN} and _archive(entry, "before") == archive_sha256:
            found = None
    return found


def not_passed(entries: Iterable[LedgerEntry], names: Iterable[str], archive_sha256: str) -> list[str]:
    """Those of the environments that an archive has not passed through."""
    told = list(entries)
    return [name for name in names if passed(told, name, archive_sha256) is None]


def newest_change(entries: Iterable[LedgerEntry], environment: str) -> LedgerEntry | None:
    """The last decision of what serves in an environment."""
    return next(iter(_changes(list(entries), environment)[::-1]), None)


def promised_in(entries: Iterable[LedgerEntry], environment: str) -> Route | None:
    """What serves in an environment by the ledger; None for nothing."""
    entry = newest_change(entries, environment)
    return _route(entry, "route") if entry else None


def held(entries: Iterable[LedgerEntry], environments: Collection[str]) -> list[Route]:
    """The versions that have to stay loaded for these environments: what serves there, and what served
    before.
    """
    told = list(entries)
    newest = [entry for name in environments if (entry := newest_change(told, name)) is not None]
    routes = [
        _route(entry, which)
        for entry in newest
        for which in ("route", "before")
        if which == "route" or entry.after not in {LEFT, WITHDRAWN}  # nobody goes back to these
    ]
    return [route for route in routes if route is not None]


def standing_in(entries: Iterable[LedgerEntry]) -> list[InEnvironment]:
    """What serves in each environment that anything was decided of, by the ledger, in the order in which
    these were first entered.
    """
    told = list(entries)
    decided = (each.evidence.get("environment") for each in told if each.action == Action.ENVIRONMENT)
    found = [
        (str(name), entry)
        for name in dict.fromkeys(decided)
        if (entry := newest_change(told, str(name))) is not None
    ]
    return [_standing(name, entry) for name, entry in found]


def _standing(environment: str, entry: LedgerEntry) -> InEnvironment:
    route = _route(entry, "route")
    return InEnvironment(
        environment=environment,
        model_version=route.model_version if route else None,
        archive_sha256=route.archive_sha256 if route else None,
        since=entry.at,
        by=entry.actor,
        why=entry.why,
    )


def _changes(entries: list[LedgerEntry], environment: str) -> list[LedgerEntry]:
    return [
        each
        for each in entries
        if each.action == Action.ENVIRONMENT
        and each.after in CHANGES
        and each.evidence.get("environment") == environment
    ]


def _route(entry: LedgerEntry, which: str) -> Route | None:
    told = entry.evidence.get(which)
    return Route.model_validate(told) if told else None


def _archive(entry: LedgerEntry, which: str) -> str | None:
    route = _route(entry, which)
    return route.archive_sha256 if route else None


def unsettled(
    entries: Iterable[LedgerEntry], environment: str, route: Route | None, alias: str | None
) -> str | None:
    """Where an environment and the ledger do not agree, in a sentence; None where they do.

    An environment of which nothing was decided has nothing to agree with.

    Args:
        route: What its gateway sends requests to.
        alias: The version that MLflow's alias of its name names.
    """
    told = list(entries)
    entry = newest_change(told, environment)
    if entry is None:
        return None
    wanted, is_done = _route(entry, "route"), _is_done(told, entry)
    version = wanted.model_version if wanted else None
    agrees = _key(wanted) == _key(route) and version == alias
    if not is_done:
        left = "has taken effect, which was not written down" if agrees else "was not carried out"
        return f"What entry {entry.sequence} of the ledger decided for {environment} {left}."
    if agrees:
        return None
    said = f"entry {entry.sequence} of the ledger, the newest for it, says {_named(version)}"
    if _key(wanted) != _key(route):
        serving = _named(route.model_version if route else None)
        return f"Now {serving} serves in {environment}, but {said}."
    return f"MLflow's alias {environment} names {_named(alias)}, but {said}."


def _is_done(entries: list[LedgerEntry], entry: LedgerEntry) -> bool:
    completed = (each.evidence.get("completes") for each in entries if each.action == Action.DONE)
    return entry.entry_hash in completed


def _key(route: Route | None) -> tuple[str, str] | None:
    return (route.run_id, route.archive_sha256) if route else None


def _named(version: str | None) -> str:
    return f"version {version}" if version else "no version"
