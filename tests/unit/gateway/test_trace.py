"""A trace context is handed on as it came, and one that breaks the standard is as if it had not been sent."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from perennial_gateway.trace import Trace, parse, trace_of

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SENT = f"00-{TRACE}-{PARENT}-01".encode()


@pytest.mark.parametrize("value", [SENT, SENT[:-1] + b"0"])
def test_a_trace_context_is_read_and_kept_as_it_came(value: bytes) -> None:
    assert parse(value) == Trace(value, TRACE)
    assert trace_of([(b"host", b"a"), (b"traceparent", value)]) == Trace(value, TRACE)


@pytest.mark.parametrize(
    "value", [b"01" + SENT[2:], b"cc" + SENT[2:] + b"-what-else", b"01" + SENT[2:] + b"-\xff" * 4000]
)
def test_a_context_of_a_later_version_goes_on_as_one_of_this(value: bytes) -> None:
    assert parse(value) == Trace(SENT, TRACE)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        SENT[:-1],
        SENT + b"-more",
        b"01" + SENT[2:] + b"more",
        b"ff" + SENT[2:],
        SENT.upper(),
        SENT.replace(TRACE.encode(), b"0" * 32),
        SENT.replace(PARENT.encode(), b"0" * 16),
        SENT.replace(b"-", b"_"),
        SENT.replace(b"4bf9", b"4bg9"),
        SENT.replace(b"4bf9", "4bé".encode()),
        b" " + SENT[1:],
        b"-" * 55,
    ],
)
def test_what_breaks_the_standard_is_no_trace(value: bytes) -> None:
    assert parse(value) is None
    assert trace_of([(b"traceparent", value)]) is None


@given(st.binary(max_size=80))
def test_whatever_is_sent_is_read_or_is_no_trace(value: bytes) -> None:
    found = parse(value)
    assert found is None or (len(found.trace_id) == 32 and found.parent == value)


def test_a_request_without_one_gets_none_at_no_cost() -> None:
    headers: list[Any] = [(b"host", b"gateway"), (b"accept", b"*/*"), (b"content-type", b"application/json")]
    began = time.perf_counter()
    for _ in range(20_000):
        assert trace_of(headers) is None
    assert (time.perf_counter() - began) / 20_000 < 2e-6
