"""A landed file as it is judged: a private copy, unpacked, that no writer and no other ingest can change.

Its size is known before it is read, and it is read once, by pieces. The copy has no name in the file system,
so that nothing is left of it however its process ends.
"""

import gzip
import hashlib
import io
import os
import tempfile
import zlib
from collections.abc import Iterator
from typing import IO, Any

from tasks.data.landing import Arrival, Landing
from tasks.errors import DataRejected
from tasks.settings import settings
from tasks.stores import files

MAXIMUM_BYTES = 1 << 30
PIECE_BYTES = 4 << 20


class LandedFile:
    """The unpacked bytes of a file.

    Attributes:
        arrival: The file itself, as it was when it was copied.
        batch_id: The name of its content.
        size: Of the content, in bytes.
    """

    def __init__(
        self, arrival: Arrival, batch_id: str, size: int, copy: IO[bytes], *, in_state_folder: bool = True
    ) -> None:
        """`in_state_folder`: where copies of parts go; else into the machine's folder for such files."""
        self.arrival = arrival
        self.batch_id = batch_id
        self.size = size
        self._copy = copy
        self._in_state_folder = in_state_folder

    @property
    def name(self) -> str:
        return self.arrival.name

    def open(self) -> IO[bytes]:
        """The content from its start; several readers do not disturb each other."""
        return reading(self._copy, self.size)

    def file_for_a_part(self) -> IO[bytes]:
        """A file of this process alone that can hold a part of the content."""
        return nameless_file() if self._in_state_folder else tempfile.TemporaryFile(prefix="plain-")

    def pieces(self) -> Iterator[bytes]:
        """The content piece by piece."""
        with self.open() as file:
            while piece := file.read(PIECE_BYTES):
                yield piece

    def __enter__(self) -> "LandedFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._copy.close()


def reading(file: IO[bytes], size: int) -> IO[bytes]:
    """An open file from its start, once more; it stays open when the reader is done."""
    return io.BufferedReader(_Reading(file.fileno(), size), buffer_size=1 << 16)


class _Reading(io.RawIOBase):
    """Reads an open file from places of its own: a file without a name cannot be opened again."""

    def __init__(self, descriptor: int, size: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._size = size
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = os.preadv(self._descriptor, [buffer], self._place)
        self._place += count
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = start + offset
        return self._place

    def tell(self) -> int:
        return self._place


def nameless_file() -> IO[bytes]:
    """A file of this process alone, in the state folder."""
    settings().home.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=settings().home, prefix="landed-")


def take(landing: Landing, arrival: Arrival) -> LandedFile | None:
    """Copy a file, unpacked where its name ends with .gz.

    Returns:
        None where it is gone, or has changed while it was read: it is not finished, and waits.

    Raises:
        DataRejected: It is damaged, cut off, empty, may not be read, or is larger than `MAXIMUM_BYTES`.
    """
    name = arrival.name
    if files.size_of(arrival.state) > MAXIMUM_BYTES:
        raise DataRejected(too_large(name, files.size_of(arrival.state)))
    copy = nameless_file()
    try:
        landed = _copy(landing, arrival, copy)
    except FileNotFoundError:
        landed = None
    except PermissionError as error:
        copy.close()
        if not files.is_local(landing.url):
            raise
        raise DataRejected(
            f"{name} may not be read: {error.strerror}. Land it again, readable for everybody."
        ) from None
    except BaseException:
        copy.close()
        raise
    if landed is None or landing.state(name) != arrival.state:
        copy.close()
        return None
    return landed


def _copy(landing: Landing, arrival: Arrival, copy: IO[bytes]) -> LandedFile:
    name, packed, content, size = arrival.name, hashlib.sha256(), hashlib.sha256(), 0
    with (landing.url / name).open("rb") as file:
        source = _Hashed(file, packed)
        for piece in unpacked(name, source) if name.lower().endswith(".gz") else source:
            size += len(piece)
            if size > MAXIMUM_BYTES:
                raise DataRejected(too_large(name, None))
            content.update(piece)
            copy.write(piece)
    if size == 0:
        raise DataRejected(f"{name} is empty. Land it again with its rows.")
    landed = arrival._replace(sha256=packed.hexdigest())
    copy.flush()
    return LandedFile(landed, content.hexdigest()[:32], size, copy)


class _Hashed:
    """A file that is read to its end, by pieces, and hashed on the way."""

    def __init__(self, file: Any, digest: "hashlib._Hash") -> None:
        self._file = file
        self._digest = digest

    def read(self, size: int = PIECE_BYTES) -> bytes:
        piece: bytes = self._file.read(size)
        self._digest.update(piece)
        return piece

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.read, b"")


def unpacked(name: str, packed: Any) -> Iterator[bytes]:
    """The content of a gzipped file, piece by piece.

    Raises:
        DataRejected: It is damaged or cut off.
    """
    try:
        with gzip.GzipFile(fileobj=packed, mode="rb") as file:
            while piece := file.read(PIECE_BYTES):
                yield piece
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataRejected(
            f"{name} cannot be unpacked: {error}. It is damaged or cut off; land it again."
        ) from error


def too_large(name: str, size: int | None) -> str:
    """Why a file of this size is not read; None for one that is larger when it is unpacked."""
    found = f"{size >> 20:,} MiB" if size else f"more than {MAXIMUM_BYTES >> 20} MiB unpacked"
    return f"{name} is {found}; at most {MAXIMUM_BYTES >> 20} MiB are read. Land it in parts."
