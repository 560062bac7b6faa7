"""The real services as child processes: one TorchServe
and one gateway, started again where a test killed them.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import requests

from embedded import gateway as embedded_gateway
from embedded import inference as embedded_inference
from embedded import torchserve as embedded_torchserve
from embedded.ports import free_port
from tasks.contracts import Action, Archive, DeployRequest, GateDecision, ModelVersion, Rollout, StepContext
from tasks.ledger import entries
from tasks.settings import PROJECT, settings
from tasks.spec import PipelineSpec
from tasks.stores import database, files
from tests.archives import write_archive
from tests.services.mlflow_server import MlflowServer

ENVIRONMENTS = PROJECT / ".perennial" / "envs"
TOKEN = "a token of the tests, long enough"
QUICK_JVM = {"JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
"""A server that lives for a minute spends two fifths of its start on compiling what it will not run often."""

HANDLER = '''
import json, os, time


class Handler:
    """Answers with its own mark, and does what a text asks for."""

    def initialize(self, context):
        self.version = context.manifest["model"]["modelVersion"]

    def handle(self, data, context):
        return [self.item(index, item["body"], context) for index, item in enumerate(data)]

    def item(self, index, body, context):
        if isinstance(body, list):
            return json.dumps([self.answer(instance, len(body)) for instance in body])
        answer = self.answer(body, 1)
        if "error" in answer:
            context.set_response_status(code=answer.pop("status"), idx=index)
        return answer

    def answer(self, instance, together):
        text = instance["text"]
        if text == "refuse":
            return {{"error": "This text is refused.", "status": 400}}
        if text == "fail":
            return {{"error": "The model failed on this instance: KeyError.", "status": 500}}
        if text == "die":
            os._exit(1)
        if text.startswith("sleep "):
            time.sleep(float(text.split()[1]))
        answer = {{"prediction": {mark!r}, "score": len(text) / 1000, "archive_version": self.version}}
        if text.startswith("together"):
            answer["score"] = together / 1
        if text == "several classes":
            answer["scores"] = {{"one": 0.75, "two": 0.25}}
        return answer
'''


def until(true: Callable[[], Any], *, seconds: float = 60, what: str = "it") -> None:
    """Wait until something holds; a service that is not
    up, or a file that is half written, counts as not yet.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if true():
                return
        except (requests.RequestException, ValueError, OSError):
            pass
        time.sleep(0.05)
    pytest.fail(f"waited {seconds} s in vain for {what}")


