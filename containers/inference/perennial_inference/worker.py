"""A worker: one process that runs one version's handler. `python -m perennial_inference.worker DESCRIPTOR`.

Its socket is the inherited descriptor. The first frame says what to load; then each frame is a batch of
requests, answered by one frame. It ends when the server does.
"""

import ctypes
import importlib
import inspect
import json
import logging
import os
import signal
import socket
import sys
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, cast

import orjson

from perennial_inference import frames
from perennial_inference.tensors import BadTensor, Signature, instances_of, outputs_of

PR_SET_PDEATHSIG = 1
NO_OBJECT = "The model answered something else than an object with a prediction."


class Context:
    """What a handler sees of its server, as TorchServe tells it."""

    def __init__(self, folder: Path, gpu: int | None, batch_size: int) -> None:
        manifest = (folder / "MAR-INF" / "MANIFEST.json").read_text(encoding="utf-8")
        self.manifest: dict[str, Any] = json.loads(manifest)
        self.model_name: str = self.manifest["model"]["modelName"]
        self.system_properties: dict[str, Any] = {
            "model_dir": str(folder),
            "gpu_id": gpu,
            "batch_size": batch_size,
            "server_name": "perennial-inference",
            "server_version": "2",
        }
        self.statuses: dict[int, int] = {}

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:  # noqa: ARG002 - TorchServe's interface
        """The HTTP status of one item of the batch."""
        self.statuses[idx] = code

    def get_response_status(self, idx: int) -> tuple[int, str]:
        """What was set before."""
        return self.statuses.get(idx, 200), ""


@dataclass(frozen=True)
class Model:
    """A loaded handler and what it is asked with."""

    name: str
    version: str
    handler: Any
    context: Context
    signature: Signature
    batch_size: int

    @classmethod
    def load(cls, order: dict[str, Any]) -> "Model":
        """Import the handler by TorchServe's own rule, and let it load its model."""
        folder = Path(order["folder"])
        context = Context(folder, order["gpu"], order["batch_size"])
        sys.path.insert(0, str(folder))
        module = importlib.import_module(Path(context.manifest["model"]["handler"]).stem)
        handler = _only_class(module)()
        handler.initialize(context)
        signature = Signature.of(order["input_schema"], order["label_schema"])
        return cls(order["model"], order["version"], handler, context, signature, order["batch_size"])

    def following(self, order: dict[str, Any]) -> "Model":
        """The same handler, with the tensors and the batches of a changed order."""
        signature = Signature.of(order["input_schema"], order["label_schema"])
        return replace(self, signature=signature, batch_size=order["batch_size"])

    def answer(self, bodies: list[bytes]) -> list[frames.Part]:
        """The status and the body of the answer to each request, all instances asked together."""
        requests = [self._read(body) for body in bodies]
        asked = [instances for _, instances in requests if isinstance(instances, list)]
        answers = iter(self._ask_all([instance for instances in asked for instance in instances]))
        parts = []
        for request, instances in requests:
            if isinstance(instances, BadTensor):
                parts.append((400, orjson.dumps({"error": str(instances)})))
            else:
                parts.append(self._told(request, [next(answers) for _ in instances]))
        return parts

    def _read(self, body: bytes) -> tuple[Any, list[Any] | BadTensor]:
        try:
            request = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            return None, BadTensor(f"The body is not JSON: {error}.")
        try:
            return request, instances_of(request, self.signature)
        except BadTensor as error:
            return request, error

    def _told(self, request: Any, answers: list[dict[str, Any]]) -> frames.Part:
        document: dict[str, Any] = {"model_name": self.name, "model_version": self.version}
        if request.get("id"):
            document["id"] = request["id"]
        try:
            document["outputs"] = outputs_of(answers, self.signature, request)
            return 200, orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
        except BadTensor as error:
            return 400, orjson.dumps({"error": str(error)})
        except (TypeError, ValueError) as error:  # a value of the handler's own that no JSON has
            logging.exception("The model's answer cannot be told.")
            return 500, orjson.dumps({"error": f"The model's answer cannot be told as JSON: {error}."})

    def _ask_all(self, instances: list[Any]) -> list[dict[str, Any]]:
        size = self.batch_size
        parts = [self._ask(instances[start : start + size]) for start in range(0, len(instances), size)]
        return [answer for part in parts for answer in part]

    def _ask(self, instances: list[Any]) -> list[dict[str, Any]]:
        """A batch; where the handler raises, each instance alone, so that one takes no other with it."""
        self.context.statuses.clear()
        try:
            answers = self.handler.handle([{"body": instance} for instance in instances], self.context)
            if len(answers) != len(instances):
                raise RuntimeError(f"{len(answers)} answers came to {len(instances)} instances")  # noqa: TRY301 - as the handler's own
        except Exception as error:
            if len(instances) > 1:
                return [self._ask([instance])[0] for instance in instances]
            logging.exception("The model failed on one instance.")
            return [{"error": f"The model failed on this instance: {type(error).__name__}.", "status": 500}]
        return [self._checked(index, answer) for index, answer in enumerate(answers)]

    def _checked(self, index: int, answer: Any) -> dict[str, Any]:
        if not isinstance(answer, dict) or not ("prediction" in answer or "error" in answer):
            return {"error": NO_OBJECT, "status": 502}
        if "error" in answer:
            status = answer.get("status") or self.context.statuses.get(index, 500)
            return {"error": answer["error"], "status": status}
        return answer


def _only_class(module: ModuleType) -> Any:
    found = inspect.getmembers(module, inspect.isclass)
    classes = [value for _, value in found if value.__module__ == module.__name__]
    if len(classes) != 1:
        names = [each.__name__ for each in classes]
        raise TypeError(f"{module.__name__}.py defines the classes {names}; exactly one is the handler.")
    return classes[0]


def main() -> None:
    """Load what the first frame says, then answer until the server closes the socket."""
    die_with_parent()
    with socket.socket(fileno=int(sys.argv[1])) as line, line.makefile("rb", buffering=1 << 16) as stream:
        content = frames.read(cast("BinaryIO", stream))
        if content is None:
            return
        _, [(_, order)] = frames.unpack(content)
        try:
            model = Model.load(orjson.loads(order))
        except BaseException as error:  # noqa: BLE001 - a handler may raise SystemExit too; the server is told all of it
            traceback.print_exc()
            said = traceback.format_exception_only(error)[-1].strip()
            line.sendall(frames.pack(frames.FAILED, [(0, said.encode(errors="replace")[:4000])]))
            sys.exit(1)
        line.sendall(frames.pack(frames.READY, []))
        while (content := frames.read(cast("BinaryIO", stream))) is not None:
            kind, parts = frames.unpack(content)
            bodies = [body for _, body in parts]
            if kind == frames.ORDER:
                model = model.following(orjson.loads(bodies[0]))
            else:
                line.sendall(frames.pack(frames.ANSWERS, model.answer(bodies)))


def die_with_parent() -> None:
    """Let the kernel end this process with the server, also while a handler runs and reads no socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit(1)


if __name__ == "__main__":
    main()
