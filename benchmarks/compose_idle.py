"""How long `make up` takes from built images to healthy, and what
the idle platform needs: `python benchmarks/compose_idle.py`.

Starts a platform of its own beside any other, waits until it is idle, and removes it. The images must be
there (`make images`). Memory is what the engine counts for each container without file caches. Fails above 5
GiB for all, or 300 s.
"""

import argparse
import hashlib
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
NAME = f"perennial-idle-{hashlib.sha256(os.fsencode(PROJECT)).hexdigest()[:6]}"
MOST_MIB = 5 * 1024
MOST_SECONDS = 300.0
UNITS = {"B": 1 / 2**20, "KiB": 1 / 2**10, "MiB": 1.0, "GiB": 2.0**10}


def main() -> None:
    """Start, look, stop, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--settle", type=float, default=60, help="seconds between healthy and the first look")
    parser.add_argument(
        "--looks", type=int, default=3, help="how many looks, 10 s apart; the median is taken"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = own_platform(Path(folder))
        try:
            seconds = start(environment)
            again = start(environment)
            time.sleep(options.settle)
            looks = [look() for _ in range(options.looks) if not time.sleep(10)]
        finally:
            make("down", environment)
    services = {name: round(statistics.median(one[name] for one in looks)) for name in sorted(looks[0])}
    total = sum(services.values())
    report = {"up_seconds": seconds, "up_again_seconds": again, "idle_mib": total, "services_mib": services}
    print(json.dumps(report, indent=2))
    sys.exit(int(total > MOST_MIB or seconds > MOST_SECONDS))


def own_platform(folder: Path) -> dict[str, str]:
    """Variables that make `make` mean a platform with ports and secrets of its own."""
    (folder / "env").write_text(f"HTTPS_PORT={free_port()}\nHTTP_PORT={free_port()}\n", encoding="utf-8")
    own = {
        "COMPOSE_PROJECT_NAME": NAME,
        "ENV_FILE": f"{folder}/env",
        "AIRFLOW_ENV_FILE": f"{folder}/env.airflow",
    }
    return {**os.environ, **own}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def make(target: str, environment: dict[str, str]) -> None:
    subprocess.run(["make", target], cwd=PROJECT, env=environment, check=True, stdout=sys.stderr)


def start(environment: dict[str, str]) -> float:
    """`make up`; how long it took, in seconds."""
    began = time.monotonic()
    make("up", environment)
    return round(time.monotonic() - began, 1)


def look() -> dict[str, float]:
    """Each service's memory now, in MiB."""
    ids = docker("ps", "--quiet", "--filter", f"label=com.docker.compose.project={NAME}").split()
    lines = docker("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", *ids).splitlines()
    found = {}
    for name, used, *_ in (line.split() for line in lines):
        value = re.fullmatch(r"([\d.]+)([A-Za-z]+)", used)
        if value:
            service = re.sub(r"^[-_]|[-_]\d+$", "", name.removeprefix(NAME))
            found[service] = float(value[1]) * UNITS[value[2]]
    return found


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
