"""A file of any folder, read as a landed one is: no landing folder, no table, no platform, no state."""

import tempfile
from pathlib import Path
from typing import IO

from tasks.data.landed_file import MAXIMUM_BYTES, LandedFile, too_large, unpacked
from tasks.data.landing import Arrival
from tasks.data.separators import with_commas
from tasks.errors import DataRejected


def open_plain(path: Path) -> LandedFile:
    """Open a file; one whose name ends with .gz is unpacked into a copy without a name.

    Raises:
        DataRejected: It is damaged, cut off, empty, no file, may not be read, or is too large.
    """
    name = path.name
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise DataRejected(f"{path} is not a file.")
        if size > MAXIMUM_BYTES:
            raise DataRejected(too_large(name, size))
        file: IO[bytes] = path.open("rb")
    except PermissionError as error:
        raise DataRejected(f"{path} may not be read: {error.strerror}.") from error
    if name.lower().endswith(".gz"):
        with file as packed:
            file, size = _unpack(name, packed)
    if size and name.lower().removesuffix(".gz").endswith(".csv"):
        file, size = with_commas(name, file, size)
    if size == 0:
        file.close()
        raise DataRejected(f"{name} is empty.")
    return LandedFile(Arrival(name, ()), name, size, file, in_state_folder=False)


def _unpack(name: str, packed: IO[bytes]) -> tuple[IO[bytes], int]:
    copy, size = tempfile.TemporaryFile(prefix="plain-"), 0  # noqa: SIM115 - the landed file closes it
    try:
        for piece in unpacked(name, packed):
            size += len(piece)
            if size > MAXIMUM_BYTES:
                raise DataRejected(too_large(name, None))  # noqa: TRY301 - the copy is closed below
            copy.write(piece)
    except BaseException:
        copy.close()
        raise
    copy.flush()
    return copy, size
