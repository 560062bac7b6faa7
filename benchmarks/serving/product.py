"""What the project ships: TorchServe, and the gateway in front of it."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import requests

from benchmarks.serving.contender import Contender, Target, wait_for
from benchmarks.serving.model import NAME, PROJECT, TEXT, ServedModel
from benchmarks.serving.postgresql import database, missing_postgresql
from benchmarks.serving.processes import running
from embedded import gateway as embedded_gateway
from embedded import torchserve as embedded_torchserve
from embedded.ports import free_port
from tasks.contracts import Route
from tasks.serving.torchserve import TorchServe
from tasks.settings import settings

ENVIRONMENTS = PROJECT / ".perennial" / "envs"
TOKEN = "a token of the benchmark, long enough"
KNOWS = "from perennial_gateway.settings import GatewaySettings as G; print(*G.model_fields)"


def contenders() -> list[Contender]:
    """TorchServe as it is registered either way; the gateway with each log and number of processes."""

    def of(name: str, says: str, *, postgresql: bool = False, workers: int = 1) -> Contender:
        def missing() -> str | None:
            return missing_workers(workers) or (missing_postgresql() if postgresql else None)

        @contextmanager
        def start(model: ServedModel, folder: Path) -> Iterator[Target]:
            with (
                torchserve(model, folder, batches=True) as behind,
                log_store(folder, postgresql=postgresql) as url,
            ):
                more = {"PERENNIAL_GATEWAY_WORKERS": str(workers)} if workers > 1 else {}
                with gateway(model, folder, behind, url, more) as target:
                    yield target

        return Contender(name, says, start, missing)

    return [
        Contender("torchserve", "alone; gathers 8 requests for 1 ms", start_gathering),
        Contender("torchserve-single", "alone; one request at a time, as behind the gateway", start_single),
        of("gateway-sqlite", "gateway and TorchServe; log in SQLite"),
        of("gateway-sqlite-2", "two gateway processes; log in SQLite", workers=2),
        of("gateway-postgresql", "gateway and TorchServe; log in PostgreSQL", postgresql=True),
        of("gateway-postgresql-2", "two processes; log in PostgreSQL", postgresql=True, workers=2),
    ]


@contextmanager
def start_gathering(model: ServedModel, folder: Path) -> Iterator[Target]:
    with torchserve(model, folder, batches=False) as served:
        yield served


@contextmanager
def start_single(model: ServedModel, folder: Path) -> Iterator[Target]:
    with torchserve(model, folder, batches=True) as served:
        yield served


@contextmanager
def torchserve(model: ServedModel, folder: Path, *, batches: bool) -> Iterator[Target]:
    """TorchServe with the product's configuration, and the version loaded as a deployment loads it.

    Args:
        batches: Whether whoever asks sends whole batches, so that TorchServe gathers none itself.
    """
    serving, log = folder / "torchserve", folder / "torchserve.log"
    ports = {name: free_port() for name in ("inference_port", "management_port", "metrics_port")}
    embedded_torchserve.prepare(serving, **ports, store=serving / "store")
    command, environment = embedded_torchserve.command(ENVIRONMENTS / "serving", serving)
    inference_url = f"http://127.0.0.1:{ports['inference_port']}"
    with (
        running(command, environment, log) as process,
        variables(
            TORCHSERVE_INFERENCE_URL=inference_url,
            TORCHSERVE_MANAGEMENT_URL=f"http://127.0.0.1:{ports['management_port']}",
            TORCHSERVE_STORE=str(serving / "store"),
            TORCHSERVE_KEY_FILE=str(serving / "key_file.json"),
        ),
    ):
        archive = model.archive.model_copy(update={"batches": batches})
        TorchServe().load(archive, model.spec.serving)
        key = json.loads((serving / "key_file.json").read_text(encoding="utf-8"))["inference"]["key"]
        target = Target(
            f"{inference_url}/predictions/{NAME}/{archive.version}",
            {"text": TEXT},
            answer_of,
            {"Content-Type": "application/json", "Authorization": f"Bearer {key}"},
        )
        wait_for(target.ask, process, log)
        yield target


@contextmanager
def gateway(
    model: ServedModel, folder: Path, behind: Target, database_url: str, more: Mapping[str, str]
) -> Iterator[Target]:
    """The gateway, whose one route leads to the version in TorchServe."""
    port, log = free_port(), folder / "gateway.log"
    command, environment = embedded_gateway.command(
        ENVIRONMENTS / "gateway",
        port=port,
        token=TOKEN,
        database_url=database_url,
        torchserve_url=behind.url.split("/predictions/")[0],
        torchserve_key_file=folder / "torchserve" / "key_file.json",
    )
    spool = {"PERENNIAL_LOG_SPOOL": str(folder / "spool")}
    with running(command, {**environment, **spool, **more}, log) as process:
        url = f"http://127.0.0.1:{port}"
        target = Target(
            f"{url}/v1/models/{NAME}/predict",
            {"instances": [{"text": TEXT}]},
            lambda document: answer_of(document["predictions"][0]),
        )
        wait_for(lambda: requests.get(f"{url}/healthz", timeout=5).raise_for_status(), process, log)
        put_route(url, model)
        wait_for(target.ask, process, log)
        yield target


def put_route(url: str, model: ServedModel) -> None:
    """Let the gateway send the model's requests to the version."""
    archive, serving = model.archive, model.spec.serving
    route = Route(
        model=NAME,
        model_version="1",
        run_id=archive.run_id,
        backend_version=archive.version,
        archive_sha256=archive.sha256,
        input_schema=serving.input_schema,
        label_schema=serving.label_schema,
        input_example=serving.input_example,
        timeout_seconds=serving.timeout_seconds,
        batches=archive.batches,
        batch_size=serving.batch_size,
        workers=serving.workers,
    )
    answer = requests.put(
        f"{url}/internal/routes/{NAME}",
        json=route.model_dump(mode="json"),
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=20,
    )
    if not answer.ok:
        raise SystemExit(f"The gateway refused the route: {answer.status_code}, {answer.text[:1000]}")


@contextmanager
def log_store(folder: Path, *, postgresql: bool) -> Iterator[str]:
    """The URL of the database that the gateway logs to."""
    if not postgresql:
        yield f"sqlite:///{folder / 'gateway.db'}"
        return
    with database(folder) as url:
        yield url


@contextmanager
def variables(**values: str) -> Iterator[None]:
    """Settings of this process, PERENNIAL_..., until the block ends."""
    named = {f"PERENNIAL_{name}": value for name, value in values.items()}
    os.environ.update(named)
    settings.cache_clear()
    try:
        yield
    finally:
        for name in named:
            del os.environ[name]
        settings.cache_clear()


def missing_workers(workers: int) -> str | None:
    if workers > 1 and "gateway_workers" not in gateway_settings():
        return "this gateway runs as one process only"
    return None


@cache
def gateway_settings() -> frozenset[str]:
    """The names of what can be set in the gateway."""
    python = ENVIRONMENTS / "gateway" / "bin" / "python"
    environment = {**os.environ, "PYTHONPATH": str(embedded_gateway.SOURCE)}
    said = subprocess.run(
        [str(python), "-c", KNOWS], env=environment, check=True, capture_output=True, text=True
    )
    return frozenset(said.stdout.split())


def answer_of(answer: Any) -> tuple[int, float]:
    """The label and its probability in an answer to one instance."""
    return int(answer["prediction"]), float(answer["score"])
