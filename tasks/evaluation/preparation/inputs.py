"""What a network is given for each row, as arrays in a file, so that two processes can be compared.

The programs of this folder import it, so it needs nothing but NumPy.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

PROGRAM = "train.py"
DECLARED = "inputs_as_trained"
"""The function of a training program that gives what it feeds to its network for raw rows."""

Fields = dict[str, np.ndarray]
"""The inputs of one row, each by the name of its parameter of the network's `forward`."""


class CannotCompare(ValueError):
    """What a network was given cannot be divided into rows."""


@dataclass
class Inputs:
    """What one side gives to the network.

    Attributes:
        rows: By the number of the row.
        refused: Why there is nothing for a row, by its number.
        unknown: Why nothing is known of any row; None where something is.
        answers: The handler's whole answers by the number of the row; of the training there are none.
    """

    rows: dict[int, Fields] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    unknown: str | None = None
    answers: dict[int, dict[str, Any]] = field(default_factory=dict)

    def add(self, other: "Inputs") -> None:
        """Take over what is known of other rows."""
        self.rows |= other.rows
        self.refused |= other.refused
        self.answers |= other.answers
        self.unknown = self.unknown or other.unknown

    def save(self, path: Path) -> None:
        """Write a file of arrays and, beside it, a JSON file of the rest."""
        arrays = {
            f"{row}/{name}": value for row, fields in self.rows.items() for name, value in fields.items()
        }
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        rest = {
            "rows": list(self.rows),
            "refused": self.refused,
            "unknown": self.unknown,
            "answers": self.answers,
        }
        path.with_suffix(".json").write_text(json.dumps(rest), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Inputs":
        """Read what `save` wrote; nothing is unpickled."""
        rest = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        rows: dict[int, Fields] = {row: {} for row in rest["rows"]}
        with np.load(path, allow_pickle=False) as arrays:
            for key in arrays.files:
                row, _, name = key.partition("/")
                rows[int(row)][name] = arrays[key]
        refused, answers = (
            {int(row): told for row, told in rest[key].items()} for key in ("refused", "answers")
        )
        return cls(rows, refused, rest["unknown"], answers)


def by_row(given: Mapping[str, Any]) -> list[Fields]:
    """Divide what a network is given for several rows into what belongs to each.

    What has no length, such as a flag, belongs to none.

    Args:
        given: Tensors, arrays or lists whose first dimension is the row, by name; mappings of them, too.

    Raises:
        CannotCompare: They are not of the same length.
    """
    flat = list(_flat(given))
    count = len(flat[0][1]) if flat else 0
    rows: list[Fields] = [{} for _ in range(count)]
    for name, value in flat:
        if len(value) != count:
            raise CannotCompare(
                f"the network's input {name!r} has {len(value)} entries, and {flat[0][0]!r} has {count}: the "
                "first dimension of each has to be the row"
            )
        for row, one in zip(rows, value, strict=True):
            row[name] = _array(one, name)
    return rows


def _flat(given: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in given.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif hasattr(value, "detach"):
            yield f"{prefix}{name}", _of_tensor(value)
        elif isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim):
            yield f"{prefix}{name}", value


def _of_tensor(tensor: Any) -> Any:
    dense = tensor.detach().cpu()
    dense = dense.to_dense() if dense.is_sparse else dense
    # NumPy has no bfloat16; each of its numbers is a float32, too.
    return (dense.float() if str(dense.dtype) == "torch.bfloat16" else dense).numpy()


def _array(value: Any, name: str) -> np.ndarray:
    array = np.asarray(_of_tensor(value) if hasattr(value, "detach") else value)
    if array.dtype.hasobject:
        raise CannotCompare(f"the network's input {name!r} holds {type(value).__name__}, which is no array")
    return array
