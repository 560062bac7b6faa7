"""Names in a landing folder: which are files that have landed, and what a second one of a name is called."""

from tasks.stores.files import NAME_BYTES

LONGEST_NAME = 240
"""How long a name is made here, in bytes; file systems hold `NAME_BYTES`."""

LONGEST_ENDING = 16
"""In bytes, without its dot."""

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
    """The `number`-th name for files of this name; the ending stays: `day.csv`, `day~2.csv`, `day~3.csv`.

    A name that file systems have no room for is cut before that; it may be another one's then, which the next
    number is not.
    """
    if number == 1 and len(name.encode()) <= NAME_BYTES:
        return name
    ending = _ending_of(name)
    rest = f"~{number}{ending}" if number > 1 else ending
    stem = name.removesuffix(ending).encode()[: LONGEST_NAME - len(rest.encode())]
    return f"{stem.decode(errors='ignore')}{rest}"


def _ending_of(name: str) -> str:
    """`.csv`, also `.csv.gz`. What is longer than an ending is a part of the name."""
    packed = name[-len(".gz") :] if name.lower().endswith(".gz") else ""
    stem, dot, kind = name.removesuffix(packed).rpartition(".")
    return f"{dot}{kind}{packed}" if stem and len(kind.encode()) <= LONGEST_ENDING else packed
