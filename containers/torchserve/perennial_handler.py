"""The base of every model's TorchServe handler: one bad item never fails its batch.

A model's handler.py defines one class, `class Handler(PerennialHandler)`, with `load` and `predict`; further
classes belong in other files, since TorchServe takes the only class of the module. This file is put into each
archive and imports nothing of TorchServe, so that the same handler also scores an archive without a server.
PyTorch is imported by the model's own code, and here only where a handler asks for its device, so a model
that does without it does not pay two seconds for each start.
"""

import json
import logging
import math
import sys
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


class BadInstance(ValueError):
    """An item of a batch that cannot be predicted on; the
    message goes to the one who sent it, with status 400.
    """


class NotFinite(RuntimeError):
    """The model answered NaN or infinity."""


class PerennialHandler:
    """What TorchServe calls, around a model's `load` and `predict`."""

    version: str = ""
    _gpu: int | None = None

    @cached_property
    def device(self) -> "torch.device":
        """Where the model's tensors belong: the GPU that TorchServe gave this worker, else the processor."""
        import torch

        if self._gpu is None or not torch.cuda.is_available():
            return torch.device("cpu")
        return torch.device("cuda", self._gpu)

    def load(self, folder: Path) -> None:
        """Load the model from the unpacked archive; called once in each worker."""
        raise NotImplementedError(
            f"{type(self).__name__} lacks load(folder). Add it to the model's handler.py."
        )

    def predict(self, instances: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Answer each instance with {"prediction": label, "score": number or None}, in their order.

        Of a binary task, `score` is the probability of the positive label; of a multiclass one, that of the
        predicted label, with {"scores": {label as text: probability}} for all of them; of a regression there
        is none.

        Raise `BadInstance` for an item that cannot be predicted on: the batch is then predicted item by item.
        """
        raise NotImplementedError(
            f"{type(self).__name__} lacks predict(instances). Add it to the model's handler.py."
        )

    def initialize(self, context: Any) -> None:
        """Called by TorchServe once in each worker."""
        logging.disable(logging.INFO)  # a quarter of a worker's time goes to metric lines that nobody reads
        properties = context.system_properties
        if properties.get("gpu_id") is not None:
            self._gpu = int(properties["gpu_id"])
        self.version = str(context.manifest["model"]["modelVersion"])
        use_one_thread()
        self.load(Path(properties["model_dir"]))
        use_one_thread()  # `load` may be the first to import PyTorch

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[Any]:
        """Called by TorchServe with a batch; answers every item, each with its own HTTP status.

        An item may be a list of instances, which the gateway sends together; it is answered with a list, in
        which what is refused stands as {"error": ..., "status": ...}.
        """
        contents = [instances_of(item) for item in data]
        answers = self._answer_all([instance for instances, _ in contents for instance in instances])
        told: list[Any] = []
        for index, (instances, together) in enumerate(contents):
            own, answers = answers[: len(instances)], answers[len(instances) :]
            # Text, because TorchServe would write JSON with indentation, which takes ten times as long.
            told.append(json.dumps(own) if together else with_status(context, index, own[0]))
        return told

    def _answer_all(self, instances: list[Any]) -> list[dict[str, Any]]:
        """Every instance's answer; one that is none is answered with an error, and the others are asked."""
        faults = {index: error for index, error in enumerate(instances) if isinstance(error, BadInstance)}
        good = {index: each for index, each in enumerate(instances) if index not in faults}
        answers = {index: self._explain(error) for index, error in faults.items()}
        answers |= self._predict_isolated(good)
        return [answers[index] for index in range(len(instances))]

    def _predict_isolated(self, instances: dict[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
        if not instances:
            return {}
        try:
            answers = self._predict_checked(list(instances.values()))
        except Exception as error:  # noqa: BLE001 - whatever the model's code raises must not fail the other items
            if len(instances) == 1:
                return {index: self._explain(error) for index in instances}
            alone = [self._predict_isolated({index: instance}) for index, instance in instances.items()]
            return {index: answer for one in alone for index, answer in one.items()}
        return dict(zip(instances, answers, strict=True))

    def _predict_checked(self, instances: list[dict[str, Any]]) -> list[dict[str, Any]]:
        with inference_mode():
            answers = self.predict(instances)
        if len(answers) != len(instances):
            raise RuntimeError(f"predict answered {len(answers)} of {len(instances)} instances")
        for answer in answers:
            numbers = [answer.get("prediction"), answer.get("score"), *(answer.get("scores") or {}).values()]
            if "prediction" not in answer:
                raise RuntimeError(f"predict answered {answer!r}; a prediction is expected")
            if not all(map(_is_sound, numbers)):
                raise NotFinite(f"predict answered {answer!r}; finite numbers are expected")
        return [
            {**answer, "score": answer.get("score"), "archive_version": self.version} for answer in answers
        ]

    def _explain(self, error: Exception) -> dict[str, Any]:
        if isinstance(error, BadInstance):
            return {"error": str(error), "status": 400}
        logging.error("The model failed on one item.", exc_info=error)
        if isinstance(error, NotFinite):
            return {"error": "The model answered a number that is not finite.", "status": 500}
        return {"error": f"The model failed on this instance: {type(error).__name__}.", "status": 500}


def _is_sound(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def use_one_thread() -> None:
    """Keep PyTorch, where the model has imported it, from taking every core: each has a worker of its own."""
    if loaded := sys.modules.get("torch"):
        loaded.set_num_threads(1)


def inference_mode() -> AbstractContextManager[Any]:
    """PyTorch without gradients; nothing where the model does not use PyTorch."""
    loaded = sys.modules.get("torch")
    return nullcontext() if loaded is None else loaded.inference_mode()


def instances_of(item: dict[str, Any]) -> tuple[list[Any], bool]:
    """The instances in one item of a batch, and whether they came as a list; in place of what is none stands
    the error.

    TorchServe hands over parsed JSON, or the bytes of what it could not parse.
    """
    body = item.get("body", item.get("data"))
    if isinstance(body, bytes | bytearray | str):
        try:
            body = json.loads(body)
        except (ValueError, RecursionError) as error:
            return [BadInstance(f"The body is not JSON: {error}. Send one JSON object.")], False
    if isinstance(body, list):
        return [_instance(each, "An instance in the list") for each in body], True
    return [_instance(body, "The body")], False


def _instance(value: Any, what: str) -> dict[str, Any] | BadInstance:
    if isinstance(value, dict):
        return value
    return BadInstance(
        f"{what} is a JSON {type(value).__name__}. Send one JSON object with the model's features."
    )


def with_status(context: Any, index: int, answer: dict[str, Any]) -> dict[str, Any]:
    """An answer as TorchServe takes it: what is refused has its status beside it."""
    if "error" not in answer:
        return answer
    context.set_response_status(code=answer["status"], idx=index)
    return {"error": answer["error"]}
