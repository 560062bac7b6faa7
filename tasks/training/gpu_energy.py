"""What the GPUs here have drawn, as they count it themselves.

Source: NVIDIA Management Library, `nvmlDeviceGetTotalEnergyConsumption`: millijoules since the driver was
loaded, of Volta and later GPUs. The counter is the board's: what it draws idle is in it, and what others
compute on it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pynvml

MILLIJOULES_PER_JOULE = 1000


def joules() -> float | None:
    """Joules that the GPUs that a program started here would see have drawn together, ever since their driver
    was loaded: what a training drew is the difference.

    None where there is no GPU, where one does not count, or where `CUDA_VISIBLE_DEVICES` picks some of
    several by number: CUDA numbers them by speed, the library by their slots.
    """
    try:
        with _library():
            devices = list(_devices(os.environ.get("CUDA_VISIBLE_DEVICES")))
            counted = [pynvml.nvmlDeviceGetTotalEnergyConsumption(device) for device in devices]
    except (pynvml.NVMLError, _CannotTell):
        return None
    return sum(counted) / MILLIJOULES_PER_JOULE if counted else None


class _CannotTell(Exception):
    """Which GPUs a program would see."""


@contextmanager
def _library() -> Iterator[None]:
    pynvml.nvmlInit()
    try:
        yield
    finally:
        pynvml.nvmlShutdown()


def _devices(visible: str | None) -> "Iterator[pynvml.c_nvmlDevice_t]":
    count = pynvml.nvmlDeviceGetCount()
    named = None if visible is None else [name.strip() for name in visible.split(",") if name.strip()]
    if named is None or (count == 1 and named == ["0"]):
        yield from map(pynvml.nvmlDeviceGetHandleByIndex, range(count))
    elif all(name.startswith("GPU-") for name in named):
        yield from map(pynvml.nvmlDeviceGetHandleByUUID, named)
    else:
        raise _CannotTell
