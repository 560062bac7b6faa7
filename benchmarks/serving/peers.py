"""Other servers with the same model, each as its documentation has it and in an environment of its own.

One worker each, its access log off where that can be said. Their packages are pinned in `requirements/`, and
are installed below .perennial when one is measured for the first time.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.serving.backends import answer_of
from benchmarks.serving.contender import Contender, Target, wait_for
from benchmarks.serving.model import PROJECT, TEXT, ServedModel
from benchmarks.serving.processes import running
from embedded.environments import UV, torch_source, uv_environment
from embedded.ports import free_port

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = PROJECT / ".perennial" / "benchmarks" / "serving" / "envs"
INSTANCE = {"text": TEXT}
RECORDS = {"dataframe_records": [INSTANCE]}
Command = Callable[[Path, ServedModel, int], list[str]]
"""Makes a command from the folder of the environment's programs, the model and the port."""


def contenders() -> list[Contender]:
    """FastAPI, BentoML, LitServe, KServe's SDK and MLflow."""
    listed: dict[str, Any] = {"body": {"instances": [INSTANCE]}, "answer_of": first_of}
    return [
        _peer("fastapi", "FastAPI and uvicorn", _program("fastapi_server.py")),
        _peer("bentoml", "BentoML", _bentoml),
        _peer("litserve", "LitServe", _program("litserve_server.py")),
        _peer(
            "kserve",
            "KServe's SDK",
            _program("kserve_server.py"),
            path="/v1/models/reviews:predict",
            **listed,
        ),
        _peer(
            "mlflow", "mlflow models serve", _mlflow, path="/invocations", body=RECORDS, answer_of=first_of
        ),
    ]


def first_of(document: Any) -> tuple[int, float]:
    """Those of the first of several instances."""
    return answer_of(document["predictions"][0])


def _peer(
    name: str,
    says: str,
    command: Command,
    *,
    path: str = "/predict",
    body: Any = INSTANCE,
    answer_of: Callable[[Any], tuple[int, float]] = answer_of,
) -> Contender:
    @contextmanager
    def start(model: ServedModel, folder: Path) -> Iterator[Target]:
        port, log = free_port(), folder / f"{name}.log"
        target = Target(f"http://127.0.0.1:{port}{path}", body, answer_of)
        made = command(ENVIRONMENTS / name / "bin", model, port)
        with running(made, _environment(name, model, port, folder), log, HERE / "servers") as process:
            wait_for(target.ask, process, log)
            yield target

    return Contender(name, says, start, lambda: _install(name))


def _program(file: str) -> Command:
    return lambda programs, _model, _port: [str(programs / "python"), file]


def _bentoml(programs: Path, _model: ServedModel, port: int) -> list[str]:
    served = ["serve", "bentoml_server:Reviews", "--host", "127.0.0.1", "--port", str(port)]
    return [str(programs / "bentoml"), *served]


def _mlflow(programs: Path, model: ServedModel, port: int) -> list[str]:
    options = ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    return [str(programs / "mlflow"), "models", "serve", "--model-uri", str(model.mlflow_model), *options]


def _environment(name: str, model: ServedModel, port: int, folder: Path) -> dict[str, str]:
    """What each peer needs; one thread, as the handler has it, and nothing is written or told elsewhere."""
    programs = ENVIRONMENTS / name / "bin"
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "MODEL_FOLDER": str(model.unpacked),
        "PORT": str(port),
        "OMP_NUM_THREADS": "1",
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "BENTOML_HOME": str(folder / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _install(name: str) -> str | None:
    """Install a peer's packages; returns why that failed."""
    requirements, folder = HERE / "requirements" / f"{name}.txt", ENVIRONMENTS / name
    made_from, stamp = hashlib.sha256(requirements.read_bytes()).hexdigest(), folder / ".made-from"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == made_from:
        return None
    python = str(folder / "bin" / "python")
    for command in (
        ["venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
        [
            "pip",
            "install",
            "--quiet",
            "--python",
            python,
            *torch_source(),
            "--requirement",
            str(requirements),
        ],
    ):
        ended = subprocess.run(
            [str(UV), *command], env=uv_environment(), capture_output=True, text=True, check=False
        )
        if ended.returncode != 0:
            return f"its packages cannot be installed: {ended.stderr.strip()[-300:]}"
    stamp.write_text(made_from, encoding="utf-8")
    return None
