"""How the server and a worker talk over their socket: frames of a length, a kind and parts.

A frame is the length of what follows (4 bytes, little-endian), one byte that says its kind, the number of
parts (4 bytes), the status and the length of each part (2 and 4 bytes), and the parts. Lengths are those of
one machine: both ends are started by one program.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO

LENGTH = struct.Struct("<I")
PART = struct.Struct("<HI")

WORK, ORDER, READY, FAILED, ANSWERS = b"W", b"O", b"R", b"F", b"A"

Part = tuple[int, bytes]
"""An HTTP status, 0 in a request, and a body."""


def pack(kind: bytes, parts: Iterable[Part]) -> bytes:
    """One frame."""
    listed = list(parts)
    heads = [PART.pack(status, len(body)) for status, body in listed]
    content = b"".join([kind, LENGTH.pack(len(listed)), *heads, *(body for _, body in listed)])
    return LENGTH.pack(len(content)) + content


def unpack(content: bytes) -> tuple[bytes, list[Part]]:
    """The kind and the parts of a frame's content, which is what follows its length."""
    count = LENGTH.unpack_from(content, 1)[0]
    start = 1 + LENGTH.size + count * PART.size
    parts = []
    for status, length in PART.iter_unpack(content[1 + LENGTH.size : start]):
        parts.append((status, content[start : start + length]))
        start += length
    return content[:1], parts


def read(stream: BinaryIO) -> bytes | None:
    """The content of the next frame of a blocking stream; None at its end."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    content = stream.read(LENGTH.unpack(head)[0])
    return content if len(content) == LENGTH.unpack(head)[0] else None


class Buffer:
    """What has come of a stream so far."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The contents of the frames that are whole now."""
        held = self._bytes
        held += data
        while len(held) >= LENGTH.size and len(held) >= LENGTH.size + (length := LENGTH.unpack_from(held)[0]):
            content = bytes(held[LENGTH.size : LENGTH.size + length])
            del held[: LENGTH.size + length]
            yield content
