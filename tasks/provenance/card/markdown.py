"""A card as Markdown: whole for the run's artifacts, and shortened for MLflow's page of the version.

Whatever data, people and models say is escaped, so that it is text there: no link, no picture, no markup.
"""

import re
from collections.abc import Iterable, Iterator

from tasks.contracts import ModelCard
from tasks.provenance.card.sections import sections_of
from tasks.provenance.card.told import Section, Table

SPECIAL = re.compile(r"([\\`*_\[\]#|~<>&$@]|:(?=//)|(?<=www)\.)")
BEGINS_BLOCK = re.compile(r"^(\d*)([-+=.)])(?=\s|$|[-=])")
LONGEST_DESCRIPTION = 5000
"""MLflow's database keeps so many characters of a version's description."""
WHOLE = "\nThe whole card is the artifact `card/card.md` of the version's run; `card/card.html` is a page.\n"
NOT_ON_MLFLOW = "rows"
"""The section that has values of single rows: whoever may see MLflow's page need not see them."""


def markdown_of(card: ModelCard) -> str:
    """The whole card."""
    return _title(card) + "".join(map(_section, sections_of(card)))


def description_of(card: ModelCard) -> str:
    """As much as MLflow keeps: those whole sections that fit, in their order, without single rows."""
    text = _title(card)
    for section in sections_of(card):
        more = _section(section)
        if section.key != NOT_ON_MLFLOW and len(text) + len(more) + len(WHOLE) <= LONGEST_DESCRIPTION:
            text += more
    return text + WHOLE


def escaped(text: str) -> str:
    """One line of text that Markdown shows as it is."""
    return BEGINS_BLOCK.sub(r"\1\\\2", SPECIAL.sub(r"\\\1", " ".join(text.split())))


def _title(card: ModelCard) -> str:
    return f"# Model card: {escaped(card.model)}, version {escaped(card.version)}\n"


def _section(section: Section) -> str:
    return f"\n## {escaped(section.title)}\n" + "".join(_blocks(section))


def _blocks(section: Section) -> Iterator[str]:
    for text in section.texts:
        yield f"\n{escaped(text)}\n"
    if section.points:
        yield "\n" + "".join(f"- {escaped(point)}\n" for point in section.points)
    if section.fields:
        yield "\n" + "".join(f"- {escaped(name)}: {escaped(value)}\n" for name, value in section.fields)
    for table in section.tables:
        yield from _table(table)


def _table(table: Table) -> Iterator[str]:
    yield f"\n{escaped(table.title)}\n\n" if table.title else "\n"
    yield _line(map(escaped, table.columns)) + _line("---" for _ in table.columns)
    yield from (_line(map(escaped, row)) for row in table.rows)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |\n"
