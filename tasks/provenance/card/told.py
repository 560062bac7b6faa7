"""The parts that a card is told in, and how its values are told."""

from dataclasses import dataclass
from datetime import datetime
from math import isfinite

from tasks.contracts import Metric, ModelCard
from tasks.provenance.numbers import tell_number

NOT_SAID = "Nobody has said it: it belongs into pipeline.yaml, under card."
NOTHING_SAID = (
    "Nobody has said anything of the intended use, what is out of scope, the licence, limits or fairness: it "
    "belongs into pipeline.yaml, under card."
)


@dataclass(frozen=True)
class Table:
    """Rows below their columns, all text."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""


@dataclass(frozen=True)
class Section:
    """One section, all text.

    Attributes:
        key: Its name in links; the same whatever the title says.
        texts: Paragraphs.
        points: A list.
        fields: Names with their values.
    """

    key: str
    title: str
    texts: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    fields: tuple[tuple[str, str], ...] = ()
    tables: tuple[Table, ...] = ()


def is_said(card: ModelCard) -> bool:
    """Whether people said anything that no program can find out, beside the purpose and whom to ask."""
    said = card.said
    return any((said.intended_use, said.out_of_scope, said.licence, said.limits, said.fairness))


def said_or_not(card: ModelCard, text: str | None) -> tuple[str, ...]:
    """A text of the card's own section; that it is missing only where not everything is: told once."""
    if text is None and not is_said(card):
        return ()
    return (text or NOT_SAID,)


def moment(at: datetime | None) -> str:
    """A time as people read it."""
    return "unknown" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def interval(metric: Metric) -> str:
    """A metric with its 95 % interval."""
    return bounds(metric.value, metric.low, metric.high)


def bounds(value: float | None, low: float | None, high: float | None) -> str:
    """A value with its interval; what is no number is told so."""
    if value is None or low is None or high is None or not all(map(isfinite, (value, low, high))):
        return "not defined"
    return f"{tell_number(value)} [{tell_number(low)}, {tell_number(high)}]"


def signed(value: float) -> str:
    """A change with its sign."""
    return f"{value:+.3g}"


def known(value: object) -> str:
    """A value, or that it is not known."""
    return "unknown" if value is None or value == "" else str(value)
