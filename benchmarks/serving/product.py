"""What the project ships: its serving backends alone, and the gateway before each."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path

import requests

from benchmarks.serving.backends import ENVIRONMENTS, Backend, answer_of, own_server, torchserve
from benchmarks.serving.contender import Contender, Target, wait_for
from benchmarks.serving.model import NAME, TEXT, ServedModel
from benchmarks.serving.postgresql import database, missing_postgresql
from benchmarks.serving.processes import running
from embedded import gateway as embedded_gateway
from embedded.ports import free_port
from tasks.contracts import Route

TOKEN = "a token of the benchmark, long enough"
KNOWS = "from perennial_gateway.settings import GatewaySettings as G; print(*G.model_fields)"


def contenders() -> list[Contender]:
    """Each backend alone; the gateway before it with each log and number of processes."""
    return [
        Contender("torchserve", "alone; gathers requests for 1 ms", start_gathering),
        Contender("torchserve-single", "alone; one request at a time, as behind the gateway", start_single),
        _gateway("gateway-sqlite"),
        _gateway("gateway-sqlite-2", workers=2),
        _gateway("gateway-postgresql", postgresql=True),
        _gateway("gateway-postgresql-2", postgresql=True, workers=2),
        Contender("own", "our own inference server alone", start_own, missing_own),
        _gateway("gateway-own", own=True),
        _gateway("gateway-own-2", own=True, workers=2),
    ]


@contextmanager
def start_gathering(model: ServedModel, folder: Path) -> Iterator[Target]:
    with torchserve(model, folder, gathers=True) as backend:
        yield backend.target


@contextmanager
def start_single(model: ServedModel, folder: Path) -> Iterator[Target]:
    with torchserve(model, folder, gathers=False) as backend:
        yield backend.target


@contextmanager
def start_own(model: ServedModel, folder: Path) -> Iterator[Target]:
    with own_server(model, folder) as backend:
        yield backend.target


def _gateway(name: str, *, own: bool = False, postgresql: bool = False, workers: int = 1) -> Contender:
    def missing() -> str | None:
        reasons = (
            missing_own() if own else None,
            missing_workers() if workers > 1 else None,
            missing_postgresql() if postgresql else None,
        )
        return next((reason for reason in reasons if reason), None)

    def behind(model: ServedModel, folder: Path) -> AbstractContextManager[Backend]:
        return own_server(model, folder) if own else torchserve(model, folder, gathers=False)

    @contextmanager
    def start(model: ServedModel, folder: Path) -> Iterator[Target]:
        more = {"PERENNIAL_GATEWAY_WORKERS": str(workers)} if workers > 1 else {}
        with (
            behind(model, folder) as backend,
            log_store(folder, postgresql=postgresql) as url,
            gateway(model, folder, backend, url, more) as target,
        ):
            yield target

    says = f"{workers} process of the gateway" if workers == 1 else f"{workers} processes of the gateway"
    return Contender(name, f"{says}, every prediction logged", start, missing)


@contextmanager
def gateway(
    model: ServedModel, folder: Path, backend: Backend, database_url: str, more: Mapping[str, str]
) -> Iterator[Target]:
    """The gateway, whose one route leads to the version in the backend."""
    port, log = free_port(), folder / "gateway.log"
    command, environment = embedded_gateway.command(
        ENVIRONMENTS / "gateway",
        port=port,
        token=TOKEN,
        database_url=database_url,
        torchserve_url="",
        torchserve_key_file=Path(),
    )
    told = {**backend.told, "PERENNIAL_LOG_SPOOL": str(folder / "spool"), **more}
    with running(command, environment | told, log) as process:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: requests.get(f"{url}/healthz", timeout=5).raise_for_status(), process, log)
        put_route(url, model, backend.kind)
        target = Target(
            f"{url}/v1/models/{NAME}/predict",
            {"instances": [{"text": TEXT}]},
            lambda document: answer_of(document["predictions"][0]),
        )
        wait_for(target.ask, process, log)
        yield target


def put_route(url: str, model: ServedModel, kind: str) -> None:
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
        backend="oip" if kind == "oip" else "torchserve",
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


def missing_workers() -> str | None:
    """Why there cannot be several processes of the gateway."""
    return None if "gateway_workers" in gateway_settings() else "this gateway runs as one process only"


def missing_own() -> str | None:
    """Why the server of our own cannot be measured."""
    known = "oip_url" in gateway_settings() and (ENVIRONMENTS / "inference").exists()
    return None if known else "this tree has no inference server of its own, or `make setup` was not run"


@cache
def gateway_settings() -> frozenset[str]:
    """The names of what can be set in the gateway."""
    python = ENVIRONMENTS / "gateway" / "bin" / "python"
    environment = {**os.environ, "PYTHONPATH": str(embedded_gateway.SOURCE)}
    said = subprocess.run(
        [str(python), "-c", KNOWS], env=environment, check=True, capture_output=True, text=True
    )
    return frozenset(said.stdout.split())
