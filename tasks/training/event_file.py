"""Read the scalars of a TensorBoard event file while a training writes it, with no library but Python's own.

TensorBoard's own reader comes with a web server, gRPC and a program of its own, which each step would
carry along. What is needed of the format is small: records that say their length, and in each the
fields of an `Event` in the encoding of protocol buffers.

Sources: tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto,
framework/summary.proto.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

WHOLE_BITS = (1 << 64) - 1
"""More than these a number does not have, whatever its bytes say."""
LARGEST_BYTES = 1 << 16
"""A record of scalars is smaller; a larger one holds an image, a histogram or a graph, and is passed over."""

HEADER, FOOTER = 12, 4
FLOAT, DOUBLE = 1, 2
POLYNOMIAL, MASK = 0x82F63B78, 0xA282EAD8


class NoEventFile(ValueError):
    """What stands where a record begins is none: the file is something else, or was written over."""


@dataclass(frozen=True)
class Scalar:
    """One point of a curve; `wall_seconds` since 1970."""

    tag: str
    step: int
    value: float
    wall_seconds: float


def read_scalars(file: BinaryIO, start: int, *, most: int) -> tuple[list[Scalar], int]:
    """The scalars of the whole records from `start` on, and where the next record begins.

    Args:
        most: After so many scalars the rest is left for the next call.

    Raises:
        NoEventFile: There is no record at `start`.
    """
    found: list[Scalar] = []
    size = os.fstat(file.fileno()).st_size
    while len(found) < most and start + HEADER + FOOTER <= size:
        file.seek(start)
        header = file.read(HEADER)
        length, checksum = struct.unpack("<QI", header)
        if _masked_crc(header[:8]) != checksum:
            raise NoEventFile(f"at byte {start} no record of TensorBoard's begins")
        if start + HEADER + length + FOOTER > size:
            break
        if length <= LARGEST_BYTES:
            found += _scalars(file.read(length))
        start += HEADER + length + FOOTER
    return found, start


def _scalars(event: bytes) -> Iterator[Scalar]:
    wall, step, summaries = 0.0, 0, []
    for number, value in _fields(event):
        if number == 1 and isinstance(value, bytes):
            (wall,) = struct.unpack("<d", value)
        elif number == 2 and isinstance(value, int):
            step = value - (1 << 64) if value >> 63 else value
        elif number == 5 and isinstance(value, bytes):
            summaries.append(value)
    for summary in summaries:
        for number, value in _fields(summary):
            if number == 1 and isinstance(value, bytes):
                yield from _scalar(value, step, wall)


def _scalar(value: bytes, step: int, wall: float) -> Iterator[Scalar]:
    """A value of a summary, where it is a number: as it always was written, or as a tensor of one (TF 2)."""
    fields = dict(_fields(value))
    tag, simple, tensor, metadata = (fields.get(number) for number in (1, 2, 8, 9))
    number = None
    if isinstance(simple, bytes):
        (number,) = struct.unpack("<f", simple)
    elif isinstance(tensor, bytes) and isinstance(metadata, bytes) and _plugin(metadata) == b"scalars":
        number = _of_tensor(dict(_fields(tensor)))
    if isinstance(tag, bytes) and number is not None:
        yield Scalar(tag.decode(errors="replace"), step, number, wall)


def _plugin(metadata: bytes) -> object:
    data = dict(_fields(metadata)).get(1)
    return dict(_fields(data)).get(1) if isinstance(data, bytes) else None


def _of_tensor(tensor: dict[int, int | bytes]) -> float | None:
    """The number of a tensor that holds one, as float or double; None of any other."""
    kind = tensor.get(1)
    if kind not in (FLOAT, DOUBLE):
        return None
    form, place = ("<f", 5) if kind == FLOAT else ("<d", 6)
    content = tensor.get(4, tensor.get(place))
    if not isinstance(content, bytes) or len(content) != struct.calcsize(form):
        return None
    return float(struct.unpack(form, content)[0])


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message by their numbers; the last of a number counts, where one is expected."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire == 2:
            length, at = _varint(message, at)
        elif wire in {1, 5}:
            length = 8 if wire == 1 else 4
        else:
            raise NoEventFile(f"a field of wire type {wire} is none of a TensorBoard event")
        yield number, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 70:  # ten bytes, the longest that is written
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value & WHOLE_BITS, at
    raise NoEventFile("a number within a record has no end")


def _masked_crc(data: bytes) -> int:
    """CRC-32C of a few bytes, masked as in a record's header."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (POLYNOMIAL if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + MASK) & 0xFFFFFFFF
