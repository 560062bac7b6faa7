"""What the object store of docker-compose costs against a
folder of the same disk: small files, large files, lake commits.

    .perennial/envs/dev/bin/python benchmarks/object_store.py

Both are measured in turn, in the same run. The object store syncs every write to the disk before it answers;
the folder is written by the same code of ours, which leaves that to the kernel. Read the ratios: they say how
much to batch.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import pyarrow as pa  # noqa: E402 - the project is found above

from tasks.stores import files  # noqa: E402
from tasks.stores.lake import Lake  # noqa: E402
from tests.services.object_stores import swift  # noqa: E402

SMALL, LARGE = b"x" * 10_000, os.urandom(32 << 20)
TIMES = {
    "small files, put": 30,
    "small files, get": 30,
    "32 MiB, put": 5,
    "32 MiB, get": 5,
    "lake append": 8,
    "lake read": 8,
}


def operations(url: str) -> dict[str, Callable[[int], object]]:
    rows = pa.table({"id": [str(number) for number in range(1000)]})
    lake = Lake(f"{url}/lake")
    return {
        "small files, put": lambda number: files.write_whole(files.at(url, "small", str(number)), SMALL),
        "small files, get": lambda number: files.at(url, "small", str(number)).read_bytes(),
        "32 MiB, put": lambda number: files.write_whole(files.at(url, "large", str(number)), LARGE),
        "32 MiB, get": lambda number: files.at(url, "large", str(number)).read_bytes(),
        "lake append": lambda number: lake.append("events", rows, batch_id=str(number)),
        "lake read": lambda _: lake.read("events"),
    }


def milliseconds(operation: Callable[[int], object], number: int) -> float:
    started = time.perf_counter()
    operation(number)
    return (time.perf_counter() - started) * 1000


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="perennial-bench-") as name:
        folder = Path(name)
        server = swift(folder / "data")
        os.environ.update(server.variables)
        server.start()
        try:
            in_folder, in_store = operations(str(folder / "local")), operations("s3://perennial/bench")
            for what, times in TIMES.items():
                pairs = [
                    (milliseconds(in_folder[what], each), milliseconds(in_store[what], each))
                    for each in range(times)
                ]
                local, remote = (statistics.median(values) for values in zip(*pairs, strict=True))
                print(
                    f"{what:18} folder {local:8.1f} ms  object store {remote:8.1f} ms  {remote / local:6.1f} "
                    "x"
                )
        finally:
            server.stop()


if __name__ == "__main__":
    main()
