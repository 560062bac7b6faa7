"""The ledger's entries of a release by steps: one is written before each effect, with what it rests on."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tasks.contracts import Acceptance, Action, LedgerEntry, ReleaseUnderWay, Route, Stage
from tasks.errors import GateRefused, InvalidRequest
from tasks.ledger import entries
from tasks.release.ab_record import require_no_comparison
from tasks.release.stages import asks_before, plan
from tasks.release.under_way import ENDS, SWITCHES, under_way
from tasks.spec import ReleaseSpec

GRACE = timedelta(minutes=30)
"""For the next step of a release to begin, all tries included; after that nobody follows it any more."""


def record(  # noqa: PLR0913 - each is a field of the entry
    *,
    release_id: str,
    stable: Route | None,
    candidate: Route,
    actor: str,
    after: str,
    why: str,
    at: str,
    until: datetime | None = None,
    **evidence: Any,
) -> LedgerEntry:
    """Write what was decided of a release.

    Args:
        after: What: `accepted`, `stage`, `proceed`, or one of `ENDS`.
        at: Where the release is: `accepted`, or the name of a stage.
        until: When it counts as left, if nothing follows.
    """
    told: dict[str, Any] = {"release_id": release_id, "version": candidate.model_version, "at": at}
    told |= {"until": until.isoformat()} if until else {}
    told["after_entry"] = _comes_after(candidate.model, release_id, after, at)
    routes = {"candidate": _plain(candidate), "stable": _plain(stable) if stable else None}
    return entries.record(
        model=candidate.model,
        actor=actor,
        action=Action.RELEASE,
        before=stable.model_version if stable else None,
        after=after,
        why=why,
        evidence={**told, **routes, **evidence},
    )


def _comes_after(model: str, release_id: str, after: str, at: str) -> str | None:
    """The newest entry of the release but this one itself, of a step that is tried again: what was decided
    twice for the same reason, with something else in between, was decided twice.
    """
    before = of_release(model, release_id)
    while before and (before[-1].after, before[-1].evidence.get("at")) == (after, at):
        before.pop()
    return before[-1].entry_hash if before else None


def of_release(model: str, release_id: str, after: str | None = None) -> list[LedgerEntry]:
    """The entries of one release, oldest first."""
    found = entries.history(model, {Action.RELEASE})
    return [
        each
        for each in found
        if each.evidence.get("release_id") == release_id and after in {None, each.after}
    ]


def release_of(model: str) -> ReleaseUnderWay | None:
    """The model's release that is under way."""
    return under_way(entries.history(model, {Action.RELEASE, *SWITCHES}))


def candidate_of(model: str) -> Route | None:
    """The version of the release that is under way, which has to stay loaded."""
    found = release_of(model)
    if found is None:
        return None
    return Route.model_validate(of_release(model, found.release_id)[-1].evidence["candidate"])


def require_alone(model: str, release_id: str | None) -> None:
    """Refuse a release beside another one, or beside a comparison (A/B).

    Args:
        release_id: Of the release that asks; None for what is none.

    Raises:
        InvalidRequest: Another one is under way.
    """
    require_no_comparison(model)
    found = release_of(model)
    if found is not None and found.release_id != release_id:
        raise InvalidRequest(
            f"Version {found.version} of {model} is being released (stage {found.stage}, since "
            f"{found.since:%Y-%m-%d %H:%M} UTC), and one release of a model goes on at a time. Wait for its "
            f'end, or end it: perennial rollback {model} --why "...".',
            release_id=found.release_id,
        )


def require_under_way(acceptance: Acceptance | Stage) -> None:
    """Refuse to go on with a release that was ended.

    Raises:
        GateRefused: Somebody ended it, or something else serves by now.
    """
    if is_under_way(acceptance):
        return
    told = of_release(acceptance.model, acceptance.release_id)
    ended = f" {told[-1].actor}: {told[-1].why}" if told and told[-1].after in ENDS else ""
    raise GateRefused(
        f"The release of version {acceptance.candidate.model_version} of {acceptance.model} is over: it was "
        f"ended, or what serves was changed.{ended}",
        release_id=acceptance.release_id,
    )


def is_under_way(acceptance: Acceptance | Stage) -> bool:
    """Whether this release has not ended."""
    found = release_of(acceptance.model)
    return found is not None and found.release_id == acceptance.release_id


def until(rules: ReleaseSpec, stage: str | None) -> datetime:
    """When a release counts as left if what comes next does not begin.

    Args:
        stage: What comes next; `production` for the promotion of what has no stages, None for that of what
            has gone through them.
    """
    wait = GRACE
    if stage is not None and asks_before(rules, stage):
        wait += timedelta(seconds=rules.approval.seconds)
    return datetime.now(UTC) + wait


def next_stage(rules: ReleaseSpec, stage: str) -> str | None:
    """The name of the stage after this one; None where the promotion follows."""
    names = [*plan(rules)]
    place = names.index(stage) + 1
    return names[place] if place < len(names) else None


def _plain(route: Route) -> dict[str, Any]:
    return route.model_dump(mode="json")
