"""The Typer application that every word joins, and the options that all of them share."""

import importlib
from typing import TYPE_CHECKING, Annotated

import typer

from cli import __version__

if TYPE_CHECKING:
    from cli.place import Place

WORDS = (
    "status",
    "why",
    "lineage",
    "card",
    "pack",
    "verify",
    "models",
    "ledger",
    "train",
    "release",
    "rollback",
    "ab",
    "answer",
    "approve",
    "decide",
    "breaker",
    "silence",
    "token",
    "triggers",
    "recall",
    "reproduce",
    "image",
    "withdraw",
    "open_",
    "check_data",
    "check_drift",
)

app = typer.Typer(
    name="perennial",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document for programs, instead of a table.")]


def require_reason(why: str) -> str:
    """Refuse a blank reason, as a word that was called wrongly."""
    if not why.strip():
        raise typer.BadParameter("say why in a sentence: the ledger keeps it.")
    return why


SAID = "A sentence that says why; the ledger keeps it."
Why = Annotated[str, typer.Option("--why", help=SAID, callback=require_reason)]
WhyIfAny = Annotated[str, typer.Option("--why", help=SAID, show_default=False)]
"""Of a verb that may also only look, and asks for the reason itself."""


@app.callback()
def perennial(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Say which version this is.")] = False,
) -> None:
    """Ask a Perennial platform what serves and why, and act on it."""
    if version:
        typer.echo(_told_version())
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def place_of(context: typer.Context) -> "Place":
    """Where the platform is that is asked.

    Raises:
        InvalidSettings: A variable of the environment or of .env is wrong.
    """
    from cli.place import Place

    found: Place = context.find_root().ensure_object(Place)
    return found


def _told_version() -> str:
    from tasks.runtime.code_version import code_commit
    from tasks.settings import PROJECT

    commit = code_commit(PROJECT)
    return f"perennial {__version__}" + (f", commit {commit}" if commit else "")


def load_words() -> typer.Typer:
    """The application with every word."""
    for word in WORDS:
        importlib.import_module(f"cli.{word}")
    return app
