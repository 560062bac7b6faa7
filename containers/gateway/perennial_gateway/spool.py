"""A file to which rows are appended before a request is answered, and out of which they reach the database.

Appending is one `write`: what it has taken survives the end of this process, however it ends, because the
kernel has it. A power cut may cost what the kernel had not yet put on disk (some seconds), unless each append
is synced, which `PERENNIAL_LOG_DURABILITY=power` asks for.

A spool belongs to the process that holds its lock. One whose process was killed is finished by another.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from errno import ENOSPC
from io import FileIO
from pathlib import Path
from typing import Self
from uuid import uuid4

CHUNK_BYTES = 1 << 20
"""About how much is moved in one transaction."""

SUFFIX = ".spool"


class Full(OSError):
    """The spools of a process have reached their limit: the database has not taken anything for long."""


class Spool:
    """One file of lines. Appending is for one thread, reading for another."""

    def __init__(self, path: Path, file: FileIO) -> None:
        self.path = path
        self.end = os.fstat(file.fileno()).st_size
        self._file = file

    @classmethod
    def new(cls, folder: Path) -> Self:
        """A spool of this process in `folder`, locked.

        Raises:
            OSError: The folder cannot be written.
        """
        while True:
            path = folder / f"{uuid4().hex}{SUFFIX}"
            file = open(path, "x+b", buffering=0, opener=_private)  # noqa: SIM115 - it lives as long as this
            fcntl.flock(file, fcntl.LOCK_EX)
            if path.exists():
                return cls(path, file)
            file.close()  # between the two calls another process took it for one left behind

    @classmethod
    def left_behind(cls, folder: Path) -> "Iterator[Self]":
        """The spools in `folder` that no process holds, each locked now."""
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            try:
                file = path.open("r+b", buffering=0)
            except FileNotFoundError:  # its process has just finished it
                continue
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                continue
            if path.exists():
                yield cls(path, file)
            else:
                file.close()

    @staticmethod
    def ends(folder: Path) -> dict[str, int]:
        """How long each spool in `folder` is now, by its name."""
        found = {}
        for path in folder.glob(f"*{SUFFIX}"):
            with suppress(FileNotFoundError):  # its process has just finished it
                found[path.name] = path.stat().st_size
        return found

    def append(self, lines: bytes) -> None:
        """Add whole lines, each with its end.

        Raises:
            OSError: The disk takes no more; none is added.
        """
        try:
            append_whole(self._file, lines, self.path)
        except OSError:
            os.ftruncate(self._file.fileno(), self.end)
            self._file.seek(self.end)
            raise
        self.end += len(lines)

    def sync(self) -> None:
        """Return when everything that was appended is on disk."""
        os.fdatasync(self._file.fileno())

    def read(self, start: int) -> bytes:
        """The whole lines from a place on, at least one and about `CHUNK_BYTES`; empty at the end.

        A line without an end was cut by a kill while it was written, so that nobody was told it is kept.
        """
        wanted = CHUNK_BYTES
        while True:
            found = os.pread(self._file.fileno(), min(wanted, self.end - start), start)
            whole = found.rfind(b"\n") + 1
            if whole or len(found) < wanted:
                return found[:whole]
            wanted *= 2

    def remove(self) -> None:
        """Delete the file; everything in it is in the database. A sync may still be under way."""
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file; another process may finish it."""
        self._file.close()


def append_whole(file: FileIO, lines: bytes, path: Path) -> None:
    """Write all of it at once.

    Raises:
        OSError: The disk takes no more; it may have taken a part.
    """
    written = file.write(lines)
    if written != len(lines):
        raise OSError(ENOSPC, f"The disk took {written} of {len(lines)} bytes", str(path))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
