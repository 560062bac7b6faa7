"""Which processes live: those that beat, and on this machine those that there are."""

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from perennial_gateway import liveness
from perennial_gateway.liveness import Living


def row(name: str, beats: int, **changes: Any) -> Any:
    return SimpleNamespace(**{"name": name, "home": "there", "pid": 1, "beats": beats} | changes)


def names(rows: list[Any]) -> list[str]:
    return [each.name for each in rows]


def test_one_whose_heartbeats_stop_is_dead_after_a_while_and_lives_again_with_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr(liveness.time, "monotonic", lambda: clock[0])
    living = Living("own", "here")
    rows = [row("own", 1), row("other", 7), row("stopped", 7)]

    assert names(living.others(rows)) == ["other", "stopped"]
    clock[0] += 2
    rows = [row("own", 2), row("other", 8), row("stopped", 7)]
    assert names(living.others(rows)) == ["other", "stopped"]
    clock[0] += 2
    rows = [row("own", 3), row("other", 9), row("stopped", 7)]
    assert (names(living.others(rows)), names(living.gone(rows))) == (["other"], ["stopped"])
    rows = [row("own", 3), row("other", 9), row("stopped", 8)]
    assert names(living.others(rows)) == ["other", "stopped"]


def test_one_of_this_machine_whose_process_has_ended_is_dead_at_once() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    living = Living("own", "here")
    rows = [
        row("own", 1),
        row("ended", 1, home="here", pid=ended.pid),
        row("it", 1, home="here", pid=os.getpid()),
    ]

    assert names(living.others(rows)) == ["it"]
    assert not living.alone
    assert living.others([row("own", 1)]) == []
    assert living.alone
