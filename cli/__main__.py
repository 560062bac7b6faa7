"""`python -m cli`: the command on the platform that the environment names, as in the image of the steps."""

import sys

from tasks.errors import LedgerBroken, PerennialError


def main(words: list[str] | None = None) -> None:
    """Run a word; what went wrong is said in a sentence, without a traceback, and by the exit code.

    Args:
        words: What stands behind `perennial`; None for this process's own arguments.
    """
    from cli.app import load_words
    from cli.exits import BROKEN

    try:
        load_words()(words, prog_name="perennial")
    except LedgerBroken as error:
        _end(error, BROKEN)
    except PerennialError as error:
        _end(error, error.exit_code)


def _end(error: PerennialError, code: int) -> None:
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
