"""What the gateway costs: requests a second through it, against the same backend asked directly, in turns.

    .perennial/envs/dev/bin/python benchmarks/gateway.py [--against COMMIT] [--rounds 15] [--at-least 0.85]

The backend answers every request at once with the same score, so that nothing but the gateway's own work is
measured: the check of the instance, the proxying, and the row in its log on disk. With --against, the gateway
of another commit is measured too, in the same turns, on that commit's own packages, which are installed once
below .perennial/benchmarks where they differ from this tree's; it fails if this tree's answers fewer than
--at-least times as many requests in a second of processor time. That number is steadier where a machine is
shared than requests a second of the clock.
"""

import asyncio
import hashlib
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any, NamedTuple, NoReturn

import psutil
import requests
import typer
import yaml

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from embedded.environments import STATE, UV, torch_source, uv_environment  # noqa: E402 - found by the path above
from embedded.ports import free_port  # noqa: E402

PYTHON = PROJECT / ".perennial" / "envs" / "gateway" / "bin" / "python"
TOKEN = "a token of the benchmark"
SOURCES = PROJECT / "containers" / "gateway"
LOCK = "containers/gateway/requirements.txt"
ENVIRONMENTS = STATE / "benchmarks"
CANNOT = 2
"""The exit code where the gateway of the commit cannot be measured, which says nothing of this tree's."""
MODEL = "flight_delay"
SERVING = yaml.safe_load((PROJECT / "models" / MODEL / "pipeline.yaml").read_text(encoding="utf-8"))[
    "serving"
]
INSTANCE = SERVING["input_example"]

BACKEND = """
import uvicorn

HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"34")]


async def app(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": b'{"prediction": 1, "score": 0.7531}'})


uvicorn.run(
    app, port=PORT, http="httptools", loop="uvloop", lifespan="off", log_level="warning", access_log=False
)
"""


class Rates(NamedTuple):
    """Requests a second of the clock, and a second of the server's processor time."""

    clock: float
    processor: float


@dataclass(frozen=True)
class Server:
    """A program that listens on a port of this machine, and what it is asked."""

    process: psutil.Popen
    port: int
    path: str
    body: Any

    def measure(self, connections: int, seconds: float) -> Rates:
        before, started = self._processor_seconds(), time.perf_counter()
        answered = asyncio.run(ask_all(self.port, self.path, self.body, connections, seconds))
        used = self._processor_seconds() - before
        return Rates(answered / (time.perf_counter() - started), answered / used)

    def _processor_seconds(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)


def main(
    against: Annotated[str, typer.Option(help="A commit whose gateway is measured too.")] = "",
    rounds: Annotated[int, typer.Option(help="How often each is measured; the medians are compared.")] = 15,
    seconds: Annotated[float, typer.Option(help="How long each is asked in a round.")] = 1,
    connections: Annotated[int, typer.Option(help="Requests at once.")] = 32,
    at_least: Annotated[float, typer.Option(help="The smallest such ratio that passes.")] = 0.85,
) -> None:
    """Print requests a second and their ratios."""
    with tempfile.TemporaryDirectory(prefix="perennial-bench-") as name, ExitStack() as running:
        folder = Path(name)
        backend = running.enter_context(the_backend())
        servers = {"backend": backend, "this tree": running.enter_context(gateway(SOURCES, backend, folder))}
        if against:
            python = python_for(lock_of(against), against)
            before = gateway(unpack(against, folder), backend, folder, python)
            servers[against] = running.enter_context(before)
        rates: dict[str, list[Rates]] = {each: [] for each in servers}
        for turn in range(rounds + 1):
            for each, server in servers.items():
                found = server.measure(connections, seconds if turn else 1)
                if turn:  # the first of each warms up
                    rates[each].append(found)
                    typer.echo(
                        f"round {turn}: {each:10} {found.clock:8,.0f}/s {found.processor:8,.0f}/processor s"
                    )
    say_ratio(rates, "this tree", "backend")
    if against and say_ratio(rates, "this tree", against) < at_least:
        raise typer.Exit(1)


def say_ratio(rates: dict[str, list[Rates]], one: str, other: str) -> float:
    """Print the medians of the rounds' ratios; returns that of processor time."""
    pairs = list(zip(rates[one], rates[other], strict=True))
    clock = median(mine.clock / its.clock for mine, its in pairs)
    processor = median(mine.processor / its.processor for mine, its in pairs)
    typer.echo(f"{one} / {other}: {clock:.2f} by the clock, {processor:.2f} by processor time")
    return processor


def unpack(commit: str, folder: Path) -> Path:
    """The gateway's sources as a commit has them."""
    packed = subprocess.run(
        ["git", "archive", commit, "containers/gateway/perennial_gateway"],
        cwd=PROJECT,
        check=True,
        capture_output=True,
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder / "before", filter="data")
    return folder / "before" / "containers" / "gateway"