@dataclass
class Service:
    """A child process that can be killed and started again on the same ports."""

    command: list[str]
    environment: dict[str, str]
    log: Path
    ready: Callable[[], Any]
    process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env={**os.environ, **self.environment}, stdout=log, stderr=log
            )
        if wait:
            until(self.ready, what=f"{self.command} (see {self.log})")

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and gone."""
        self.signal(signal.SIGKILL)
        self.ended()

    def stop(self) -> None:
        self.signal(signal.SIGTERM)
        self.ended()

    def ended(self, seconds: float = 30) -> int:
        assert self.process is not None
        return self.process.wait(seconds)

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None


@dataclass
class Platform:
    """The running services and how to reach them."""

    folder: Path
    torchserve: Service
    inference: Service
    gateway: Service
    inference_url: str
    management_url: str
    oip_url: str
    gateway_url: str
    database_file: Path

    @property
    def torchserve_folder(self) -> Path:
        return self.folder / "torchserve"

    @property
    def inference_folder(self) -> Path:
        return self.folder / "inference"

    @property
    def store(self) -> Path:
        return self.torchserve_folder / "store"

    def post(self, path: str, body: Any, **how: Any) -> requests.Response:
        return requests.post(f"{self.gateway_url}{path}", json=body, timeout=60, **how)

    def predict(self, model: str, *texts: str, **how: Any) -> requests.Response:
        instances = [{"text": text} for text in texts]
        return self.post(f"/v1/models/{model}/predict", {"instances": instances}, **how)

    def internal(self, method: str, path: str, **how: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return requests.request(
            method, f"{self.gateway_url}/internal{path}", headers=headers, timeout=60, **how
        )

    @contextmanager
    def listening(self, **settings: str) -> Iterator[None]:
        """The gateway with other settings (PERENNIAL_...), until the block ends."""
        before = self.gateway.environment
        self.gateway.stop()
        self.gateway.environment = before | {f"PERENNIAL_{name}": value for name, value in settings.items()}
        try:
            self.gateway.start()
            yield
        finally:
            if self.gateway.running:
                self.gateway.stop()
            self.gateway.environment = before
            self.gateway.start()

    def logged(self, table: str, model: str) -> list[dict[str, Any]]:
        found = self.internal("GET", f"/log/{table}", params={"model": model})
        rows: list[dict[str, Any]] = found.json()["rows"]
        return rows


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("services")
    ports = {"inference_port": free_port(), "management_port": free_port(), "metrics_port": free_port()}
    gateway_port = free_port()
    serving = folder / "torchserve"
    embedded_torchserve.prepare(serving, **ports, store=serving / "store")
    command, environment = embedded_torchserve.command(ENVIRONMENTS / "serving", serving)
    inference_url = f"http://127.0.0.1:{ports['inference_port']}"

    def serves() -> bool:
        key = json.loads((serving / "key_file.json").read_text())["inference"]["key"]
        return requests.get(f"{inference_url}/ping", headers={"Authorization": f"Bearer {key}"}, timeout=5).ok

    torchserve = Service(command, environment | QUICK_JVM, folder / "torchserve.log", serves)
    oip_port = free_port()
    oip_url = f"http://127.0.0.1:{oip_port}"
    command, environment = embedded_inference.command(
        ENVIRONMENTS / "inference", folder / "inference", oip_port
    )
    inference = Service(
        command,
        environment,
        folder / "inference.log",
        lambda: requests.get(f"{oip_url}/v2/health/ready", timeout=5).ok,
    )
    database_file = folder / "gateway.db"
    command, environment = embedded_gateway.command(
        ENVIRONMENTS / "gateway",
        port=gateway_port,
        token=TOKEN,
        database_url=f"sqlite:///{database_file}",
        torchserve_url=inference_url,
        torchserve_key_file=serving / "key_file.json",
    )
    environment |= {
        "PERENNIAL_OIP_URL": oip_url,
        "PERENNIAL_OIP_KEY_FILE": str(folder / "inference" / "key_file.json"),
        "PERENNIAL_RELEASE_ENVIRONMENTS": "dev,staging",
    }
    gateway_url = f"http://127.0.0.1:{gateway_port}"
    gateway = Service(
        command,
        environment,
        folder / "gateway.log",
        lambda: requests.get(f"{gateway_url}/healthz", timeout=5).ok,
    )
    management_url = f"http://127.0.0.1:{ports['management_port']}"
    made = Platform(
        folder,
        torchserve,
        inference,
        gateway,
        inference_url,
        management_url,
        oip_url,
        gateway_url,
        database_file,
    )
    torchserve.start(wait=False)
    inference.start(wait=False)
    gateway.start(wait=False)
    try:
        until(torchserve.ready, what="TorchServe")
        until(inference.ready, what="the inference server")
        until(gateway.ready, what="the gateway")
        yield made
    finally:
        for service in (gateway, inference, torchserve):
            if service.running:
                service.kill()


@pytest.fixture(scope="session")
def mlflow_url(tmp_path_factory: pytest.TempPathFactory, mlflow_store: Path) -> str:
    """A registry in a SQLite file; no server is needed for it."""
    return f"sqlite:///{shutil.copy(mlflow_store, tmp_path_factory.mktemp('mlflow'))}"


@pytest.fixture(scope="session")
def mlflow_server(mlflow_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """The platform's MLflow server on that file, which was made before MLflow had users.

    Its administrator had another password before.
    """
    folder = tmp_path_factory.mktemp("mlflow_server")
    server = MlflowServer(mlflow_url, str(folder / "artifacts"), folder)
    server.upgrade()
    server.add_admin("was-the-password")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def settled(services: Platform, mlflow_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state folder for the tests of one file, and the
    settings of this process pointing to it and to the services.
    """
    home = tmp_path_factory.mktemp("home")
    variables = {
        "HOME": str(home),
        "GATEWAY_URL": services.gateway_url,
        "GATEWAY_TOKEN": TOKEN,
        "TORCHSERVE_INFERENCE_URL": services.inference_url,
        "TORCHSERVE_MANAGEMENT_URL": services.management_url,
        "TORCHSERVE_STORE": str(services.store),
        "TORCHSERVE_KEY_FILE": str(services.torchserve_folder / "key_file.json"),
        "OIP_URL": services.oip_url,
        "OIP_STORE": str(services.inference_folder / "store"),
        "OIP_KEY_FILE": str(services.inference_folder / "key_file.json"),
        "MLFLOW_URL": mlflow_url,
        "MODELS": str(home / "models"),
    }
    with pytest.MonkeyPatch.context() as patched:
        for name, value in variables.items():
            patched.setenv(f"PERENNIAL_{name}", value)
        settings.cache_clear()
        database.engine.cache_clear()
        yield home
        database.engine().dispose()
        forget_heads()
    settings.cache_clear()
    database.engine.cache_clear()


