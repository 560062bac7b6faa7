"""Steps as runners take them, for tests of the runners."""

import time
from pathlib import Path
from typing import Any

from plugins.runners import Owner, Resources, Step


def step_to_run(folder: Path, **changes: Any) -> Step:
    """A training of no particular model, its files in `folder`."""
    fields: dict[str, Any] = {
        "verb": "train",
        "request_url": str(folder / "request.json"),
        "result_url": str(folder / "result.json"),
        "model": None,
        "key": "train_m/run/train",
        "request_sha256": "0" * 64,
        "owner": Owner("train_m", "run", "train"),
        "resources": Resources(cpus=1, memory_mib=128, scratch_mib=64),
        "deadline": time.time() + 600,
    }
    return Step(**fields | changes)
