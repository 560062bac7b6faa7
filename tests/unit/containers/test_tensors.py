"""Instances as tensors and answers as tensors, as the inference server reads and writes them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from perennial_inference import frames
from perennial_inference.tensors import BadTensor, Signature, features_of, instances_of, outputs_of

FLAT = {
    "type": "object",
    "properties": {
        "carrier": {"type": "string"},
        "minutes": {"type": "integer"},
        "miles": {"type": "number"},
        "late": {"type": "boolean"},
    },
    "required": ["carrier", "minutes", "miles", "late"],
    "additionalProperties": False,
}
SIGNATURE = Signature.of(FLAT, {"type": "integer"})


def tensor(name: str, datatype: str, data: list[Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [len(data)], "data": data} | more


def request(**changed: dict[str, Any]) -> dict[str, Any]:
    tensors = {
        "carrier": tensor("carrier", "BYTES", ["AA", "UA"]),
        "minutes": tensor("minutes", "INT64", [3, 4]),
        "miles": tensor("miles", "FP64", [1.5, 2]),
        "late": tensor("late", "BOOL", [True, False]),
    }
    return {"inputs": list((tensors | changed).values())}


def test_each_feature_of_a_flat_instance_has_its_own_tensor() -> None:
    assert SIGNATURE.features == {"carrier": "BYTES", "minutes": "INT64", "miles": "FP64", "late": "BOOL"}
    assert instances_of(request(), SIGNATURE) == [
        {"carrier": "AA", "minutes": 3, "miles": 1.5, "late": True},
        {"carrier": "UA", "minutes": 4, "miles": 2.0, "late": False},
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"additionalProperties": True},
        {"required": ["carrier"]},
        {"properties": FLAT["properties"] | {"miles": {"type": ["number", "null"]}}},
        {"properties": FLAT["properties"] | {"miles": {"type": "array"}}},
        {"properties": FLAT["properties"] | {"miles": {"enum": [1, 2]}}},
        {"properties": {}},
    ],
)
def test_an_instance_that_may_be_otherwise_is_one_json_text(change: dict[str, Any]) -> None:
    schema = FLAT | change

    assert features_of(schema) is None
    whole = tensor("instance", "BYTES", ['{"miles": null}', "[1, 2]"])
    assert instances_of({"inputs": [whole]}, Signature.of(schema, {})) == [{"miles": None}, [1, 2]]


def test_smaller_types_and_nested_data_of_other_clients_are_taken() -> None:
    found = instances_of(
        request(
            minutes=tensor("minutes", "INT32", [[3], [4]], shape=[2, 1]),
            miles=tensor("miles", "FP32", [[1.5], [2]], shape=[2, 1]),
        ),
        SIGNATURE,
    )
    assert [(each["minutes"], each["miles"]) for each in found] == [(3, 1.5), (4, 2.0)]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (tensor("minutes", "BYTES", ["3", "4"]), "has the datatype 'BYTES'; INT64 is expected"),
        (tensor("minutes", "INT64", [3.5, 4]), "has the element '3.5', which is no INT64"),
        (tensor("minutes", "INT64", [True, 4]), "has the element 'True', which is no INT64"),
        (tensor("minutes", "INT64", [3, None]), "has the element 'None', which is no INT64"),
        (tensor("minutes", "INT64", [3]), "minutes has 1"),
        (tensor("minutes", "INT64", [3, 4], shape=[3]), "has 2 elements, which is not its shape [3]"),
        (tensor("other", "INT64", [3, 4]), "but the model takes"),
    ],
)
def test_a_tensor_that_is_not_the_model_s_is_named(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(BadTensor) as refused:
        instances_of(request(minutes=changed), SIGNATURE)

    assert said in str(refused.value)


def by_name(outputs: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in outputs}


def test_a_refused_instance_has_a_placeholder_its_error_and_its_status() -> None:
    answers = [{"prediction": 1, "score": 0.75}, {"error": "No.", "status": 400}]
    told = by_name(outputs_of(answers, SIGNATURE, {}))

    assert (told["prediction"]["datatype"], told["prediction"]["data"]) == ("INT64", [1, 0])
    assert told["score"]["data"] == [0.75, 0.0]
    assert (told["error"]["data"], told["status"]["data"]) == (["", "No."], [200, 400])
    assert "scores" not in told


def test_a_prediction_of_another_type_than_the_label_s_is_json() -> None:
    told = by_name(outputs_of([{"prediction": "one"}, {"prediction": 1}], SIGNATURE, {}))

    assert told["prediction"]["data"] == ['"one"', "1"]
    assert told["prediction"]["parameters"] == {"content_type": "application/json"}
    assert "score" not in told


def test_frames_come_whole_however_they_are_cut() -> None:
    whole = frames.pack(frames.WORK, [(0, b"one"), (200, b""), (503, b"x" * 1000)])
    buffer = frames.Buffer()
    stream = whole * 3

    found = [
        frames.unpack(one) for at in range(0, len(stream), 7) for one in buffer.feed(stream[at : at + 7])
    ]

    assert found == [(frames.WORK, [(0, b"one"), (200, b""), (503, b"x" * 1000)])] * 3


@given(st.lists(st.tuples(st.integers(0, 65535), st.binary(max_size=50)), max_size=20))
def test_what_is_packed_is_unpacked(parts: list[tuple[int, bytes]]) -> None:
    [content] = frames.Buffer().feed(frames.pack(frames.ANSWERS, parts))
    assert frames.unpack(content) == (frames.ANSWERS, parts)
