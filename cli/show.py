"""How what was found is shown: a table for people, tab-separated lines in a pipe, JSON for programs."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Timer
from typing import TYPE_CHECKING, Any

import typer
from pydantic_core import to_jsonable_python

if TYPE_CHECKING:
    from rich.table import Table

Row = Sequence[object]
GAP = 2
LAST_COLUMN = 24
"""Characters that the last column, the sentence, needs at least."""
PATIENCE_SECONDS = 1.0
"""After so long somebody who cannot see a terminal, too, is told what is being done."""


def as_json(document: Any) -> None:
    """Print one JSON document: contracts and plain values."""
    plain = to_jsonable_python(document, inf_nan_mode="strings", serialize_unknown=True)
    told = json.dumps(plain, indent=2, ensure_ascii=False)
    # Half of a pair of surrogates, which JSON can name and UTF-8 cannot write.
    typer.echo(told.encode("utf-8", "backslashreplace").decode())


def table(columns: Sequence[str], rows: Sequence[Row], *, nothing: str) -> None:
    """Print rows below their columns; in a pipe each as one tab-separated line, whole, with no colours.

    Args:
        nothing: What a person is told where there are no rows.
    """
    if not sys.stdout.isatty():
        for line in (columns, *rows):
            typer.echo("\t".join(_in_one_line(value) for value in line))
        return
    if not rows:
        typer.echo(nothing)
        return
    from rich.console import Console

    console, texts = Console(highlight=False), [[_text(value) for value in row] for row in rows]
    if _width(columns, texts) + LAST_COLUMN <= console.width:
        console.print(_side_by_side(columns, texts))
    else:
        for row in texts:
            console.print(_one_below_the_other(columns, row))


def _width(columns: Sequence[str], texts: list[list[str]]) -> int:
    """What all columns but the last one need."""
    return sum(max(len(line[place]) for line in (columns, *texts)) + GAP for place in range(len(columns) - 1))


def _side_by_side(columns: Sequence[str], texts: list[list[str]]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, GAP, 0, 0))
    for column in columns:
        made.add_column(column, no_wrap=column != columns[-1], overflow="fold")
    for row in texts:
        made.add_row(*map(Text, row))
    return made


def _one_below_the_other(columns: Sequence[str], row: list[str]) -> "Table":
    """A row of its own, for a terminal that is too narrow: each value beside its column's name."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, show_header=False, padding=(0, GAP, 0, 0))
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for column, value in zip(columns, row, strict=True):
        made.add_row(column, Text(value))
    made.add_row("", "")
    return made


def tell(sentence: str) -> None:
    """Say something to a person beside what is shown, on standard error: it is never part of a pipe."""
    typer.echo(sentence, err=True)


def trouble(sentence: str) -> None:
    """Say what is wrong, in colour where that is a terminal."""
    typer.secho(sentence, err=True, fg=typer.colors.RED)


@contextmanager
def at_work(sentence: str, *, json: bool) -> Iterator[None]:
    """Say what is being done on standard error: at once where that is a terminal, else where it takes long.

    Args:
        json: Whether a program asked, who is told nothing.
    """
    if json:
        yield
        return
    if sys.stderr.isatty():
        tell(sentence)
        yield
        return
    waiting = Timer(PATIENCE_SECONDS, tell, [sentence])
    waiting.daemon = True
    waiting.start()
    try:
        yield
    finally:
        waiting.cancel()


def _text(value: object) -> str:
    """As text without control characters: a file's name, or a person's reason, must not steer a terminal."""
    if value is None or value == "":
        return "-"
    return "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in str(value))


def _in_one_line(value: object) -> str:
    return " ".join(_text(value).split())
