"""W3C trace context: which trace of the caller's a request belongs to.

A request that brings none gets none: what is of no trace needs no id.

Source: Trace Context, W3C Recommendation of 23 November 2021, section 3.2.
"""

from collections.abc import Iterable
from typing import NamedTuple

VERSION_00_BYTES = 55
DIGITS = frozenset(b"0123456789abcdef")


class Trace(NamedTuple):
    """A trace context that was sent.

    Attributes:
        parent: The header `traceparent`, which goes on to the backend, and back to the caller: as it came, or
            where it is of a later version of the standard, as this one has it.
        trace_id: 32 hexadecimal digits, as the log keeps them.
    """

    parent: bytes
    trace_id: str


def trace_of(headers: Iterable[tuple[bytes, bytes]]) -> Trace | None:
    """The trace context of a request; None for none, and for one that breaks the standard, which says to
    go on as if it had not been sent.

    Args:
        headers: As ASGI has them: names in lower case.
    """
    for name, value in headers:
        if name == b"traceparent":
            return parse(value)
    return None


def parse(value: bytes) -> Trace | None:
    """Read a `traceparent`: `00-<32 hexadecimal digits>-<16>-<2>`, in lower case; None for anything else.

    A later version may have more after that, behind a hyphen, which is left out; version ff is none.
    """
    if len(value) < VERSION_00_BYTES or value[2:3] + value[35:36] + value[52:53] != b"---":
        return None
    version, trace_id, parent_id, flags = value[:2], value[3:35], value[36:52], value[53:55]
    if not DIGITS.issuperset(version + trace_id + parent_id + flags) or version == b"ff":
        return None
    if not trace_id.strip(b"0") or not parent_id.strip(b"0"):
        return None
    if len(value) > VERSION_00_BYTES and (version == b"00" or value[55:56] != b"-"):
        return None
    return Trace(b"00" + value[2:VERSION_00_BYTES], trace_id.decode())
