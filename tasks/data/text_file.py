"""What the readers of text ask of a file."""

import codecs
from itertools import chain

from tasks.data.landed_file import LandedFile
from tasks.errors import DataRejected


def require_utf8(landed: LandedFile) -> None:
    """Refuse a file that is not UTF-8.

    Raises:
        DataRejected: The message says which byte is not.
    """
    decoder, before = codecs.getincrementaldecoder("utf-8")(), 0
    for piece in chain(landed.pieces(), [b""]):
        held = len(decoder.getstate()[0])
        try:
            decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            byte, found = before - held + error.start, error.object[error.start]
            raise DataRejected(
                f"{landed.name} is not UTF-8 text: byte {byte} is {found:#04x}. Write it as UTF-8."
            ) from error
        before += len(piece)


def ends_with_newline(landed: LandedFile) -> bool:
    with landed.open() as file:
        file.seek(-1, 2)
        return file.read(1) in {b"\n", b"\r"}
