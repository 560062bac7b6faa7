"""What follows from replayed requests: a difference is an incident, which no training answers."""

from collections.abc import Sequence
from math import isclose, isnan
from typing import Any

from tasks.contracts import Preparation, ReplayedAnswer, Signal
from tasks.evaluation.preparation.compare import tell

TOLERANCE = 0.001
"""Absolute up to 1, relative above: other hardware rounds far below it, and other weights do not."""
TURNED_ROWS = 2
"""So many labels may be others though their scores agree: a score next to the threshold turns by rounding."""


def signals_of(preparation: Preparation | None, answers: Sequence[ReplayedAnswer]) -> tuple[Signal, ...]:
    """What a replay of logged requests says, the preparation first.

    Args:
        preparation: None where the training declares none.
        answers: What was logged and what the archive answers now, a request each.
    """
    found = (_of_preparation(preparation), _of_answers(answers))
    return tuple(signal for signal in found if signal is not None)


def _of_preparation(found: Preparation | None) -> Signal | None:
    if found is None:
        return _note(
            "preparation_not_declared",
            "The training program does not say how it prepares rows, so serving cannot be held against it. "
            "Add inputs_as_trained to train.py and train again: docs/bring-your-model.md says how.",
        )
    if found.unknown is not None:
        return _note("preparation_unknown", tell(found))
    if found.first is None:
        return None
    return Signal(
        question="skew",
        reason="preparation_differs",
        subject=found.first.input or "row",
        level="incident",
        value=found.differing,
        threshold=0,
        unit="requests",
        why=tell(found),
    )


def of_fault(fault: Exception, *, archive_changed: bool) -> Signal:
    """Why nothing was replayed: an archive that is no more what was judged is an incident by itself."""
    if not archive_changed:
        return _note("replay_failed", str(fault))
    return Signal(
        question="skew", reason="archive_changed", subject="archive", level="incident", why=str(fault)
    )


def _note(reason: str, why: str) -> Signal:
    return Signal(question="skew", reason=reason, subject="replay", level="note", why=why)


def _of_answers(answers: Sequence[ReplayedAnswer]) -> Signal | None:
    moved = [one for one in answers if _moved(one)]
    turned = [one for one in answers if not _moved(one) and _turned(one)]
    wrong = [*moved, *turned] if moved or len(turned) > TURNED_ROWS else []
    if not wrong:
        return None
    first = wrong[0]
    now = f"a refusal ({first.refused})" if first.refused else _said(first.prediction_now, first.score_now)
    return Signal(
        question="skew",
        reason="answer_differs",
        subject=first.prediction_id,
        level="incident",
        value=len(wrong),
        threshold=0 if moved else TURNED_ROWS,
        unit="requests",
        why=(
            f"The archive of the version that serves answers {len(wrong)} of {len(answers)} logged requests "
            f"otherwise than they were answered. The first is {first.prediction_id}: the logged answer is "
            f"{_said(first.prediction, first.score)}; now it is {now}. What TorchServe runs, or what it "
            "runs in, is not what was judged: deploy the version again, and compare the archive's SHA-256."
        ),
    )


def _said(prediction: Any, score: float | None) -> str:
    return (
        f"answers {prediction!r}" if score is None else f"answers {prediction!r} with the score {score:.6g}"
    )


def _moved(one: ReplayedAnswer) -> bool:
    """Whether the request is refused now, or a number is another."""
    if one.refused is not None or (one.score is None) != (one.score_now is None):
        return True
    pairs = [(one.score, one.score_now)]
    if _is_number(one.prediction) and _is_number(one.prediction_now):
        pairs.append((one.prediction, one.prediction_now))
    return any(before is not None and not _close(before, now) for before, now in pairs)


def _is_number(value: Any) -> bool:
    """Whether a prediction is a regression's: labels may be whole numbers, and turn as a whole."""
    return isinstance(value, float)


def _turned(one: ReplayedAnswer) -> bool:
    return not _is_number(one.prediction) and bool(one.prediction != one.prediction_now)


def _close(before: float, now: float | None) -> bool:
    """NaN is close to NaN, and to nothing else: it is the same answer as before."""
    if now is None or isnan(before) or isnan(now):
        return now is not None and isnan(before) and isnan(now)
    return isclose(before, now, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
