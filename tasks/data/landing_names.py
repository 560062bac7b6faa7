"""Names in a landing folder: which are files that have landed, and what a second one of a name is called."""

LONGEST_NAME = 240
"""In bytes; file systems hold 255."""

UNFINISHED = (
    ".part",
    ".partial",
    ".filepart",
    ".tmp",
    ".temp",
    ".crdownload",
    ".download",
    "._copying_",
    ".swp",
)
"""Under these endings WinSCP, browsers, Hadoop, editors and scripts write what they rename in the end."""


def is_landed(name: str) -> bool:
    """Whether a name is of a file that its writer has finished; one that starts with a dot is nobody's."""
    return not name.startswith(".") and not name.lower().endswith(UNFINISHED)


def with_number(name: str, number: int) -> str:
    """The `number`-th name for files of this name; the ending stays: `day.csv`, `day~2.csv`, `day~3.csv`."""
    stem, dot, ending = name.partition(".")
    rest = f"~{number}{dot}{ending}"
    room = LONGEST_NAME - len(rest.encode())
    return name if number == 1 else f"{stem.encode()[:room].decode(errors='ignore')}{rest}"
