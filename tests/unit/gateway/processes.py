"""Gateways as processes of their own, with one worker or several, and a load of persistent connections."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from embedded.ports import free_port
from tests.conftest import PROJECT
from tests.unit.gateway.models import STEPS, Models

BODY = json.dumps({"instances": [{"text": "a"}]}).encode()
REQUEST = (
    b"POST /v1/models/m/predict HTTP/1.1\r\nhost: g\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
)


def until(true: Callable[[], Any], what: str, seconds: float = 90) -> Any:
    """What something gives as soon as it is true; a service that does not answer is not yet."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if found := true():
                return found
        except (requests.RequestException, psutil.Error, OSError):
            pass
        time.sleep(0.02)
    pytest.fail(f"waited {seconds} s in vain for {what}")


@dataclass
class Gateway:
    """One gateway: its first process, and where it listens."""

    process: psutil.Popen
    url: str
    port: int

    def workers(self) -> list[psutil.Process]:
        """The processes that answer, oldest first."""
        found = [child for child in self.process.children() if "spawn_main" in " ".join(child.cmdline())]
        return sorted(found, key=lambda child: child.create_time())

    def connections_of(self, worker: psutil.Process) -> int:
        listed = worker.net_connections("tcp")
        return sum(one.status == "ESTABLISHED" and one.laddr.port == self.port for one in listed)

    def internal(self, method: str, path: str, **how: Any) -> Any:
        answer = requests.request(method, f"{self.url}/internal{path}", headers=STEPS, timeout=30, **how)
        assert answer.ok, answer.text
        return answer.json()

    def put(self, route: dict[str, Any]) -> None:
        self.internal("PUT", "/routes/m", json=route)

    def predict(self, **headers: str) -> requests.Response:
        """One prediction over a connection of its own, which any worker may take."""
        return requests.post(
            f"{self.url}/v1/models/m/predict",
            data=BODY,
            headers={"Content-Type": "application/json", **headers},
            timeout=30,
        )

    def ready(self, workers: int) -> bool:
        """Whether it answers by so many processes."""
        if not requests.get(f"{self.url}/healthz", timeout=5).ok:
            return False
        return workers == 1 or len(self.workers()) == workers


@contextmanager
def running(
    models: Models, folder: Path, database_url: str, *, workers: int = 2, **settings: str
) -> Iterator[Gateway]:
    """A gateway that answers, until the block ends; `settings` are more of its variables."""
    port = free_port()
    environment = {
        **os.environ,
        "PYTHONPATH": str(PROJECT / "containers" / "gateway"),
        "PERENNIAL_GATEWAY_PORT": str(port),
        "PERENNIAL_GATEWAY_WORKERS": str(workers),
        "PERENNIAL_GATEWAY_TOKEN": STEPS["Authorization"].removeprefix("Bearer "),
        "PERENNIAL_GATEWAY_DATABASE_URL": database_url,
        "PERENNIAL_LOG_SPOOL": str(folder / f"spool-{port}"),
        "PERENNIAL_TORCHSERVE_INFERENCE_URL": models.url,
        "PERENNIAL_TORCHSERVE_KEY_FILE": "/nowhere",
        **{f"PERENNIAL_{name.upper()}": value for name, value in settings.items()},
    }
    log = folder / f"gateway-{port}.log"
    with log.open("ab") as file:
        process = psutil.Popen(
            [sys.executable, "-m", "perennial_gateway"], env=environment, stdout=file, stderr=file
        )
    gateway = Gateway(process, f"http://127.0.0.1:{port}", port)
    try:
        until(lambda: gateway.ready(workers), f"the gateway (see {log})")
        yield gateway
    finally:
        _end(process)


def _end(process: psutil.Popen) -> None:
    if not process.is_running():
        return
    children = process.children()
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
        for each in (process, *children):
            each.kill()
        pytest.fail("the gateway did not end within 20 s")


@dataclass
class Load:
    """What became of the requests of a load: who answered each and when it was sent, and what broke."""

    answers: list[tuple[float, str]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class Loading:
    """Constant load by persistent connections, each asking again when it is answered, in a thread's loop."""

    def __init__(self, port: int, connections: int) -> None:
        self.found = Load()
        self._port = port
        self._connections = connections
        self._stop = False

    def run(self) -> None:
        asyncio.run(self._run())

    def stop(self) -> None:
        self._stop = True

    async def _run(self) -> None:
        await asyncio.gather(*(self._ask_on() for _ in range(self._connections)))

    async def _ask_on(self) -> None:
        while not self._stop:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            try:
                while not self._stop and await self._ask(reader, writer):
                    await asyncio.sleep(0.005)
            except (OSError, EOFError) as error:
                self.found.faults.append(repr(error))
            finally:
                writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; whether the connection is kept."""
        sent = time.monotonic()
        writer.write(REQUEST % (len(BODY), BODY))
        head = await reader.readuntil(b"\r\n\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        body = json.loads(await reader.readexactly(int(headers[b"content-length"])))
        if b" 200 " in head[:20]:
            self.found.answers.append((sent, body["model_version"]))
            self.found.ids += [each["prediction_id"] for each in body["predictions"]]
        else:
            self.found.faults.append(f"{head[:20]!r} {body}")
        return headers.get(b"connection") != b"close"
