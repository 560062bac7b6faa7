"""Instances as tensors of the Open Inference Protocol v2, and answers as tensors.

A model whose instances are flat objects gets one tensor a feature; any other one a single tensor `instance`
of JSON texts. All of it is plain data in and plain data out.

Source: github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

DATATYPES = {"string": "BYTES", "integer": "INT64", "number": "FP64", "boolean": "BOOL"}
"""The datatype of each simple type of JSON Schema."""

WHOLE = "instance"
JSON = {"content_type": "application/json"}
"""Beside a BYTES tensor whose texts are JSON documents."""

INTEGERS = frozenset({"INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"})
FLOATS = frozenset({"FP16", "BF16", "FP32", "FP64"})
PLACEHOLDERS = {"BYTES": "", "INT64": 0, "FP64": 0.0, "BOOL": False}
"""What stands in the place of a refused instance's prediction."""

OUTPUTS = ("prediction", "score", "scores", "error", "status")
ANSWER = "answer"
"""The handler's whole answer as JSON, for who names it among the outputs."""


Tensor = dict[str, Any]
Answers = Sequence[Mapping[str, Any]]
Refusals = Sequence[bool]
"""Which of the instances were refused; empty where none was."""


class BadTensor(ValueError):
    """A request whose tensors are not the model's; the message names the tensor."""


@dataclass(frozen=True)
class Signature:
    """What goes into a model and what its prediction is.

    Attributes:
        features: Each feature's datatype by its name; None where an instance is one JSON text.
        prediction: The datatype of the prediction; None where it is JSON text.
    """

    features: Mapping[str, str] | None
    prediction: str | None

    @classmethod
    def of(cls, input_schema: Mapping[str, Any], label_schema: Mapping[str, Any]) -> "Signature":
        """Of the JSON Schemas of one instance and of a label."""
        return cls(features_of(input_schema), _datatype(label_schema))

    def inputs(self) -> list[dict[str, Any]]:
        """The inputs as the model's metadata tells them."""
        if self.features is None:
            return [{"name": WHOLE, "datatype": "BYTES", "shape": [-1], "parameters": JSON}]
        return [{"name": name, "datatype": kind, "shape": [-1]} for name, kind in self.features.items()]

    def outputs(self) -> list[dict[str, Any]]:
        """The outputs as the model's metadata tells them."""
        kinds = {"score": "FP64", "status": "INT64"}
        told: list[dict[str, Any]] = [
            {"name": name, "datatype": kinds.get(name, "BYTES"), "shape": [-1]} for name in OUTPUTS
        ]
        told[0]["datatype"] = self.prediction or "BYTES"
        for output in told:
            if output["name"] == "scores" or (output["name"] == "prediction" and self.prediction is None):
                output["parameters"] = JSON
        return told


def features_of(schema: Mapping[str, Any]) -> dict[str, str] | None:
    """The datatype of each feature of a flat instance: an object of simple, required properties alone.

    None for any other instance: what is nested, may be missing or may be null has no tensor of its own.
    """
    properties = schema.get("properties")
    if schema.get("type") != "object" or not properties or schema.get("additionalProperties") is not False:
        return None
    if set(schema.get("required", ())) != set(properties):
        return None
    kinds = {name: _datatype(each) for name, each in properties.items()}
    found = {name: kind for name, kind in kinds.items() if kind is not None}
    return found if len(found) == len(kinds) else None


def _datatype(schema: Any) -> str | None:
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    return DATATYPES.get(kind) if isinstance(kind, str) else None


def instances_of(request: Any, signature: Signature) -> list[Any]:
    """The instances of an inference request.

    Raises:
        BadTensor: A tensor is missing, unknown, of another datatype or of another length than the others.
    """
    tensors = _tensors(request)
    names = [WHOLE] if signature.features is None else list(signature.features)
    if set(tensors) != set(names):
        raise BadTensor(f"The inputs are {sorted(tensors)}, but the model takes {sorted(names)}.")
    if signature.features is None:
        return [_parsed(text, place) for place, text in enumerate(_data(tensors[WHOLE], "BYTES"))]
    columns = [_data(tensors[name], kind) for name, kind in signature.features.items()]
    if len({len(column) for column in columns}) != 1:
        told = ", ".join(f"{name} has {len(column)}" for name, column in zip(names, columns, strict=True))
        raise BadTensor(f"The tensors do not have one element for each instance: {told}.")
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _tensors(request: Any) -> dict[str, dict[str, Any]]:
    inputs = request.get("inputs") if isinstance(request, dict) else None
    if not isinstance(inputs, list) or not all(
        isinstance(tensor, dict) and isinstance(tensor.get("name"), str) for tensor in inputs
    ):
        raise BadTensor(
            'The body is not {"inputs": [{"name": …, "shape": […], "datatype": …, "data": […]}]}.'
        )
    return {tensor["name"]: tensor for tensor in inputs}