def lock_of(commit: str) -> str:
    """The packages of a commit's gateway, as its own lock has them."""
    shown = subprocess.run(
        ["git", "show", f"{commit}:{LOCK}"], cwd=PROJECT, check=False, capture_output=True, text=True
    )
    if shown.returncode != 0:
        cannot(f"{commit} is no commit here, or has no {LOCK}. git said: {' '.join(shown.stderr.split())}")
    return shown.stdout


def python_for(lock: str, commit: str) -> Path:
    """The Python of an environment that holds what a lock names: this tree's own where it is the same."""
    if lock == (PROJECT / LOCK).read_text(encoding="utf-8"):
        return PYTHON
    folder = ENVIRONMENTS / f"gateway-{hashlib.sha256(lock.encode()).hexdigest()[:12]}"
    python, file, stamp = folder / "bin" / "python", folder / "requirements.txt", folder / ".made"
    if stamp.exists():
        return python
    typer.echo(f"The packages of {commit}'s gateway are installed in {folder.relative_to(PROJECT)}.")
    _run_uv("venv", "--clear", "--python", sys.executable, str(folder), commit=commit)
    file.write_text(lock, encoding="utf-8")
    sync = ("pip", "sync", "--verify-hashes", "--allow-empty-requirements", "--python", str(python))
    _run_uv(*sync, *torch_source(), str(file), commit=commit)
    stamp.touch()
    return python


def _run_uv(*words: str, commit: str) -> None:
    done = subprocess.run(
        [str(UV), *words, "--quiet"],
        cwd=PROJECT,
        check=False,
        env=uv_environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.returncode != 0:
        said = " ".join(done.stderr.split())
        cannot(f"The packages that the gateway of {commit} needs cannot be installed here. uv said: {said}")


def cannot(why: str) -> NoReturn:
    """End, saying why the gateway of the commit cannot be measured."""
    typer.echo(why, err=True)
    raise typer.Exit(CANNOT)


def the_backend() -> AbstractContextManager[Server]:
    port = free_port()
    command = [str(PYTHON), "-c", BACKEND.replace("PORT", str(port))]
    return server(command, {}, port, f"/predictions/{MODEL}/1", INSTANCE)


@contextmanager
def gateway(source: Path, backend: Server, folder: Path, python: Path = PYTHON) -> Iterator[Server]:
    """A gateway whose one model is the backend."""
    port = free_port()
    key_file = folder / "key_file.json"
    key_file.write_text('{"inference": {"key": "none"}}', encoding="utf-8")
    environment = {
        "PYTHONPATH": str(source),
        "PERENNIAL_GATEWAY_PORT": str(port),
        "PERENNIAL_GATEWAY_TOKEN": TOKEN,
        "PERENNIAL_GATEWAY_DATABASE_URL": f"sqlite:///{folder / f'gateway-{port}.db'}",
        "PERENNIAL_TORCHSERVE_INFERENCE_URL": f"http://127.0.0.1:{backend.port}",
        "PERENNIAL_TORCHSERVE_KEY_FILE": str(key_file),
    }
    command = [str(python), "-m", "perennial_gateway"]
    with server(command, environment, port, f"/v1/models/{MODEL}/predict", {"instances": [INSTANCE]}) as made:
        route(made)
        yield made


def route(gateway: Server) -> None:
    """Let the gateway send the model's requests to the backend."""
    schemas = {name: SERVING[name] for name in ("input_schema", "label_schema", "input_example")}
    versions = {"model_version": "1", "run_id": "1", "backend_version": "1", "archive_sha256": "0" * 64}
    answer = requests.put(
        f"http://127.0.0.1:{gateway.port}/internal/routes/{MODEL}",
        json={"model": MODEL, "timeout_seconds": 5, **versions, **schemas},
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=10,
    )
    answer.raise_for_status()


@contextmanager
def server(
    command: list[str], environment: dict[str, str], port: int, path: str, body: Any
) -> Iterator[Server]:
    """A program that listens on a port, until the block ends."""
    child = psutil.Popen(command, env={**os.environ, **environment})
    try:
        until = time.monotonic() + 30
        while not listens(port):
            if child.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{command} did not start.")
            time.sleep(0.05)
        yield Server(child, port, path, body)
    finally:
        child.terminate()
        child.wait(40)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def ask_all(port: int, path: str, body: Any, connections: int, seconds: float) -> int:
    """How many requests are answered while `connections` ask one after the other."""
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    message = f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content
    until = time.perf_counter() + seconds
    return sum(await asyncio.gather(*(ask(port, message, until) for _ in range(connections))))


async def ask(port: int, message: bytes, until: float) -> int:
    """One connection, kept alive, without a client library: it would cost more than what is measured."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    count = 0
    while time.perf_counter() < until:
        writer.write(message)
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head[:16]:
            raise SystemExit(f"Not 200: {head.decode()}")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        count += 1
    writer.close()
    return count


if __name__ == "__main__":
    typer.run(main)
