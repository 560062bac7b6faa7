"""`python -m cli`: the command on the platform that the environment names, as in the image of the steps."""

import contextlib
import errno
import os
import sys
from typing import NoReturn

from cli.exits import AWAY, BROKEN, FAULT
from tasks.errors import DatabaseAway, LedgerBroken, PerennialError, RegistryError, StoreUnreachable
from tasks.runtime.leaving import run_and_leave

DATABASE_WAIT, PATIENCE_SECONDS = "PERENNIAL_DATABASE_WAIT_SECONDS", "10"
"""A person waits for less long than a step does."""
NOT_WRITTEN = frozenset({errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG, errno.EBADF})
"""What standard output says that takes no more."""
MOST_LETTERS = 300
"""Of what MLflow's client says, which may quote a whole page."""


def main(words: list[str] | None = None) -> None:
    """Run a word; what went wrong is said in a sentence, without a traceback, and by the exit code.

    Args:
        words: What stands behind `perennial`; None for this process's own arguments.
    """
    _open_what_is_closed()
    try:
        try:
            _run(words)
        finally:
            sys.stdout.flush()  # the interpreter would do it at its end, where nobody can say what failed
    except PerennialError as error:
        end(error)
    except OSError as error:
        if error.errno not in NOT_WRITTEN or error.filename is not None:
            raise
        _end_unwritten(error)


def _open_what_is_closed() -> None:
    """Put something in the place of an output that was closed (`>&-`): the next file that is opened, a
    database, would be in that place, and what is written to it, too.
    """
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")  # which takes nothing
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")


def _run(words: list[str] | None) -> None:
    from cli.app import load_words
    from tasks.stores.faults import explain

    os.environ.setdefault(DATABASE_WAIT, PATIENCE_SECONDS)
    try:
        load_words()(words, prog_name="perennial")
    except Exception as error:
        if told := _of_database(error) or _of_mlflow(error) or explain(error):
            raise told from error
        raise


def _of_database(error: Exception) -> PerennialError | None:
    """A database that went away between two looks; nobody imports its library only to ask this."""
    library = sys.modules.get("sqlalchemy.exc")
    if library is None or not isinstance(error, library.DBAPIError):
        return None
    return DatabaseAway(f"The platform's database does not answer as it should: {error.orig}")


def _of_mlflow(error: Exception) -> PerennialError | None:
    """MLflow that does not answer, or refuses, where a word asks it by its own client."""
    library = sys.modules.get("mlflow.exceptions")
    if library is None or not isinstance(error, library.MlflowException):
        return None
    said = str(error).partition("\n")[0][:MOST_LETTERS]
    return RegistryError(f"MLflow does not answer as it should: {said} See what runs: make status.")


def end(error: PerennialError) -> NoReturn:
    """Say what went wrong, and end with its code."""
    with contextlib.suppress(OSError):
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    codes = ((LedgerBroken, BROKEN), (DatabaseAway, AWAY), (StoreUnreachable, AWAY))
    sys.exit(next((code for kind, code in codes if isinstance(error, kind)), error.exit_code))


def _end_unwritten(error: OSError) -> NoReturn:
    """Say that the output was not taken; who closed the pipe, like `head`, knows it."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.errno != errno.EPIPE:
        with contextlib.suppress(OSError):
            print(f"What was asked for cannot be written: {error.strerror}.", file=sys.stderr)
    sys.exit(FAULT)


if __name__ == "__main__":
    run_and_leave(main)
