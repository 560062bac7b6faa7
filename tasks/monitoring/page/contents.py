"""What the page says: plain data, made by whoever has looked at something, and drawn by the template."""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.contracts import Signal
from tasks.monitoring.page.cards import Card
from tasks.monitoring.page.lines import Chart, Limit, Line

Facts = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Series:
    """Something that is measured window after window, such as a model's accuracy.

    Attributes:
        told: What it shows, in a sentence.
        limits: What it is compared with.
        is_share: Whether its values are shares in [0, 1].
    """

    title: str
    told: str
    lines: tuple[Line, ...]
    limits: tuple[Limit, ...] = ()
    is_share: bool = False


@dataclass(frozen=True)
class Page:
    """A page; what is empty is left out.

    Attributes:
        what: What kind of check it was.
        about: What was looked at: a model, a file.
        span: When, or which rows.
        verdict: By which the page is coloured.
        signals: Everything that was noticed, the gravest first.
        heading, follows: The verdict in words, and what follows from it.
        why: The sentences of the verdict.
        facts: The most important numbers, by their names.
        charts: What was measured over time.
        cards, not_drawn: The columns then and now, and the names of those that are too many to draw.
        band_name: Whose shares the bands in the drawings are.
        left_out: Columns that are not followed, and why.
        calibration: How it is known what is usual.
        notes: What a reader has to know beside.
        rules: What the decision went by.
        record: Where everything is kept.
        links: Words, and where they lead: files beside the page.
    """

    what: str
    about: str
    span: str
    verdict: str
    heading: str
    follows: str
    why: str
    facts: Facts = ()
    signals: Sequence[Signal] = ()
    charts: Sequence[Chart] = ()
    cards: Sequence[Card] = ()
    not_drawn: Sequence[str] = ()
    band_name: str = ""
    left_out: Facts = ()
    calibration: str = ""
    notes: Sequence[str] = ()
    rules: Facts = ()
    record: Facts = ()
    links: Facts = ()

    @property
    def has_deviations(self) -> bool:
        """Whether a number of a signal is in standard deviations."""
        return any(signal.unit.startswith("standard deviations") for signal in self.signals)

    @property
    def has_band(self) -> bool:
        """Whether any column's drawing shows what days have."""
        drawn = [each for card in self.cards for each in (card.histogram, card.rows) if each is not None]
        return any(each.has_band for each in drawn)
