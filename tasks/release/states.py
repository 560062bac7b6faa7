"""Where what is there and what the ledger says do not agree: the first thing to be settled, or nothing.

An entry is written before its effect and completed after it. So each of the two may be there without the
other: an effect that nobody decided, a decision that did not come to its effect, an effect whose completion
is missing. `tasks.release.reconcile` settles what is found here.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from tasks.contracts import Action, LedgerEntry, Mismatch, Route, SeenModel
from tasks.release.ab_under_way import comparison_under_way, start_under_way, why_not_divided
from tasks.release.under_way import under_way

RUN_ENDS_WITHIN = timedelta(hours=2)
"""After so long the run that a promotion belongs to has deployed it, or it never will."""

RELEASE_STARTS_WITHIN = timedelta(minutes=30)
"""After so long a release that was handed over has begun, all retries of what starts it included."""
HAND_OVER = "hand over"

SWITCHES = (Action.DEPLOY, Action.ROLLBACK, Action.WITHDRAW)


def mismatch(seen: SeenModel) -> Mismatch | None:
    """What has to be settled of a model before anything else; None where all agrees."""
    return _of_route(seen) or _of_release(seen) or _of_ab(seen) or _of_alias(seen) or _of_completion(seen)


def promised(seen: SeenModel) -> tuple[LedgerEntry | None, Route | None]:
    """The newest switch in the ledger that was not undone, and the route that it says."""
    return last_switch(seen), route_by(seen.entries)


def last_switch(seen: SeenModel) -> LedgerEntry | None:
    """The newest switch in the ledger that was not undone."""
    return _last_switch(seen.entries)


def route_by(entries: Iterable[LedgerEntry]) -> Route | None:
    """What serves by the ledger; None for nothing.

    Args:
        entries: Of the model, oldest first: its switches, and the reconciliations, which undo some.
    """
    entry = _last_switch(entries)
    if entry is None or entry.action == Action.WITHDRAW or entry.evidence.get("route") is None:
        return None
    return Route.model_validate(entry.evidence["route"])


def _last_switch(entries: Iterable[LedgerEntry]) -> LedgerEntry | None:
    told = list(entries)
    undone = {entry.evidence["undoes"] for entry in told if _undoes(entry)}
    switches = [entry for entry in told if entry.action in SWITCHES]
    return next((entry for entry in reversed(switches) if entry.entry_hash not in undone), None)


def is_made(seen: SeenModel, switch: LedgerEntry) -> bool:
    """Whether the route was changed since the entry was written, or the change completed it."""
    return seen.last_change > int(switch.evidence.get("after_change", 0)) or _is_done(seen, switch)


def unused_promotion(entries: list[LedgerEntry], now: datetime) -> LedgerEntry | None:
    """The gate's newest promotion, where nothing was decided of its archive since and the run that it belongs
    to would have come to that long ago; None where there is nothing to do.

    That run may have waited for a release of another version, which goes on alone.

    Args:
        entries: Of the model, oldest first: what the gate decided, the switches, the releases, what was
            decided of environments before production, and the reconciliations.
    """
    promoted = [each for each in entries if (each.action, each.after) == (Action.GATE, "promote")]
    if not promoted or under_way(entries):
        return None
    promotion = promoted[-1]
    waited = [each.at for each in entries if each.action == Action.RELEASE]
    if now - max([promotion.at, *waited]) < RUN_ENDS_WITHIN:
        return None
    later = [each for each in entries if each.sequence > promotion.sequence]
    used = any(_about(each) == _promoted(promotion) for each in later)
    settled = any(
        each.action == Action.RECONCILE and each.evidence.get("settles") == promotion.entry_hash
        for each in later
    )
    return None if used or settled else promotion


def other_release(
    entries: Iterable[LedgerEntry], promotion: LedgerEntry, release_id: str
) -> LedgerEntry | None:
    """The first entry of another release of what the gate promoted, since it did; None for none."""
    return next(
        (
            each
            for each in entries
            if each.action == Action.RELEASE
            and each.sequence > promotion.sequence
            and each.evidence["release_id"] != release_id
            and _about(each) == _promoted(promotion)
        ),
        None,
    )


def is_asked_for(entries: Iterable[LedgerEntry], version: str) -> bool:
    """Whether the newest release of a version that was handed over is one that a person asked for: they moved
    the alias to it.
    """
    given = [each for each in entries if (each.action, each.after) == (Action.RECONCILE, HAND_OVER)]
    of_version = [each for each in given if each.evidence.get("version") == version]
    return bool(of_version) and "moved_to" in of_version[-1].evidence


def _promoted(promotion: LedgerEntry) -> tuple[str, str]:
    decision = promotion.evidence["decision"]
    return str(decision["run_id"]), str(decision["archive_sha256"])


def _about(entry: LedgerEntry) -> tuple[str, str] | None:
    """The run and the archive that an entry lets serve, releases, or tries in an environment."""
    told = entry.evidence.get("candidate" if entry.action == Action.RELEASE else "route")
    is_about = entry.action in {*SWITCHES, Action.RELEASE, Action.ENVIRONMENT}
    return (str(told["run_id"]), str(told["archive_sha256"])) if told and is_about else None


def lost_hand_over(entries: list[LedgerEntry], now: datetime) -> LedgerEntry | None:
    """The newest release that was handed over, where nothing came of it; None where there is nothing to do.

    It is started again once: what fails a second time fails for a reason that a third time does not change.

    Args:
        entries: Of the model, oldest first: the reconciliations, releases, switches, and what was decided of
            environments before production.
    """
    given = [each for each in entries if (each.action, each.after) == (Action.RECONCILE, HAND_OVER)]
    if not given or given[-1].evidence.get("again") or now - given[-1].at < RELEASE_STARTS_WITHIN:
        return None
    version, later = given[-1].evidence.get("version"), entries[entries.index(given[-1]) + 1 :]
    begun = any(version == _released_version(each) for each in later)
    changed = any(each.action in SWITCHES for each in later)
    return None if version is None or begun or changed or under_way(entries) else given[-1]


def _released_version(entry: LedgerEntry) -> str | None:
    """The version of a release that an entry tells of: in production, or in an environment before it."""
    if entry.action == Action.RELEASE:
        return str(entry.evidence.get("version"))
    is_on_its_way = entry.action == Action.ENVIRONMENT and entry.after in {"entered", "refused"}
    return str(entry.evidence["route"]["model_version"]) if is_on_its_way else None


def _of_route(seen: SeenModel) -> Mismatch | None:
    switch, wanted = promised(seen)
    if _archive(wanted) == _archive(seen.route):
        return None
    serves = f"{_named(seen.route)} serves"
    said = _named(wanted)
    if switch is None:
        why = f"Now {serves}, but the ledger knows of no switch of {seen.model}."
    elif is_made(seen, switch):
        why = f"Now {serves}, but entry {switch.sequence} of the ledger, the newest switch, says {said}."
    else:
        why = (
            f"Entry {switch.sequence} of the ledger decided that {said} serves, but that was not carried out."
        )
    return Mismatch(model=seen.model, kind="route", entry=switch, why=why)


def _of_release(seen: SeenModel) -> Mismatch | None:
    """A split for no release that is under way, or a release that nobody follows any more."""
    released, split = under_way(seen.entries), seen.split
    entry = next((each for each in reversed(seen.entries) if each.action == Action.RELEASE), None)
    if released and released.until and seen.at and seen.at > released.until:
        why = f"Nobody follows the release of version {released.version} any more (stage {released.stage})."
        return Mismatch(model=seen.model, kind="release", entry=entry, why=why)
    if split is None or split.kind == "ab" or (released and released.release_id == split.release_id):
        return None
    version = split.candidate.model_version
    why = f"Version {version} is sent a part of the requests, but no release of it is under way."
    return Mismatch(model=seen.model, kind="release", entry=entry, why=why)


def _of_ab(seen: SeenModel) -> Mismatch | None:
    """A comparison that is under way and not made, or made and not under way."""
    entry = start_under_way(seen.entries)
    why = why_not_divided(comparison_under_way(seen.entries), seen.split, seen.route)
    return Mismatch(model=seen.model, kind="ab", entry=entry, why=why) if why else None


def _of_alias(seen: SeenModel) -> Mismatch | None:
    serving = seen.route.model_version if seen.route else None
    entry = next((each for each in reversed(seen.entries) if each.action == Action.CHAMPION), None)
    if entry is None or entry.evidence.get("route_change", 0) < seen.last_change:
        return _not_moved_yet(seen, serving)
    if seen.alias == serving:
        return None if _is_done(seen, entry) else _unfinished(seen, entry)
    if seen.alias == entry.before and entry.after == serving and not _is_done(seen, entry):
        why = f"Entry {entry.sequence} of the ledger decided to move the alias, but it was not moved."
        return Mismatch(model=seen.model, kind="alias", entry=entry, why=why)
    return _moved(seen, serving)


def _not_moved_yet(seen: SeenModel, serving: str | None) -> Mismatch | None:
    """Where the route was changed and nothing was decided of the alias since, or ever."""
    if seen.route is None and (seen.alias is None or last_switch(seen) is None):
        return None if seen.alias is None else _moved(seen, None)
    why = f"What serves was changed to {_version(serving)}, and nothing was decided of the alias since."
    return Mismatch(model=seen.model, kind="alias", entry=None, why=why)


def _moved(seen: SeenModel, serving: str | None) -> Mismatch:
    who = seen.moved_by or "Somebody"
    why = f"{who} changed MLflow's alias champion to {_version(seen.alias)}, but {_version(serving)} serves."
    return Mismatch(model=seen.model, kind="person", entry=None, why=why)


def _of_completion(seen: SeenModel) -> Mismatch | None:
    switch = last_switch(seen)
    return None if switch is None or _is_done(seen, switch) else _unfinished(seen, switch)


def _unfinished(seen: SeenModel, entry: LedgerEntry) -> Mismatch:
    why = f"What entry {entry.sequence} of the ledger decided has taken effect, which was not written down."
    return Mismatch(model=seen.model, kind="unfinished", entry=entry, why=why)


def _is_done(seen: SeenModel, entry: LedgerEntry) -> bool:
    return any(
        each.action == Action.DONE and each.evidence.get("completes") == entry.entry_hash
        for each in seen.entries
    )


def _undoes(entry: LedgerEntry) -> bool:
    return entry.action == Action.RECONCILE and bool(entry.evidence.get("undoes"))


def _archive(route: Route | None) -> tuple[str, str] | None:
    return (route.run_id, route.archive_sha256) if route else None


def _named(route: Route | None) -> str:
    return f"version {route.model_version} of the MLflow run {route.run_id}" if route else "no version"


def _version(number: str | None) -> str:
    return f"version {number}" if number else "none"
