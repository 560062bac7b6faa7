"""The command `perennial`: what a person, or a program, asks the platform from a shell.

One file a word, and no logic: a word reads its arguments, calls `tasks` or Airflow's REST API, and shows what
came back. `./perennial` finds the platform and starts `cli.__main__`; the package is not called like the
command, because a folder and a file of one name cannot lie side by side.

A word is added in two steps:

1. a module of its name, with a function below `@app.command()` of `cli.app` that is called like it (`why` in
   `cli/why.py`); a word that is one of Python's has an underscore behind it there, and says its name to the
   decorator;
2. its module in `WORDS` of `cli.app`, in the place that it has in `--help`.

The function takes `typer.Context` first and calls `place_of(context)` where it needs to know where the
platform is; `tasks.settings`, MLflow's client and all else that reads the environment are pointed to it
already. It

- imports inside itself what is more than Typer, so that `--help` stays quick;
- shows what it found by `cli.show`: a table for people, tab-separated lines in a pipe, one JSON document with
  `--json`;
- writes a file as `typer.FileTextWrite`: the command may run in a container, which sees no folder of the
  caller's, so that `--html - > page.html` has to work;
- raises a `PerennialError`, whose sentence and exit code `cli.__main__` gives to the shell; `cli.exits` lists
  the codes.
"""

__version__ = "0.1.0"
