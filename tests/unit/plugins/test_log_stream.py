"""A container's log is passed on live, each line once, also over a connection that breaks."""

import threading
from collections.abc import Iterable, Iterator

import pytest

from plugins.runners.lines import LONGEST_LINE
from plugins.runners.log_stream import LogStream


def stamp(number: int) -> str:
    return f"2026-11-20T12:00:{number:02d}.000000001Z"


def frame(number: int, text: str) -> bytes:
    return f"{stamp(number)} {text}".encode()


def nothing() -> None:
    """Nobody to watch for."""


class Log:
    """What an engine has of a container's log; it breaks off after some frames, as often as it is told to."""

    def __init__(self, *frames: bytes, breaks_after: tuple[int, ...] = ()) -> None:
        self.frames = frames
        self.breaks = list(breaks_after)
        self.opened: list[float | None] = []

    def open(self, start: float | None) -> Iterator[bytes]:
        self.opened.append(start)
        left = self.breaks.pop(0) if self.breaks else None
        for count, line in enumerate(self.frames):
            if left is not None and count >= left:
                raise ConnectionError("The engine restarts.")
            yield line


def test_every_line_is_passed_on_and_progress_bars_and_long_lines_are_cut() -> None:
    log = Log(
        frame(1, "one\n"),
        frame(2, "10 %\r20 %\n"),
        frame(3, "x" * 9000),
        frame(3, "y\n"),
        frame(4, "\n"),
        frame(5, "end"),
    )
    lines = list(LogStream(log.open, None).lines(nothing))
    assert lines == ["one", "10 %", "20 %", "x" * LONGEST_LINE, "x" * (9000 - LONGEST_LINE) + "y", "end"]


def test_a_broken_log_is_gone_on_with_and_no_line_comes_twice() -> None:
    log = Log(*(frame(number, f"{number}\n") for number in range(6)), breaks_after=(2, 4))
    stream = LogStream(log.open, None)

    lines = [line for _ in range(3) for line in stream.lines(nothing)]

    assert lines == [str(number) for number in range(6)]
    assert stream.fault is None
    assert log.opened[0] is None
    assert log.opened[1] == pytest.approx(log.opened[2] - 2)


def test_a_second_worker_goes_on_after_what_the_first_has_passed_on() -> None:
    log = Log(*(frame(number, f"{number}\n") for number in range(4)))
    first = LogStream(log.open, None)
    for line in first.lines(nothing):
        if line == "1":
            break
    assert list(LogStream(log.open, first.last).lines(nothing)) == ["2", "3"]


def test_why_a_log_broke_off_is_known() -> None:
    stream = LogStream(Log(frame(0, "0\n"), breaks_after=(0,)).open, None)
    assert list(stream.lines(nothing)) == []
    assert str(stream.fault) == "The engine restarts."


def test_a_silent_log_does_not_keep_who_watches_for_its_worker() -> None:
    silent = threading.Event()

    class Lost(Exception):
        pass

    def blocked(_start: float | None) -> Iterable[bytes]:
        silent.wait(60)
        return []

    def watch() -> None:
        raise Lost

    with pytest.raises(Lost):
        list(LogStream(blocked, None).lines(watch))
    silent.set()


def test_a_reader_that_is_slow_bounds_what_waits_for_it() -> None:
    read = 0

    def endless(_start: float | None) -> Iterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield frame(1, f"{read}\n")

    lines = LogStream(endless, None).lines(nothing)
    next(lines)
    threading.Event().wait(0.3)
    assert read < 1_100
    lines.close()
