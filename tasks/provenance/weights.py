"""What two archives hold: the files that training wrote, tensor by tensor, and the code beside them."""

import zipfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.contracts import Condition, FileDifference, TensorDifference
from tasks.provenance import decide
from tasks.provenance.decide import Tensor
from tasks.runtime.code_version import HANDLER_BASE
from tasks.spec import PipelineSpec
from tasks.stores import files

MANIFEST = "MAR-INF"
TENSORS = ".safetensors"
Hashes = dict[str, str]


@dataclass(frozen=True)
class Compared:
    """How two archives differ.

    Attributes:
        tensors: How many were compared.
        differing: Those that differ, the most different first.
        files: The other files that training wrote.
        code: The files of code.
    """

    tensors: int
    differing: tuple[TensorDifference, ...]
    files: tuple[FileDifference, ...]
    code: list[Condition]


def compare(recorded: Path, here: Path, spec: PipelineSpec, folder: Path, tolerance: float) -> Compared:
    """Compare the archive that was judged with that of the reproduction.

    The archiver's manifest, which names the run, is left out.

    Args:
        spec: Says which files of an archive are code.
        folder: To unpack to.
    """
    one, other = _unpack(recorded, folder / "one"), _unpack(here, folder / "other")
    then, now = _hashes(one), _hashes(other)
    tensors, differing = 0, list[TensorDifference]()
    for name in sorted(name for name in then | now if name.endswith(TENSORS)):
        count, found = _compare_tensors(name, one, other, tolerance)
        tensors, differing = tensors + count, [*differing, *found]
    code = {Path(name).name for name in (spec.serving.handler, *spec.serving.code, str(HANDLER_BASE))}
    return Compared(
        tensors=tensors,
        differing=tuple(decide.by_size(differing)),
        files=decide.compare_files(*(_others(hashes, code) for hashes in (then, now))),
        code=decide.conditions(*({name: hashes.get(name) for name in code} for hashes in (then, now))),
    )


def _unpack(archive: Path, folder: Path) -> Path:
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    return folder


def _hashes(folder: Path) -> Hashes:
    paths = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {
        name.as_posix(): files.sha256(str(path)) for name, path in paths.items() if name.parts[0] != MANIFEST
    }


def _others(hashes: Hashes, code: set[str]) -> Hashes:
    return {
        name: sha256 for name, sha256 in hashes.items() if name not in code and not name.endswith(TENSORS)
    }


def _compare_tensors(
    name: str, recorded: Path, here: Path, tolerance: float
) -> tuple[int, list[TensorDifference]]:
    """How many tensors two files of this name have together, and those that differ."""
    with ExitStack() as stack:
        one, other = (_open(folder / name, stack) for folder in (recorded, here))
        tensors = sorted({*one, *other})
        found = (
            decide.compare_tensors(name, tensor, _read(one, tensor), _read(other, tensor), tolerance)
            for tensor in tensors
        )
        return len(tensors), [difference for difference in found if difference is not None]


def _open(path: Path, stack: ExitStack) -> dict[str, Any]:
    """For each tensor of a file, the file; nothing where there is none."""
    from safetensors import safe_open

    if not path.is_file():
        return {}
    file = stack.enter_context(safe_open(path, framework="pt"))
    return dict.fromkeys(file.keys(), file)


def _read(opened: Mapping[str, Any], name: str) -> Tensor | None:
    """One at a time, so that a large model is not held twice."""
    import torch

    if name not in opened:
        return None
    tensor = opened[name].get_tensor(name).contiguous()
    raw = tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
    narrow = tensor.is_floating_point() and tensor.itemsize < 4
    values = (tensor.float() if narrow else tensor).numpy()
    return Tensor(str(tensor.dtype).removeprefix("torch."), decide.sha256_of(raw), values)
