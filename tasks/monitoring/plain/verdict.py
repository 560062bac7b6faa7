"""Signals to a verdict on a file; a pure function of what was noticed."""

from collections.abc import Sequence
from typing import Any, Literal

from tasks.contracts import FileVerdict, Signal

GRAVEST = ("incident", "alarm", "suspicious", "note")
Check = Literal["data", "drift"]


def in_order(signals: Sequence[Signal]) -> tuple[Signal, ...]:
    """The gravest first: by level, then by how many times the threshold is exceeded."""
    return tuple(sorted(signals, key=lambda signal: (GRAVEST.index(signal.level), -_times(signal))))


def verdict_of(signals: Sequence[Signal], *, cannot_tell: str | None = None, **told: Any) -> FileVerdict:
    """What follows from the signals of one check.

    Args:
        cannot_tell: Why nothing can be said, should nothing be wrong.
        told: The other fields of the verdict.
    """
    ordered = in_order(signals)
    first = ordered[0].level if ordered else "note"
    verdict = {"incident": "rejected", "alarm": "drift"}.get(first, "cannot_tell" if cannot_tell else "fine")
    is_wrong = verdict in {"rejected", "drift"}
    why = ordered[0].why if is_wrong else cannot_tell or _fine(told["check"], ordered)
    return FileVerdict.model_validate({**told, "verdict": verdict, "why": why, "signals": ordered})


def rejected(check: Check, file: str, why: str, *, references: tuple[str, ...] = ()) -> FileVerdict:
    """The verdict on a file that cannot be read."""
    signal = Signal(question="validity", reason="unreadable", subject=file, level="incident", why=why)
    return verdict_of([signal], check=check, file=file, references=references)


def _fine(check: Check, signals: Sequence[Signal]) -> str:
    small = sum(signal.level == "note" and signal.reason not in {"left_out", "joint"} for signal in signals)
    said = "Nothing is wrong with the data" if check == "data" else "Nothing that matters has changed"
    if not small:
        return f"{said}."
    return f"{said}; {small} smaller {'thing is' if small == 1 else 'things are'} told below."


def _times(signal: Signal) -> float:
    if signal.value is None or not signal.threshold:
        return 0.0
    if signal.unit == "ROC AUC" and signal.reason == "joint":
        return max((signal.value - 0.5) / (signal.threshold - 0.5), 0.0)
    return signal.value / signal.threshold
