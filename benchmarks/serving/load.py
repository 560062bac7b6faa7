"""The load: `wrk` asks one address with so many connections, and what it and the machine say of that."""

import json
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving import processes
from benchmarks.serving.contender import Target

SCRIPT = """
wrk.method = "POST"
HEADERS
wrk.body = BODY

function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '\\nRESULT {"requests": %d, "microseconds": %d, "p50": %f, "p99": %f, "refused": %d, "lost": %d}\\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors.status,
        errors.connect + errors.read + errors.write + errors.timeout))
end
"""


@dataclass(frozen=True)
class Point:
    """One measurement.

    Attributes:
        rate: Requests answered a second.
        p50, p99: Milliseconds.
        processor: Microseconds of the server's processes a request.
        memory: MB, at the end of it.
        others: Cores that other processes of the machine used meanwhile.
    """

    rate: float
    p50: float
    p99: float
    processor: float
    memory: float
    others: float


def require_wrk() -> None:
    """End with what to install, where the load generator is missing."""
    if shutil.which("wrk") is None:
        raise SystemExit(
            "This benchmark asks with `wrk`, which is not installed. On Debian or Ubuntu: apt-get install wrk"
        )


def measure(target: Target, connections: int, seconds: float, folder: Path) -> Point:
    """Ask for some seconds.

    Raises:
        SystemExit: An answer was not 2xx, or a connection broke: nothing of it could be compared.
    """
    script = folder / "wrk.lua"
    script.write_text(_script(target), encoding="utf-8")
    machine, own = processes.machine_seconds(), processes.own_seconds()
    before, began = processes.processor_seconds(), time.monotonic()
    said = _ask(target.url, connections, seconds, script)
    # In this order, because the look at the memory of a tree takes time itself.
    lasted, after = time.monotonic() - began, processes.processor_seconds()
    used = processes.used_between(before, after)
    others = processes.machine_seconds() - machine - (processes.own_seconds() - own) - used
    return Point(
        rate=said["requests"] / (said["microseconds"] / 1e6),
        p50=said["p50"] / 1000,
        p99=said["p99"] / 1000,
        processor=used * 1e6 / said["requests"],
        memory=processes.memory_mb(),
        others=max(others, 0.0) / lasted,
    )


def _ask(url: str, connections: int, seconds: float, script: Path) -> dict[str, float]:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s"]
    ended = subprocess.run(
        [*command, "-s", str(script), url], capture_output=True, text=True, timeout=seconds + 60, check=False
    )
    results = [line for line in ended.stdout.splitlines() if line.startswith("RESULT ")]
    if not results:
        raise SystemExit(f"wrk said of {url}:\n{ended.stdout}{ended.stderr}")
    said: dict[str, float] = json.loads(results[0].removeprefix("RESULT "))
    if said["refused"] or said["lost"] or not said["requests"]:
        raise SystemExit(
            f"{url} with {connections} connections: of {said['requests']} requests {said['refused']} were "
            f"not answered with 2xx, and {said['lost']} connections failed."
        )
    return said


def _script(target: Target) -> str:
    headers = "\n".join(
        f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in target.headers.items()
    )
    body = json.dumps(json.dumps(target.body))
    return SCRIPT.replace("HEADERS", headers).replace("BODY", body)