def _data(tensor: dict[str, Any], kind: str) -> list[Any]:
    """A tensor's elements, nested or not, as values of the feature."""
    name, told, data = tensor["name"], tensor.get("datatype"), tensor.get("data")
    if not isinstance(data, list):
        raise BadTensor(f"The tensor {name!r} has no list `data`. Tensors in binary form are not taken.")
    if told != kind and not (isinstance(told, str) and told in FAMILIES.get(kind, ())):
        raise BadTensor(f"The tensor {name!r} has the datatype {told!r}; {kind} is expected.")
    values = _flat(data)
    if "shape" in tensor and _size(tensor["shape"]) != len(values):
        raise BadTensor(
            f"The tensor {name!r} has {len(values)} elements, which is not its shape {tensor['shape']}."
        )
    if not _fit(values, kind):
        wrong = next(value for value in values if type(value) not in TYPES[kind])
        raise BadTensor(f"The tensor {name!r} has the element {str(wrong)[:80]!r}, which is no {kind}.")
    return list(map(float, values)) if kind == "FP64" else values


FAMILIES = {"INT64": INTEGERS, "FP64": FLOATS | INTEGERS}
"""The datatypes that are taken for one."""

TYPES: dict[str, frozenset[type]] = {
    "BYTES": frozenset({str}),
    "INT64": frozenset({int}),
    "FP64": frozenset({int, float}),
    "BOOL": frozenset({bool}),
}
"""The types that a datatype's elements have in JSON; a bool is no int here."""


def _fit(values: Sequence[Any], kind: str) -> bool:
    return TYPES[kind].issuperset(map(type, values))


def _flat(data: list[Any]) -> list[Any]:
    """Elements in row-major order; a tensor's data may be nested."""
    while list in map(type, data):
        data = [one for each in data for one in (each if isinstance(each, list) else [each])]
    return data


def _size(shape: Any) -> int:
    size = 1
    for length in shape if isinstance(shape, list) else ():
        size *= length if type(length) is int else -1
    return size


def _parsed(text: str, place: int) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadTensor(f"Element {place} of the tensor {WHOLE!r} is not JSON: {error}.") from error


def outputs_of(
    answers: Sequence[Mapping[str, Any]], signature: Signature, request: Any
) -> list[dict[str, Any]]:
    """The tensors of an answer: those that the request names, else all.

    `score` and `scores` are left out where no answer has one. In the place of a refused instance stand a
    placeholder, its `error` and its `status`.

    Raises:
        BadTensor: The request names an output that there is not, or names none of them by a list.
    """
    wanted = _wanted(request)
    unknown = sorted(set(wanted) - set(MADE))
    if unknown:
        raise BadTensor(f"The model has no outputs {unknown}; it has {sorted(MADE)}.")
    errors = ["error" in answer for answer in answers]
    refused = errors if True in errors else ()
    told = [MADE[name](answers, signature, refused) for name in wanted] if answers else []
    return [tensor for tensor in told if tensor is not None]


def _wanted(request: Any) -> Sequence[str]:
    named = request.get("outputs") if isinstance(request, dict) else None
    if named is None or named == []:
        return OUTPUTS
    names = [each.get("name") for each in named if isinstance(each, dict)] if isinstance(named, list) else []
    wanted = [name for name in names if isinstance(name, str)]
    if not wanted or len(wanted) != len(named):
        raise BadTensor('`outputs` is not a list like [{"name": "prediction"}].')
    return wanted


def _predictions(answers: Answers, signature: Signature, refused: Refusals) -> Tensor | None:
    kind = signature.prediction
    values = [answer.get("prediction") for answer in answers]
    if refused and kind is not None:
        bad = PLACEHOLDERS[kind]
        values = [bad if none else value for none, value in zip(refused, values, strict=True)]
    if kind is not None and _fit(values, kind):
        return _tensor("prediction", kind, values)
    texts = ["" if "error" in answer else _text(answer.get("prediction")) for answer in answers]
    return {**_tensor("prediction", "BYTES", texts), "parameters": JSON}


def _scores(answers: Answers, _signature: Signature, refused: Refusals) -> Tensor | None:
    values = [answer.get("score") for answer in answers]
    if values.count(None) == len(values):
        return None
    if refused:
        values = [0.0 if none else value for none, value in zip(refused, values, strict=True)]
    return _tensor("score", "FP64", values) if _fit(values, "FP64") else _json_of("score", values)


def _class_scores(answers: Answers, _signature: Signature, _refused: Refusals) -> Tensor | None:
    return _json_of("scores", [answer.get("scores") for answer in answers])


def _errors(answers: Answers, _signature: Signature, refused: Refusals) -> Tensor | None:
    texts = [str(answer.get("error", "")) for answer in answers] if refused else [""] * len(answers)
    return _tensor("error", "BYTES", texts)


def _statuses(answers: Answers, _signature: Signature, refused: Refusals) -> Tensor | None:
    told = [answer.get("status", 200) for answer in answers] if refused else [200] * len(answers)
    return _tensor("status", "INT64", told)


def _whole_answers(answers: Answers, _signature: Signature, _refused: Refusals) -> Tensor | None:
    return _json_of(ANSWER, list(answers))


MADE: dict[str, Callable[[Answers, Signature, Refusals], Tensor | None]] = {
    "prediction": _predictions,
    "score": _scores,
    "scores": _class_scores,
    "error": _errors,
    "status": _statuses,
    ANSWER: _whole_answers,
}
"""What makes each output."""


def _json_of(name: str, values: list[Any]) -> dict[str, Any] | None:
    if values.count(None) == len(values):
        return None
    texts = ["" if value is None else _text(value) for value in values]
    return {**_tensor(name, "BYTES", texts), "parameters": JSON}


def _text(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()


def _tensor(name: str, datatype: str, data: list[Any]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [len(data)], "data": data}
