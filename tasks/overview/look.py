"""Read what the pages show of models: all from the ledger, little of it, in few questions."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from tasks.contracts import Action, LedgerEntry, ModelFigures
from tasks.errors import LedgerBroken
from tasks.ledger.at_the_door import HeldOfSender, undecided
from tasks.ledger.newest import Line, last_words, lines_of, newest_of_each, numbered
from tasks.monitoring.alerts.late import late_runs
from tasks.monitoring.alerts.records import failed_runs, listed, open_troubles, silences_of
from tasks.monitoring.slo.figures import figures_of, newest
from tasks.overview.cards import MOST, by_name, card_of, models_in, version_before
from tasks.overview.charts import Trend
from tasks.overview.details import (
    accuracy_over_time,
    drift_over_time,
    lineage_of,
    scores_over_time,
    versions_of,
)
from tasks.overview.facts import Card, Comparison, Version
from tasks.provenance.picture import Picture
from tasks.release.agreement import disagreements, looked_at
from tasks.settings import settings

OF_ANOTHER_SHAPE = (AttributeError, KeyError, TypeError, ValueError)
"""What comes of deciding by evidence that is not what its kind has: of another Perennial, or of somebody."""

PAGE_ROWS = 40
"""So many entries of the timeline are shown at once."""

BY_THE_WAY = (Action.DONE, Action.CHAMPION, Action.TOKEN)
"""What follows from another entry, and is left out of the timeline where not everything is asked for."""

IN_DETAIL = dict(MOST) | {
    Action.GATE: 40,
    Action.DRIFT: 60,
    Action.RELEASE: 60,
    Action.DEPLOY: 40,
    Action.ROLLBACK: 40,
    Action.BATCH: 20,
}
"""So many of one model's newest entries of each kind make its page."""


@dataclass(frozen=True)
class Detail:
    """Everything of a model's page that the ledger knows.

    Attributes:
        lines: The timeline, newest first.
        older: The number before which the next older entries begin; None where these were the oldest.
        check: The newest drift check.
        figures: How it stood by its objectives when somebody looked last; None where nobody has yet.
        quarantined: Batches in quarantine that nobody has decided on.
        held: Labelled requests at the door that nobody has decided on, by sender.
        before: The version that served before the present one; None where there is none to go back to.
    """

    card: Card
    lines: tuple[Line, ...]
    older: int | None
    versions: tuple[Version, ...]
    lineage: Picture | None
    scores: Trend | None
    drift: Trend | None
    accuracy: Trend | None
    check: LedgerEntry | None
    figures: ModelFigures | None
    quarantined: tuple[str, ...]
    held: tuple[HeldOfSender, ...]
    before: str | None


def overview(names: Iterable[str]) -> list[Card]:
    """A card for each model that is named, or that the ledger tells of; those that serve come first.

    Raises:
        LedgerBroken: An entry cannot be read any more.
    """
    told, now = by_name(newest_of_each(MOST)), datetime.now(UTC)
    late, failed = late_runs(), failed_runs()
    stood = {each.model: each.objectives for each in newest()}
    differs = disagreements()
    found = []
    for name in sorted({*names, *models_in(told)}):
        own = tuple(each for each in differs if each.model == name)
        try:
            troubles, silences = listed(
                name, lambda one: told.get(one, []), now, late, failed, stood.get(name, ())
            )
            card = card_of(name, told.get(name, []))
        except OF_ANOTHER_SHAPE as error:  # it costs no other model its card
            found.append(Card(name, unreadable=_unreadable(name, error), differs=own))
        else:
            found.append(replace(card, troubles=tuple(troubles), silences=tuple(silences), differs=own))
    return sorted(found, key=lambda card: (card.served is None, card.model))


def detail(model: str, *, before: int | None = None, everything: bool = False) -> Detail:
    """A model's page.

    Args:
        before: Show the timeline's entries with a smaller number than this.
        everything: Show also what follows from other entries.

    Raises:
        LedgerBroken: An entry cannot be read any more, or not be understood.
    """
    try:
        return _detail(model, before, everything=everything)
    except OF_ANOTHER_SHAPE as error:
        raise LedgerBroken(_unreadable(model, error)) from error


def _detail(model: str, before: int | None, *, everything: bool) -> Detail:
    own = newest_of_each(IN_DETAIL, model)
    lines = lines_of(model, PAGE_ROWS + 1, before=before, without=() if everything else BY_THE_WAY)
    versions = tuple(versions_of(own))
    shown = next((each for each in versions if each.serves), versions[0] if versions else None)
    checks = [entry for entry in own if entry.action == Action.DRIFT]
    return Detail(
        card=replace(
            card_of(model, own),
            troubles=tuple(open_troubles(model)),
            silences=tuple(silences_of(model)),
            differs=tuple(disagreements(model)),
        ),
        lines=tuple(lines[:PAGE_ROWS]),
        older=lines[PAGE_ROWS - 1].sequence if len(lines) > PAGE_ROWS else None,
        versions=versions,
        lineage=lineage_of(model, shown) if shown else None,
        scores=scores_over_time(own),
        drift=drift_over_time(own),
        accuracy=accuracy_over_time(own),
        check=checks[-1] if checks else None,
        figures=figures_of(model),
        quarantined=_quarantined(own),
        held=tuple(undecided(last_words(model, Action.DOOR)[::-1])),
        before=version_before(own),
    )


def comparison(now: datetime) -> Comparison:
    """When what is there was last held against the ledger; late as a silent loop is."""
    at = looked_at()
    allowed = timedelta(minutes=settings().loop_silent_minutes)
    return Comparison(at, is_late=at is None or now - at > allowed)


def decision(model: str, sequence: int) -> LedgerEntry | None:
    """One entry about a model; None where the ledger has none of this number about it.

    Raises:
        LedgerBroken: It cannot be read any more.
    """
    found = numbered(sequence)
    return found if found is not None and found.model == model else None


def _unreadable(model: str, error: Exception) -> str:
    found = f"{type(error).__name__}: {error}"
    return (
        f"An entry of the ledger about {model} cannot be understood ({found}): another Perennial wrote it "
        "or somebody changed it. `perennial ledger --verify` says which was changed."
    )


def _quarantined(own: Iterable[LedgerEntry]) -> tuple[str, ...]:
    newest = {entry.before: entry.after for entry in own if entry.action == Action.BATCH and entry.before}
    return tuple(str(batch) for batch, after in newest.items() if after == "quarantined")
