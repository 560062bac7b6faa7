"""Our own inference server, alone and behind the gateway."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.serving import product
from benchmarks.serving.contender import Contender, Target, wait_for
from benchmarks.serving.model import NAME, TEXT, ServedModel
from benchmarks.serving.processes import running
from embedded import inference as embedded_inference
from embedded.ports import free_port
from tasks.serving.oip import oip


def contenders() -> list[Contender]:
    """The server as it is asked by a client of the Open Inference Protocol, and by the gateway."""
    return [
        Contender("own", "our own server alone; Open Inference Protocol", start_alone),
        Contender("gateway-own", "gateway and our own server; log in SQLite", start_behind),
    ]


@contextmanager
def start_alone(model: ServedModel, folder: Path) -> Iterator[Target]:
    with inference(model, folder) as served:
        yield served


@contextmanager
def start_behind(model: ServedModel, folder: Path) -> Iterator[Target]:
    with inference(model, folder) as behind, product.log_store(folder, postgresql=False) as url:
        more = {
            "PERENNIAL_OIP_URL": behind.url.split("/v2/")[0],
            "PERENNIAL_OIP_KEY_FILE": str(folder / "inference" / "key_file.json"),
        }
        with product.gateway(model, folder, behind, url, more, backend="oip") as target:
            yield target


@contextmanager
def inference(model: ServedModel, folder: Path) -> Iterator[Target]:
    """The server with the product's configuration, and the version loaded as a deployment loads it."""
    serving, log, port = folder / "inference", folder / "inference.log", free_port()
    command, environment = embedded_inference.command(product.ENVIRONMENTS / "inference", serving, port)
    url, keys = f"http://127.0.0.1:{port}", serving / "key_file.json"
    with (
        running(command, environment, log) as process,
        product.variables(OIP_URL=url, OIP_STORE=str(serving / "store"), OIP_KEY_FILE=str(keys)),
    ):
        oip().register(model.archive, model.spec.serving)
        key = json.loads(keys.read_text(encoding="utf-8"))["inference"]["key"]
        target = Target(
            f"{url}/v2/models/{NAME}/versions/{model.archive.version}/infer",
            {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [TEXT]}]},
            answer_of,
            {"Content-Type": "application/json", "Authorization": f"Bearer {key}"},
        )
        wait_for(target.ask, process, log)
        yield target


def answer_of(document: Any) -> tuple[int, float]:
    """The label and its probability in the outputs."""
    outputs = {tensor["name"]: tensor["data"][0] for tensor in document["outputs"]}
    return int(outputs["prediction"]), float(outputs["score"])
