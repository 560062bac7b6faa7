"""Tell the story as it happens: a live line on a terminal, plain lines where there is none."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from demo.report import Report, Step


class Telling:
    """Says what the demo does and keeps it in the report.

    On a terminal the step at work is one live line; elsewhere a detail is printed when it changes, at most
    every 5 s.
    """

    PLAIN_SECONDS = 5.0

    def __init__(self, report: Report, console: Console | None = None) -> None:
        self.report = report
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._status: Status | None = None
        self._title = ""
        self._started = 0.0
        self._last_detail = ("", 0.0)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """One step of the story: its wall time goes to the report, also when it fails."""
        self._title, self._started = escape(title), time.monotonic()
        step = self.report.begin(title)
        if self._console.is_terminal:
            self._status = self._console.status(self._title)
            self._status.start()
        else:
            self._console.print(f"… {self._title}")
        try:
            yield step
            step.ok = True
        finally:
            step.seconds = round(time.monotonic() - self._started, 1)
            if self._status:
                self._status.stop()
                self._status = None
            mark = "[green]✓[/]" if step.ok else "[red]✗[/]"
            self._console.print(f"{mark} {escape(title)} [dim]({step.seconds:.1f} s)[/]")

    def at_work(self, detail: str) -> None:
        """What is happening inside the step just now."""
        if self._status:
            self._status.update(
                f"{self._title} [dim]{time.monotonic() - self._started:.0f} s · {escape(detail)}[/]"
            )
            return
        last, when = self._last_detail
        if detail != last and time.monotonic() - when > self.PLAIN_SECONDS:
            self._console.print(f"    … {escape(detail)}", style="dim")
            self._last_detail = (detail, time.monotonic())

    def say(self, sentence: str) -> None:
        """Something that happened and stays on the screen."""
        self._console.print(f"    {escape(sentence)}")

    def table(self, title: str, rows: list[tuple[str, Any]]) -> None:
        """Names and values below each other."""
        self._console.print(f"\n[bold]{title}[/]")
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            self._console.print(f"    {name.ljust(width)}  {escape(str(value))}")
