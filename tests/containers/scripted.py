"""In the place of `tasks.data.collect` in the tests' image: does
what `script.json` in the step's folder says, line by line.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tasks.contracts import CollectRequest, CollectResult
from tasks.errors import DataRejected, InvalidProject
from tasks.runtime import code_version
from tasks.settings import settings
from tasks.stores import files

HOG = "held = []\nwhile True: held.append(bytearray(b'x' * (8 << 20)))"


def collect(request: CollectRequest) -> CollectResult:
    work = request.context.work_url
    script: list[list[Any]] = json.loads(files.at(work, "script.json").read_text())
    starts = files.at(work, "starts")
    with Path(str(starts)).open("a") as file:
        file.write("started\n")
    for action, *arguments in script:
        ACTIONS[action](*arguments)
    rows = {"prediction_rows": 7, "feedback_rows": 0, "labelled_rows": 0, "landed_file": None}
    return CollectResult(model=request.spec.name, **rows)


def say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)


def count(until: int, seconds: float) -> None:
    for number in range(until):
        print(f"line {number}", flush=True)
        time.sleep(seconds)


def wait_for(path: str) -> None:
    while not Path(path).exists():
        time.sleep(0.05)


def reject() -> None:
    raise DataRejected("The data is no good.", rows=3)


def invalid() -> None:
    raise InvalidProject("The project is wrong.")


def fault() -> None:
    raise ConnectionError("Nobody answers.")


def hog_in_a_child() -> None:
    done = subprocess.run([sys.executable, "-c", HOG], check=False)
    raise RuntimeError(f"The child ended with {done.returncode}.")


def hog() -> None:
    exec(HOG)


def fill(folder: str, mib: int) -> None:
    with Path(folder, "big").open("wb") as file:
        for _ in range(mib):
            file.write(b"x" * (1 << 20))


def tell() -> None:
    """What the step sees of itself."""
    seen = {
        "environment": dict(os.environ),
        "commit": code_version.code_commit(settings().project),
        "user": [os.getuid(), os.getgid()],
        "capabilities": Path("/proc/self/status").read_text().partition("CapEff:")[2].split()[0],
        "may_write": {
            folder: os.access(folder, os.W_OK) for folder in ("/", "/opt/perennial", "/tmp", "/scratch")
        },
    }
    print(json.dumps(seen), flush=True)


ACTIONS = {
    "say": say,
    "count": count,
    "wait_for": wait_for,
    "sleep": time.sleep,
    "exit": sys.exit,
    "reject": reject,
    "invalid": invalid,
    "fault": fault,
    "hog": hog,
    "hog_in_a_child": hog_in_a_child,
    "fill": fill,
    "tell": tell,
}
