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

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[dict[str, Any]]:
        """Called by TorchServe with a batch; answers every item, each with its own HTTP status."""
        answers: dict[int, dict[str, Any]] = {}
        good: dict[int, dict[str, Any]] = {}
        for index, item in enumerate(data):
            try:
                good[index] = instance_of(item)
            except BadInstance as error:
                answers[index] = refuse(context, index, 400, str(error))
        answers |= self._predict_isolated(good, context)
        return [answers[index] for index in range(len(data))]

    def _predict_isolated(
        self, instances: dict[int, dict[str, Any]], context: Any
    ) -> dict[int, dict[str, Any]]:
        if not instances:
            return {}
        try:
            answers = self._predict_checked(list(instances.values()))
        except Exception as error:  # noqa: BLE001 - whatever the model's code raises must not fail the other items
            if len(instances) == 1:
                return {index: self._explain(context, index, error) for index in instances}
            alone = [
                self._predict_isolated({index: instance}, context) for index, instance in instances.items()
            ]
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

    def _explain(self, context: Any, index: int, error: Exception) -> dict[str, Any]:
        if isinstance(error, BadInstance):
            return refuse(context, index, 400, str(error))
        logging.error("The model failed on one item.", exc_info=error)
        if isinstance(error, NotFinite):
            return refuse(context, index, 500, "The model answered a number that is not finite.")
        return refuse(context, index, 500, f"The model failed on this instance: {type(error).__name__}.")


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


def instance_of(item: dict[str, Any]) -> dict[str, Any]:
    """The instance in one item of a batch: TorchServe hands
    over parsed JSON, or the bytes of what it could not parse.
    """
    body = item.get("body", item.get("data"))
    if isinstance(body, bytes | bytearray | str):
        try:
            body = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise BadInstance(f"The body is not JSON: {error}. Send one JSON object.") from error
    if not isinstance(body, dict):
        raise BadInstance(
            f"The body is a JSON {type(body).__name__}. Send one JSON object with the model's features."
        )
    return body


def refuse(context: Any, index: int, code: int, message: str) -> dict[str, Any]:
    """Give one item of a batch its own status, and its answer."""
    context.set_response_status(code=code, idx=index)
    return {"error": message}
