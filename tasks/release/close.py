"""End a release, or a comparison (A/B), that is under way: the stable version answers everything again."""

from tasks.contracts import LedgerEntry, Route
from tasks.ledger import entries
from tasks.release.ab_record import comparison_of, end_comparison
from tasks.release.record import of_release, record, release_of
from tasks.serving.gateway import Gateway


def close_release(
    gateway: Gateway, model: str, actor: str, why: str, step_key: str | None = None
) -> LedgerEntry | None:
    """Write down that it is over, and let the gateway send the candidate nothing; None where there was
    neither a release, a comparison nor a split. The caller holds the model's versions.

    Args:
        step_key: Of the step that does it, which ends one of them however often it is tried.

    Raises:
        ServingError: The gateway does not answer.
    """
    if (compared := comparison_of(model)) is not None:
        return end_comparison(gateway, compared, actor, why, step_key=step_key)
    split, released = gateway.split(model), release_of(model)
    if released is None and (split is None or split.kind == "ab"):
        return None
    if released is not None:
        newest = of_release(model, released.release_id)[-1].evidence
        candidate, stable = Route.model_validate(newest["candidate"]), newest["stable"]
        release_id = released.release_id
    else:
        assert split is not None  # noqa: S101 - looked at above
        serving = gateway.route(model)
        candidate, release_id = split.candidate, split.release_id
        stable = serving.model_dump(mode="json") if serving else None
    entry = record(
        release_id=release_id,
        stable=Route.model_validate(stable) if stable else None,
        candidate=candidate,
        actor=actor,
        after="closed",
        at=released.stage if released else "unknown",
        why=why,
        step_key=step_key,
    )
    finish(gateway, entry)
    return entry


def finish(gateway: Gateway, entry: LedgerEntry) -> None:
    """Let the end of a release, or of a comparison (A/B), take effect that was written down, also where
    whoever wrote it was killed before.

    Raises:
        ServingError: The gateway does not answer.
    """
    told = entry.evidence
    close_own_split(gateway, entry.model, told.get("release_id") or told["comparison_id"])
    entries.complete(entry, "The gateway sends the candidate nothing.")


def close_own_split(gateway: Gateway, model: str, release_id: str) -> None:
    """Let the gateway send the candidate of a release, or of a comparison, nothing; a split of another one
    stays.

    Raises:
        ServingError: The gateway does not answer.
    """
    split = gateway.split(model)
    if split is not None and split.release_id == release_id:
        gateway.close_split(model)
