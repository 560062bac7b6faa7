"""Find the rows of a CSV file whose quotes break the rules of RFC 4180.

A quote opens a value at its very start, and closes it at its very end; one inside is doubled. A value
without quotes around it may have some inside: they mean nothing. Files of MySQL and Redshift write `\\"`
instead, which other readers take for the end of the value and then bend what follows.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator
from typing import IO

import numpy as np

from tasks.data.landed_file import LandedFile, reading
from tasks.data.landed_rows import READABLE, ROW_BYTES
from tasks.data.quarantine import BrokenRow
from tasks.data.text_file import require_utf8
from tasks.errors import DataRejected

MOST_BROKEN_BYTES = 64 << 20
QUOTE, COMMA, LF, CR = (ord(character) for character in '",\n\r')
Open = Callable[[], IO[bytes]]
WITHIN_QUOTES = (
    "ends within quotes: it is cut off, or a quote opens a value and none closes it. Land it again, whole, "
    'and with a quote inside of a value doubled: "".'
)

AROUND = np.isin(np.arange(256), [QUOTE, COMMA, LF, CR])
"""What stands before an opening and behind a closing quote; beside another quote it is a doubled one."""


def without_broken_quotes(landed: LandedFile) -> tuple[Open, list[BrokenRow]]:
    """What opens the file without the rows whose quotes break the rules, and those rows.

    Of a row of several lines each line is one of them: where a quote was not closed, they were rows.

    Raises:
        DataRejected: The file ends within quotes, its header breaks the rules, or too much of it does.
    """
    if _all_quotes_are_strict(landed):
        return landed.open, []
    kept = landed.file_for_a_part()
    try:
        broken = list(_sorted_out(landed, kept))
    except UnicodeDecodeError:
        kept.close()
        require_utf8(landed)
        raise
    except BaseException:
        kept.close()
        raise
    kept.flush()
    return lambda: reading(kept, kept.tell()), broken


def _all_quotes_are_strict(landed: LandedFile) -> bool:
    """Whether each quote is where the rules want it.

    Raises:
        DataRejected: They are, but the last one opens.
    """
    seen, before = 0, LF
    for piece in _pieces_with_the_next_byte(landed):
        if QUOTE in piece:
            found = np.frombuffer(piece, dtype=np.uint8)
            places = np.flatnonzero(found[:-1] == QUOTE)
            opens = (np.arange(seen, seen + len(places)) % 2) == 0
            previous = np.where(places > 0, found[places - 1], before)
            if not AROUND[np.where(opens, previous, found[places + 1])].all():
                return False
            seen += len(places)
        before = piece[-2]
    if seen % 2:
        raise DataRejected(f"{landed.name} {WITHIN_QUOTES}")
    return True


def _pieces_with_the_next_byte(landed: LandedFile) -> Iterator[bytes]:
    """The file in pieces, each with the first byte of the one that follows; the last with a line's end."""
    rest = b""
    for piece in landed.pieces():
        if len(whole := rest + piece) > 1:
            yield whole
            rest = whole[-1:]
        else:
            rest = whole
    yield rest + b"\n"


def _sorted_out(landed: LandedFile, kept: IO[bytes]) -> Iterator[BrokenRow]:
    """Write the rows that are read strictly into `kept`, and give the others."""
    lines = _Lines(landed)
    rows = csv.reader(lines, strict=True)
    number, broken_bytes = 0, 0
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                raise DataRejected(f"{landed.name} {WITHIN_QUOTES}") from error
            if number == 0:
                raise DataRejected(f"{landed.name}: the header cannot be read: {error}.") from error
            for line in lines.taken():
                broken_bytes += len(line)
                _require_few(landed, broken_bytes)
                yield BrokenRow(
                    number, json.dumps(line), READABLE, f"The quotes of the row break the rules: {error}."
                )
                number += 1
        else:
            kept.write("".join(lines.taken()).encode())
            number += bool(row)  # a blank line is no row


class _Lines:
    """The lines of a file as text, with those that were taken for one row."""

    def __init__(self, landed: LandedFile) -> None:
        self._name = landed.name
        self._text = io.TextIOWrapper(landed.open(), encoding="utf-8-sig", newline="")
        self._taken: list[str] = []
        self._length = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._text.readline(ROW_BYTES)
        self._length += len(line)
        if self._length >= ROW_BYTES:
            raise DataRejected(
                f"{self._name} has a row that is longer than {ROW_BYTES >> 20} MiB: a quote may lack its "
                "other half. Correct the row."
            )
        if not line:
            raise StopIteration
        self._taken.append(line)
        return line

    def taken(self) -> list[str]:
        """The lines since the last time."""
        taken, self._taken, self._length = self._taken, [], 0
        return taken


def _require_few(landed: LandedFile, broken_bytes: int) -> None:
    if broken_bytes > MOST_BROKEN_BYTES:
        raise DataRejected(
            f"{landed.name}: the quotes of more than {MOST_BROKEN_BYTES >> 20} MiB of its rows break the "
            'rules. Double a quote that stands inside of quotes: "".'
        )
