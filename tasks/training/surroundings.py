"""What the numbers of a training depend on beside its code and its rows: the place that it runs in."""

import os
import platform
import re
from importlib.metadata import distributions
from pathlib import Path

from tasks.contracts import Surroundings
from tasks.settings import settings
from tasks.spec import PipelineSpec
from tasks.training.preflight import driver

WIDEST_FIRST = ("avx512f", "avx2", "avx", "sse4_2", "sve", "asimd")
CPUINFO = Path("/proc/cpuinfo")


def find_surroundings(spec: PipelineSpec) -> Surroundings:
    """Those of this process, which the training program shares."""
    return Surroundings(
        python=platform.python_version(),
        libraries=libraries(),
        processor=processor(CPUINFO),
        gpu=_gpu(spec),
        threads=int(os.environ.get("OMP_NUM_THREADS", "0")) or len(os.sched_getaffinity(0)),
    )


def libraries() -> dict[str, str]:
    """The version of each installed distribution; of two of one name, that of the one that is imported."""
    found: dict[str, str] = {}
    for distribution in distributions():
        found.setdefault(re.sub(r"[-_.]+", "-", distribution.name).lower(), distribution.version)
    return dict(sorted(found.items()))


def processor(cpuinfo: Path) -> str:
    """The architecture, the name where the kernel says it, and the widest vector instructions.

    Source: the kernel's /proc/cpuinfo, `model name` and `flags` (`Features` on Arm).
    """
    said = cpuinfo.read_text(encoding="ascii", errors="replace") if cpuinfo.is_file() else ""
    fields = dict(re.findall(r"^(model name|flags|Features)\s*:\s*(.*)$", said, re.MULTILINE))
    known = (fields.get("flags") or fields.get("Features") or "").split()
    widest = next((name for name in WIDEST_FIRST if name in known), None)
    return ", ".join(part for part in (platform.machine(), fields.get("model name"), widest) if part)


def _gpu(spec: PipelineSpec) -> str | None:
    hidden = spec.resources.gpus == "none" or settings().gpu_missing
    return None if hidden else driver()
