"""What is looked at before anything is spent on a training, and what is said of it."""

import http.server
import os
import subprocess
import sys
import threading
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import PreflightReport, PreflightRequest, StepContext
from tasks.errors import GpuMissing, InvalidRequest, MlflowRefused, ServiceAway, WrongCode
from tasks.settings import settings
from tasks.spec import PipelineSpec
from tasks.training import preflight as subject
from tasks.training.preflight import Gpu, find_gpu, preflight
from tests.conftest import PROJECT


@pytest.fixture
def mlflow(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Something that answers as MLflow does where no training was logged yet."""

    class Empty(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            let_in = self.headers["Authorization"] == os.environ.get("EXPECTED_LOGIN")
            self.send_response(404 if let_in else 401)
            self.end_headers()
            if let_in and self.path.startswith("/api/2.0/mlflow/experiments/get-by-name?"):
                self.wfile.write(b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}')

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Empty)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("PERENNIAL_MLFLOW_URL", f"http://127.0.0.1:{server.server_port}/")
    settings.cache_clear()
    yield
    server.shutdown()
    server.server_close()


def request_for(home: Path, commit: str | None = None, **changes: Any) -> PreflightRequest:
    spec = PipelineSpec.load(PROJECT / "models" / "review_sentiment" / "pipeline.yaml")
    changes = {"resources": {"gpus": "none"}} | changes
    document = spec.model_dump() | {
        name: getattr(spec, name).model_dump() | change for name, change in changes.items()
    }
    context = StepContext(actor="a", step_key="k", work_url=str(home / "runs" / "step"), code_commit=commit)
    return PreflightRequest(context=context, spec=PipelineSpec.model_validate(document))


@pytest.mark.parametrize(
    ("backend", "variable"),
    [("oip", "PERENNIAL_OIP_URL"), ("torchserve", "PERENNIAL_TORCHSERVE_INFERENCE_URL")],
)
def test_more_replicas_than_there_are_servers_are_told_before_anything_is_trained(
    home: Path, monkeypatch: pytest.MonkeyPatch, mlflow: None, backend: str, variable: str
) -> None:
    request = request_for(home, serving={"backend": backend, "replicas": 2})
    monkeypatch.setenv(variable, "http://one:8088")
    settings.cache_clear()
    with pytest.raises(
        InvalidRequest, match=f"wants 2 replicas, but the settings name 1 server of .*{variable}"
    ):
        preflight(request)

    monkeypatch.setenv(variable, "http://one:8088,http://two:8088")
    settings.cache_clear()
    assert preflight(request).model == "review_sentiment"


@pytest.mark.parametrize(("there", "said"), [("dev,staging", "names stagin"), ("", "has none")])
def test_a_misspelt_environment_is_told_before_anything_is_trained(
    home: Path, monkeypatch: pytest.MonkeyPatch, there: str, said: str
) -> None:
    monkeypatch.setenv("PERENNIAL_RELEASE_ENVIRONMENTS", there)
    settings.cache_clear()
    with pytest.raises(InvalidRequest, match=said):
        preflight(request_for(home, release={"environments": ["stagin"]}))


def test_a_place_where_all_is_well_is_described(
    home: Path, mlflow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"IMAGE_DIGEST": "sha256:1", "CODE_COMMIT": "abc", "MEMORY_MIB": "4096"}.items():
        monkeypatch.setenv(f"PERENNIAL_{name}", value)
    settings.cache_clear()

    report = preflight(request_for(home, "abc"))

    assert report == PreflightReport(
        model="review_sentiment",
        device="cpu",
        gpu=None,
        why="pipeline.yaml asks for no GPU (resources.gpus: none).",
        code_commit="abc",
        image_digest="sha256:1",
        memory_mib=4096,
    )
    assert list((home / "runs" / "step").iterdir()) == [], "what it wrote to try the store is gone"


def test_without_a_wish_for_a_gpu_it_is_light(home: Path, mlflow: None) -> None:
    """In a process of its own: it imports no library of the heavy steps, which are what costs seconds."""
    (home / "request.json").write_text(request_for(home).model_dump_json())
    program = (
        "import sys; from tasks.step import execute; code = execute('preflight', "
        f"{str(home / 'request.json')!r}, {str(home / 'result.json')!r}); heavy = {{'torch', 'mlflow', "
        "'pandas', 'pyarrow', 'great_expectations', 'deltalake', 'duckdb'} & set(sys.modules); print(code, "
        "sorted(heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "0 []"


# --- code ---------------------------------------------------------------------------------------------------


def test_a_run_of_another_commit_than_the_image_is_refused(
    home: Path, mlflow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERENNIAL_CODE_COMMIT", "new")
    settings.cache_clear()

    with pytest.raises(WrongCode, match="The run is of commit old, and the code of this step is of new"):
        preflight(request_for(home, "old"))
    assert preflight(request_for(home, "old", training={"allow_other_commit": True})).code_commit == "new"
    assert preflight(request_for(home, None)).code_commit == "new"


def test_changed_files_are_another_commit(home: Path, mlflow: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERENNIAL_CODE_COMMIT", "abc+dirty")
    settings.cache_clear()
    with pytest.raises(WrongCode):
        preflight(request_for(home, "abc"))


# --- services -----------------------------------------------------------------------------------------------


def test_an_mlflow_that_does_not_answer_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERENNIAL_MLFLOW_URL", "http://127.0.0.1:9")
    settings.cache_clear()
    with pytest.raises(
        ServiceAway, match=r"MLflow does not answer at http://127\.0\.0\.1:9 \(PERENNIAL_MLFLOW_URL\)"
    ):
        preflight(request_for(home))


def test_an_mlflow_that_asks_for_a_password_is_given_that_of_its_own_client(
    home: Path, mlflow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPECTED_LOGIN", "Basic bWU6c2VjcmV0")
    with pytest.raises(MlflowRefused, match="refuses the user without a name: HTTP 401"):
        preflight(request_for(home))
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
    assert preflight(request_for(home)).model == "review_sentiment"


def test_a_database_that_does_not_answer_is_named_without_its_password(
    home: Path, mlflow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("PERENNIAL_DATABASE_URL", "postgresql+psycopg://me:secret@127.0.0.1:9/perennial")
        patch.setenv("PERENNIAL_DATABASE_WAIT_SECONDS", "0.2")
        settings.cache_clear()
        with pytest.raises(ServiceAway, match="database cannot be opened at postgresql") as away:
            preflight(request_for(home))
    settings.cache_clear()
    assert "secret" not in str(away.value)


def test_a_store_that_cannot_be_written_is_named(home: Path, mlflow: None) -> None:
    (home / "runs").write_text("A file where a folder should be.")
    with pytest.raises(ServiceAway, match=f"The store cannot be written at {home}/runs/step"):
        preflight(request_for(home))


# --- GPU ----------------------------------------------------------------------------------------------------


class Torch(types.ModuleType):
    """As much of torch as the look at its devices needs."""

    def __init__(self, *, built_for: str | None = "13.0", devices: int = 0, fault: str = "") -> None:
        super().__init__("torch")
        self.__version__ = "2.13.0"
        self.version = types.SimpleNamespace(cuda=built_for)

        def init() -> None:
            if fault:
                raise RuntimeError(fault)

        properties = types.SimpleNamespace(name="NVIDIA H200", total_memory=141 << 30)
        self.cuda = types.SimpleNamespace(
            is_available=lambda: devices > 0,
            device_count=lambda: devices,
            get_device_properties=lambda _index: properties,
            init=init,
        )


@pytest.fixture
def machine(home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a machine with this torch and, if its driver says something, a driver."""

    def make(torch: Torch | None, driver: str | None = None, script: str | None = None) -> None:
        monkeypatch.setitem(sys.modules, "torch", torch)
        folder = home / "bin"
        folder.mkdir(exist_ok=True)
        if driver is not None or script:
            program = folder / "nvidia-smi"
            program.write_text(f"#!/bin/sh\n{script or f'echo {driver!r}'}\n")
            program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")

    return make


def test_a_gpu_is_told_with_its_name_and_memory(machine: Any) -> None:
    machine(Torch(devices=2), "NVIDIA H200, 580.1")
    assert find_gpu() == Gpu("NVIDIA H200, 144384 MiB", "torch 2.13.0 sees 2 GPU(s).")


@pytest.mark.parametrize(
    ("torch", "driver", "says"),
    [
        (Torch(built_for=None), "NVIDIA H200, 580.1", "is built for the CPU only"),
        (Torch(built_for=None), None, "The driver says: there is none"),
        (Torch(), None, "There is no NVIDIA driver in this step"),
        (
            Torch(fault="The NVIDIA driver on your system is too old"),
            "Tesla K80, 418.1",
            "driver on your system is too old",
        ),
        (Torch(), "No devices were found", "finds no device. The driver says: No devices were found"),
    ],
)
def test_why_there_is_no_gpu_is_told(machine: Any, torch: Torch, driver: str | None, says: str) -> None:
    machine(torch, driver)
    found = find_gpu()
    assert found.name is None
    assert says in found.why


def test_a_driver_that_hangs_keeps_nobody(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "TIMEOUT_SECONDS", 0.5)
    machine(Torch(), script="exec sleep 60")
    started = time.monotonic()
    assert "finds no device" in find_gpu().why
    assert time.monotonic() - started < 10


def test_what_the_engine_said_of_its_gpus_is_told_without_torch(
    machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(None)
    monkeypatch.setenv("PERENNIAL_GPU_MISSING", "could not select device driver")
    settings.cache_clear()
    assert "could not select device driver" in find_gpu().why


def test_a_required_gpu_that_is_missing_refuses_the_run_and_a_preferred_one_does_not(
    home: Path, mlflow: None, machine: Any
) -> None:
    machine(Torch())
    with pytest.raises(
        GpuMissing, match=r"review_sentiment needs a GPU \(resources.gpus: required\).*no NVIDIA driver"
    ):
        preflight(request_for(home, resources={"gpus": "required"}))

    report = preflight(request_for(home, resources={"gpus": "preferred"}))

    assert (report.device, report.gpu) == ("cpu", None)
    assert "no NVIDIA driver" in report.why
