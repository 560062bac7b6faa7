"""The reference of the command: every word with its arguments and options, from what `--help` says."""

from collections.abc import Iterator
from typing import Any

import typer

from cli.app import load_words
from handbook.markdown import code, page, table

INTRODUCTION = """What `perennial WORD --help` says of every word. [command.md](command.md) shows them at
work, with what they print and with which code they end."""


def reference() -> str:
    """The page docs/reference-command.md."""
    command = typer.main.get_command(load_words())
    return page("Every word of the command", "the words' docstrings in cli/", INTRODUCTION, *_words(command))


def _words(group: Any, above: str = "perennial") -> Iterator[str]:
    for name, word in sorted(group.commands.items()):  # not as their modules came to be imported
        yield f"## {above} {name}" if above == "perennial" else f"### {above} {name}"
        yield from _word(f"{above} {name}", word)
        if getattr(word, "commands", None):
            yield from _words(word, f"{above} {name}")


def _word(called: str, word: Any) -> Iterator[str]:
    yield " ".join((word.help or "").split())
    arguments = [each for each in word.params if each.param_type_name == "argument"]
    options = [each for each in word.params if each.param_type_name == "option" and not each.hidden]
    yield code(" ".join([called, *(["[OPTIONS]"] if options else []), *map(_argument, arguments)]))
    if arguments or options:
        yield table(("argument or option", "default", "says"), map(_row, [*arguments, *options]))


def _argument(argument: Any) -> str:
    name = _name(argument) + ("..." if argument.nargs != 1 else "")
    return name if argument.required else f"[{name}]"


def _name(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _row(parameter: Any) -> tuple[str, str, str]:
    if parameter.param_type_name == "argument":
        shown = _argument(parameter)
    else:
        value = "" if parameter.is_flag else f" {_name(parameter)}"
        shown = ", ".join([*parameter.opts, *parameter.secondary_opts]) + value
    return code(shown), _default(parameter), " ".join((parameter.help or "").split())


def _default(parameter: Any) -> str:
    if parameter.required:
        return "has to be given"
    default = parameter.default
    return "" if callable(default) or default in (None, False, "", [], ()) else code(default)
