"""Bytes that a step prints, as the lines of a log."""

import codecs
import re
from collections.abc import Iterator

LONGEST_LINE = 8_000


class Lines:
    """Splits a stream into lines as it comes.

    A progress bar's carriage return ends a line too, and a line without an end is cut, so that memory stays
    bounded.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""

    def feed(self, chunk: bytes) -> Iterator[str]:
        """The lines that `chunk` completes."""
        *whole, self._rest = re.split(r"[\r\n]+", self._rest + self._decoder.decode(chunk))
        yield from _cut(whole)
        while len(self._rest) >= LONGEST_LINE:
            yield self._rest[:LONGEST_LINE]
            self._rest = self._rest[LONGEST_LINE:]

    def end(self) -> Iterator[str]:
        """What is left when the stream has ended."""
        rest, self._rest = self._rest + self._decoder.decode(b"", final=True), ""
        yield from _cut([rest])


def _cut(lines: list[str]) -> Iterator[str]:
    for line in filter(str.strip, lines):
        for start in range(0, len(line), LONGEST_LINE):
            yield line[start : start + LONGEST_LINE].rstrip()
