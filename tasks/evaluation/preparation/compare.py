"""Compare what a network was given in training with what the handler gives it, bit by bit.

A pure function of arrays: which row differs first, in which input, and how.
"""

from collections.abc import Sequence

import numpy as np

from tasks.contracts import Preparation, PreparationDifference
from tasks.evaluation.preparation.inputs import Fields, Inputs

REMEDY = "Let both call the same function, and give it the same values."


def compare(trained: Inputs, served: Inputs, names: Sequence[str]) -> Preparation:
    """Which of the rows differ.

    Args:
        trained: What the training program gives to the network.
        served: What the archive's handler gives to it.
        names: What to call each row, in the order of their numbers.
    """
    unknown = trained.unknown or served.unknown or _other_inputs(trained, served)
    if unknown is not None:
        return Preparation(rows=0, differing=0, first=None, unknown=unknown)
    found = [
        one for row, name in enumerate(names) if (one := _difference(row, name, trained, served)) is not None
    ]
    first = found[0] if found else None
    return Preparation(rows=len(names), differing=len(found), first=first, unknown=None)


def tell(found: Preparation) -> str:
    """The comparison as a sentence."""
    if found.unknown is not None:
        return f"Training's preparation cannot be held against the handler's: {found.unknown}"
    if found.first is None:
        return f"The handler gives the network what the training gave it, bit for bit, for {found.rows} rows."
    first = found.first
    where = f"row {first.row}" if first.input is None else f"row {first.row}, input {first.input}"
    return (
        f"The handler prepares {found.differing} of {found.rows} rows in another way than the training. The "
        f"first is {where}: {first.served} when it serves, {first.trained} as trained. {REMEDY}"
    )


def _other_inputs(trained: Inputs, served: Inputs) -> str | None:
    """What to say where the two have no input in common: they are not of the same module."""
    for row in trained.rows.keys() & served.rows.keys():
        ours, theirs = sorted(trained.rows[row]), sorted(served.rows[row])
        if not {*ours} & {*theirs}:
            return (
                f"inputs_as_trained gives {ours}, and the first PyTorch module that the handler calls is "
                f"given {theirs}. Let the handler call the network as `network(...)`, and name the inputs as "
                "its `forward` does."
            )
    return None


def _difference(row: int, name: str, trained: Inputs, served: Inputs) -> PreparationDifference | None:
    ours, theirs = trained.rows.get(row), served.rows.get(row)
    if ours is None and theirs is None:
        return None
    if ours is None or theirs is None:
        told = (_refused(side, row) for side in (trained, served))
        return PreparationDifference(row=name, input=None, trained=next(told), served=next(told))
    return _of_fields(name, ours, theirs)


def _refused(side: Inputs, row: int) -> str:
    return f"refused ({side.refused[row]})" if row in side.refused else "prepared"


def _of_fields(name: str, trained: Fields, served: Fields) -> PreparationDifference | None:
    for field in sorted({*trained, *served}):
        ours, theirs = trained.get(field), served.get(field)
        if ours is None or theirs is None:
            said = ["not given" if side is None else "given" for side in (ours, theirs)]
            return PreparationDifference(row=name, input=field, trained=said[0], served=said[1])
        told = _of_arrays(ours, theirs)
        if told is not None:
            place, our, their = told
            return PreparationDifference(row=name, input=f"{field}{place}", trained=our, served=their)
    return None


def _of_arrays(trained: np.ndarray, served: np.ndarray) -> tuple[str, str, str] | None:
    """Where two arrays differ first, and what each has there; None where every bit is the same."""
    if _is_text(trained) and _is_text(served) and np.array_equal(trained, served):
        return None
    if trained.dtype != served.dtype and not (_is_text(trained) and _is_text(served)):
        return "", f"of type {trained.dtype}", f"of type {served.dtype}"
    if trained.shape != served.shape:
        return "", f"of shape {trained.shape}", f"of shape {served.shape}"
    if trained.tobytes() == served.tobytes():
        return None
    place = next(
        place for place in np.ndindex(trained.shape) if trained[place].tobytes() != served[place].tobytes()
    )
    return str(list(place)) if place else "", str(trained[place]), str(served[place])


def _is_text(array: np.ndarray) -> bool:
    """The type of a text in an array has its length in it, and that is no difference."""
    return array.dtype.kind == "U"
