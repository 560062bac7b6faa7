"""What holds the model behind the gateway, and answers alone too: TorchServe, and the server of our own.

Each is started with the product's configuration and told by its own HTTP interface to load the version, with
the values that a deployment sends.
"""

import json
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from benchmarks.serving.contender import CONTENT, Target, wait_for
from benchmarks.serving.model import NAME, PROJECT, TEXT, ServedModel
from benchmarks.serving.processes import running
from embedded import torchserve as embedded_torchserve
from embedded.ports import free_port

ENVIRONMENTS = PROJECT / ".perennial" / "envs"
LOAD_SECONDS = 120


@dataclass(frozen=True)
class Backend:
    """A server that holds the version.

    Attributes:
        target: The version at its own address.
        told: The gateway's settings with which it finds the server.
    """

    kind: str
    target: Target
    told: dict[str, str]


@contextmanager
def torchserve(model: ServedModel, folder: Path, *, gathers: bool) -> Iterator[Backend]:
    """TorchServe with the version.

    Args:
        gathers: Whether it makes batches of requests itself; before a gateway that sends whole batches, a
            deployment tells it not to.
    """
    serving, log = folder / "torchserve", folder / "torchserve.log"
    ports = {name: free_port() for name in ("inference_port", "management_port", "metrics_port")}
    embedded_torchserve.prepare(serving, **ports, store=serving / "store")
    command, environment = embedded_torchserve.command(ENVIRONMENTS / "serving", serving)
    url, key_file = f"http://127.0.0.1:{ports['inference_port']}", serving / "key_file.json"
    told = {"PERENNIAL_TORCHSERVE_INFERENCE_URL": url, "PERENNIAL_TORCHSERVE_KEY_FILE": str(key_file)}
    spec, archive = model.spec.serving, model.archive
    parameters = {
        "url": shutil.copy(archive.url, serving / "store" / f"{NAME}.mar").name,
        "model_name": NAME,
        "initial_workers": spec.workers,
        "synchronous": "false",
        "batch_size": spec.batch_size if gathers else 1,
        "max_batch_delay": spec.max_batch_delay_ms,
        "response_timeout": response_timeout(model),
    }
    with running(command, environment, log) as process:
        management = f"http://127.0.0.1:{ports['management_port']}/models"
        wait_for(lambda: _post(management, key_file, params=parameters), process, log)
        path = f"{url}/predictions/{NAME}/{archive.version}"
        target = Target(path, {"text": TEXT}, answer_of, CONTENT | _bearer(key_file, "inference"))
        wait_for(target.ask, process, log)
        yield Backend("torchserve", target, told)


@contextmanager
def own_server(model: ServedModel, folder: Path) -> Iterator[Backend]:
    """The server of our own that speaks the Open Inference Protocol, with the version."""
    from embedded import inference

    serving, log, port = folder / "inference", folder / "inference.log", free_port()
    command, environment = inference.command(ENVIRONMENTS / "inference", serving, port)
    url, key_file = f"http://127.0.0.1:{port}", serving / "key_file.json"
    told = {
        "PERENNIAL_TORCHSERVE_INFERENCE_URL": "",
        "PERENNIAL_TORCHSERVE_KEY_FILE": "",
        "PERENNIAL_OIP_URL": url,
        "PERENNIAL_OIP_KEY_FILE": str(key_file),
    }
    spec, archive = model.spec.serving, model.archive
    (serving / "store").mkdir(parents=True, exist_ok=True)
    file = shutil.copy(archive.url, serving / "store" / f"{NAME}-{archive.version}-{archive.sha256[:16]}.mar")
    parameters = {
        "version": archive.version,
        "archive": file.name,
        "sha256": archive.sha256,
        "workers": spec.workers,
        "batch_size": spec.batch_size,
        "timeout_seconds": response_timeout(model),
        "input_schema": spec.input_schema,
        "label_schema": spec.label_schema,
    }
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "data": [TEXT]}
    with running(command, environment, log) as process:
        load = f"{url}/v2/repository/models/{NAME}/load"
        wait_for(lambda: _post(load, key_file, json={"parameters": parameters}), process, log)
        path = f"{url}/v2/models/{NAME}/versions/{archive.version}/infer"
        target = Target(path, {"inputs": [tensor]}, of_tensors, CONTENT | _bearer(key_file, "inference"))
        wait_for(target.ask, process, log)
        yield Backend("oip", target, told)


def answer_of(answer: Any) -> tuple[int, float]:
    """The label and its probability in an answer to one instance."""
    return int(answer["prediction"]), float(answer["score"])


def of_tensors(document: Any) -> tuple[int, float]:
    """Those in an answer of the Open Inference Protocol."""
    return answer_of({output["name"]: output["data"][0] for output in document["outputs"]})


def response_timeout(model: ServedModel) -> int:
    """After how many seconds a worker that does not answer is replaced, as a deployment says it."""
    return math.ceil(model.spec.serving.timeout_seconds * 2) + 1


def _post(url: str, key_file: Path, **how: Any) -> None:
    """A call of the management; it raises while the server has no tokens yet, or does not answer."""
    if not key_file.exists():
        raise requests.ConnectionError(f"There is no {key_file} yet.")
    answer = requests.post(url, headers=_bearer(key_file, "management"), timeout=LOAD_SECONDS, **how)
    if not answer.ok:
        raise requests.RequestException(f"{url}: {answer.status_code}, {answer.text[:1000]}")


def _bearer(key_file: Path, kind: str) -> dict[str, str]:
    key = json.loads(key_file.read_text(encoding="utf-8"))[kind]["key"]
    return {"Authorization": f"Bearer {key}"}
