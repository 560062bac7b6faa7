"""`python -m cli`: the command on the platform that the environment names, as in the image of the steps."""

import sys
from typing import NoReturn

from cli.exits import BROKEN
from tasks.errors import LedgerBroken, PerennialError


def main(words: list[str] | None = None) -> None:
    """Run a word; what went wrong is said in a sentence, without a traceback, and by the exit code.

    Args:
        words: What stands behind `perennial`; None for this process's own arguments.
    """
    from cli.app import load_words

    try:
        load_words()(words, prog_name="perennial")
    except PerennialError as error:
        end(error)


def end(error: PerennialError) -> NoReturn:
    """Say what went wrong, and end with its code."""
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    sys.exit(BROKEN if isinstance(error, LedgerBroken) else error.exit_code)


if __name__ == "__main__":
    main()