def forget_heads() -> None:
    """Let no registered model carry the head of this file's ledger: the next file has a ledger of its own."""
    from tasks.ledger import heads
    from tasks.stores import registry

    client = registry.client()
    for model in client.search_registered_models(max_results=1000):
        if heads.TAG in model.tags:
            client.delete_registered_model_tag(model.name, heads.TAG)


@pytest.fixture
def platform(services: Platform, settled: Path) -> Platform:
    """The services, running."""
    for service in (services.torchserve, services.inference, services.gateway):
        if not service.running:
            service.start()
    return services


# --- models -------------------------------------------------------------------------------------------------


def build_archive(
    folder: Path, model: str, mark: str, *, handler: str = HANDLER, batches: bool = True
) -> Archive:
    """A real archive of a tiny handler that answers with `mark`; its version is unique.

    Args:
        batches: Whether the gateway sends it lists of instances; False for an archive of an earlier version.
    """
    version = os.urandom(16).hex()
    work = folder / version
    work.mkdir(parents=True)
    handler = handler.format(mark=mark)
    file = write_archive(work / f"{model}.mar", model=model, version=version, handler=handler)
    return Archive(
        model=model,
        version=version,
        run_id=version,
        url=str(file),
        sha256=files.sha256(str(file)),
        size_bytes=file.stat().st_size,
        example_prediction={"prediction": mark, "score": 0.007},
        input_example={"text": "example"},
        batches=batches,
    )


def build_spec(
    model: str, data: dict[str, Any] | None = None, release: dict[str, Any] | None = None, **serving: Any
) -> PipelineSpec:
    """A specification for the tiny handlers, with some fields of its data and its serving changed."""
    text = {
        "type": "object",
        "properties": {"text": {"type": "string", "minLength": 1, "maxLength": 50}},
        "required": ["text"],
    }
    return PipelineSpec.model_validate(
        {
            "version": 1,
            "name": model,
            "description": "A tiny model of the tests.",
            "owner": "tests",
            "data": {
                "table": f"{model}_rows",
                "key": "id",
                "columns": {"id": "string", "at": "timestamp", "text": "string", "label": "int64"},
                "suite": "none",
                "query": f"SELECT * FROM {model}_rows",
                "features": ["text"],
                "label": "label",
                "split": {"by": "id"},
                "feedback_query": "SELECT prediction_id AS id, predicted_at AS at, text, label FROM labelled",
                **(data or {}),
            },
            "serving": {
                "input_schema": {**text, "additionalProperties": False},
                "label_schema": {"type": "integer", "enum": [0, 1]},
                "input_example": {"text": "example"},
                "timeout_seconds": 5,
                **serving,
            },
            "release": release or {},
        }
    )


def promote(spec: PipelineSpec, archive: Archive) -> ModelVersion:
    """Let the ledger and the registry say what the gate and the registration would have said."""
    from tasks.serving.champion import find_champion
    from tasks.stores import registry

    serving = find_champion(spec.name).version
    decision = GateDecision(
        model=spec.name,
        run_id=archive.run_id,
        verdict="promote",
        first_model=serving is None,
        rules=(),
        why="A test says so.",
        archive_sha256=archive.sha256,
        evaluation_url="",
    )
    evidence = {"decision": decision, "archive": archive}
    entry = entries.record(
        model=spec.name,
        actor="tests",
        action=Action.GATE,
        before=serving.run_id if serving else None,
        after="promote",
        why=decision.why,
        evidence=evidence,
    )
    client = registry.client()
    if not client.search_registered_models(f"name = '{spec.name}'"):
        client.create_registered_model(spec.name)
    tags = {registry.ARCHIVE: archive.model_dump_json(), registry.DECISION: entry.entry_hash}
    made = client.create_model_version(spec.name, source=archive.url, run_id=archive.run_id, tags=tags)
    return registry.get_version(spec.name, str(made.version))


@dataclass
class Model:
    """A model of one test: what it takes to train, promote and deploy a version of it."""

    spec: PipelineSpec
    folder: Path

    @property
    def name(self) -> str:
        return self.spec.name

    def promoted(self, mark: str, **how: Any) -> ModelVersion:
        return promote(self.spec, build_archive(self.folder, self.name, mark, **how))

    def request(self, version: ModelVersion) -> DeployRequest:
        context = StepContext(
            actor=f"tests/{version.version}", step_key="deploy", work_url=str(self.folder / "work")
        )
        return DeployRequest(spec=self.spec, version=version, context=context)

    def deploy(self, mark: str, **how: Any) -> Rollout:
        from tasks.release.deploy import deploy

        return deploy(self.request(self.promoted(mark, **how)))

    def retire(self) -> None:
        """Take it out of service, so that what a later test restarts does not have to load it."""
        from tasks.serving.backend import retire_all_but
        from tasks.serving.gateway import Gateway

        Gateway().withdraw(self.name)
        retire_all_but(self.name, {})

    def remove(self) -> None:
        """Take it out of service, and out of the registry: who looks at all models would ask for it, too."""
        from tasks.stores import registry

        self.retire()
        client = registry.client()
        if client.search_registered_models(f"name = '{self.name}'"):
            client.delete_registered_model(self.name)


