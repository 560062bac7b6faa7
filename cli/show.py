"""How what was found is shown: a table for people, tab-separated lines in a pipe, JSON for programs."""

import json
import sys
from collections.abc import Sequence
from typing import Any

import typer
from pydantic_core import to_jsonable_python

Row = Sequence[object]


def as_json(document: Any) -> None:
    """Print one JSON document: contracts and plain values."""
    plain = to_jsonable_python(document, inf_nan_mode="strings", serialize_unknown=True)
    typer.echo(json.dumps(plain, indent=2, ensure_ascii=False))


def table(columns: Sequence[str], rows: Sequence[Row], *, nothing: str) -> None:
    """Print rows below their columns; in a pipe each as one tab-separated line, whole, with no colours.

    Args:
        nothing: What a person is told where there are no rows.
    """
    if not sys.stdout.isatty():
        for line in (columns, *rows):
            typer.echo("\t".join(_in_one_line(value) for value in line))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        typer.echo(nothing)
        return
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        made.add_column(column, no_wrap=number == 0, overflow="fold")
    for row in rows:
        made.add_row(*(Text(_text(value)) for value in row))
    Console(highlight=False).print(made)


def tell(sentence: str) -> None:
    """Say something to a person beside what is shown, on standard error: it is never part of a pipe."""
    typer.echo(sentence, err=True)


def trouble(sentence: str) -> None:
    """Say what is wrong, in colour where that is a terminal."""
    typer.secho(sentence, err=True, fg=typer.colors.RED)


def _text(value: object) -> str:
    return "-" if value is None or value == "" else str(value)


def _in_one_line(value: object) -> str:
    return " ".join(_text(value).split())
