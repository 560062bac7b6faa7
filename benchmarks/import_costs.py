"""What importing each large library costs: why none is
imported at the top of a DAG file, a plugin or a contract.

    .perennial/envs/dev/bin/python benchmarks/import_costs.py

Each import runs in a process of its own, three times; the line shows the median in seconds of processor time,
and its ratio to what the interpreter alone takes in the same run.
"""

import resource
import statistics
import subprocess
import sys

LIBRARIES = (
    "airflow.sdk",
    "pandas",
    "torch",
    "mlflow",
    "evidently",
    "great_expectations",
    "deltalake",
    "duckdb",
    "airflow.providers.google.cloud.hooks.cloud_run",
)
TIMES = 3


def processor_seconds(statement: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", statement], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    alone = statistics.median(processor_seconds("pass") for _ in range(TIMES))
    print(f"{'(nothing)':46} {alone:6.2f} s")
    for library in LIBRARIES:
        seconds = statistics.median(processor_seconds(f"import {library}") for _ in range(TIMES))
        print(f"{library:46} {seconds:6.2f} s  {seconds / alone:6.0f} x")


if __name__ == "__main__":
    main()