def new_model(home: Path, **changes: Any) -> Model:
    """A model that no other test knows."""
    spec = build_spec(f"m{os.urandom(4).hex()}", **changes)
    folder = home / "models" / spec.name
    folder.mkdir(parents=True)
    document = spec.model_dump_json(exclude={"behaviour"})  # JSON is YAML too
    (folder / "pipeline.yaml").write_text(document, encoding="utf-8")
    return Model(spec, home / "archives")


@pytest.fixture
def model(platform: Platform, settled: Path) -> Iterator[Model]:
    """A model of this test alone, of which nothing serves."""
    made = new_model(settled)
    yield made
    made.remove()


@pytest.fixture
def served(model: Model) -> Model:
    """A model of this test alone, whose version `one` serves."""
    assert model.deploy("one").verdict == "deployed"
    return model


@pytest.fixture(scope="module")
def steady(services: Platform, settled: Path) -> Iterator[Model]:
    """A model that the tests of a file share; `one` serves at the start and at the end of each."""
    model = new_model(settled, timeout_seconds=3)
    model.deploy("one")
    yield model
    model.remove()


# --- load ---------------------------------------------------------------------------------------------------


@dataclass
class Load:
    """Constant load on a model, in the background: what came of each request.

    Attributes:
        answered: When each answer came (`time.monotonic`), and of which run.
        asked: The instance of each prediction, by its id.
        resets: Requests whose connection ended before any byte of an answer came, and which were sent again.
    """

    answers: list[dict[str, Any]] = field(default_factory=list)
    answered: list[tuple[float, str]] = field(default_factory=list)
    asked: dict[str, dict[str, Any]] = field(default_factory=dict)
    refusals: list[SimpleNamespace] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    resets: int = 0

    @property
    def ids(self) -> set[str]:
        return {each["prediction_id"] for answer in self.answers for each in answer["predictions"]}

    @property
    def runs(self) -> list[str]:
        """The runs that answered, in the order of their first answer."""
        return list(dict.fromkeys(answer["run_id"] for answer in self.answers))


@contextmanager
def load_on(
    platform: Platform,
    model: str,
    *,
    per_second: float = 60,
    again: bool = False,
    instances: Callable[[], list[dict[str, Any]]] = lambda: [{"text": "load"}],
) -> Iterator[Load]:
    """Send requests at a constant rate, whether or not earlier ones are answered, while the block runs.

    Args:
        again: Whether a request whose connection ends before its answer begins is sent once more on a new
            one, as docs/operate.md tells clients.
        instances: Gives those of the next request.
    """
    found, stop = Load(), threading.Event()
    url = f"{platform.gateway_url}/v1/models/{model}/predict"
    tries = 2 if again else 1
    sending = _send(lambda session: _ask(session, url, instances(), found, tries), per_second, stop)
    thread = threading.Thread(target=lambda: asyncio.run(sending))
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()


async def _send(
    ask: Callable[[aiohttp.ClientSession], Coroutine[Any, Any, None]],
    per_second: float,
    stop: threading.Event,
) -> None:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session,
        asyncio.TaskGroup() as group,
    ):
        while not stop.is_set():
            group.create_task(ask(session))
            await asyncio.sleep(1 / per_second)


async def _ask(
    session: aiohttp.ClientSession, url: str, instances: list[dict[str, Any]], found: Load, tries: int
) -> None:
    begun = False
    try:
        async with session.post(url, json={"instances": instances}) as response:
            begun = True
            body = await response.json()
            if response.status == 200:
                found.answers.append(body)
                found.answered.append((time.monotonic(), body["run_id"]))
                told = [each["prediction_id"] for each in body["predictions"]]
                found.asked |= dict(zip(told, instances, strict=True))
            else:
                headers = dict(response.headers)
                found.refusals.append(
                    SimpleNamespace(status=response.status, body=body, headers=headers, at=time.monotonic())
                )
    except aiohttp.ClientError as error:
        if begun or tries == 1:
            found.faults.append(repr(error))
        else:
            found.resets += 1
            async with (
                aiohttp.ClientSession() as anew
            ):  # another kept connection may have ended with the first
                await _ask(anew, url, instances, found, tries - 1)
