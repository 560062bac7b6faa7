"""CSV whose values are separated by semicolons, tabs or bars, written again with commas.

Spreadsheets of half of the world write semicolons, because their numbers have a decimal comma. A landed file
has to have commas, as its table's contract says; a plain file has no contract, and is read as what it is.
"""

import csv
import io
import re
import tempfile
from typing import IO

from tasks.errors import DataRejected

OTHERS = (";", "\t", "|")
DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
MOST_IN_HEADER = 4 << 20
"""Bytes of a first line that are looked at."""
MOST_IN_VALUE = 1 << 30


def with_commas(name: str, file: IO[bytes], size: int) -> tuple[IO[bytes], int]:
    """The file and its size in bytes; a copy without a name where it has another separator than the comma.

    Raises:
        DataRejected: It has another separator, and cannot be read with it.
    """
    separator = separator_of(file.readline(MOST_IN_HEADER))
    file.seek(0)
    if separator is None:
        return file, size
    copy = tempfile.TemporaryFile(prefix="plain-")  # noqa: SIM115 - the landed file closes it
    try:
        with file:
            _write_again(file, copy, separator)
    except csv.Error as error:
        copy.close()
        told = f"{name} is separated by {separator!r} and cannot be read: {error}. Write it with commas."
        raise DataRejected(told) from error
    except BaseException:
        copy.close()
        raise
    written = copy.tell()
    copy.seek(0)
    return copy, written


def separator_of(header: bytes) -> str | None:
    """What separates the names of a first line, where it is no comma."""
    line = header.decode("utf-8-sig", "replace").rstrip("\r\n")
    names = {each: len(next(csv.reader([line], delimiter=each), [])) for each in (",", *OTHERS)}
    most = max(OTHERS, key=lambda each: names[each])
    return most if names[","] == 1 and names[most] > 1 else None


def _write_again(file: IO[bytes], copy: IO[bytes], separator: str) -> None:
    """Bytes that are no UTF-8 go through as they are: the reader of the copy tells of them."""
    csv.field_size_limit(MOST_IN_VALUE)
    read = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
    written = io.TextIOWrapper(copy, "utf-8", errors="surrogateescape", newline="")
    write = csv.writer(written, lineterminator="\n")
    for row in csv.reader(read, delimiter=separator):
        write.writerow([_with_point(value) for value in row] if separator == ";" else row)
    written.detach()


def _with_point(value: str) -> str:
    return value.replace(",", ".") if DECIMAL_COMMA.fullmatch(value) else value
