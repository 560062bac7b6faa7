"""NVIDIA's client for Triton speaks with our inference server as with any of the protocol."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from tasks.contracts import Archive
from tasks.serving.oip import oip
from tasks.settings import settings
from tests.services.conftest import HANDLER, Platform, build_archive, new_model


@pytest.fixture(scope="module")
def archive(services: Platform, settled: Path) -> Iterator[Archive]:
    model = new_model(settled, backend="oip")
    made = build_archive(model.folder, model.name, "one", handler=HANDLER.replace("{mark!r}", "1"))
    oip().register(made, model.spec.serving)
    yield made
    model.remove()


@pytest.fixture
def client(services: Platform) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(services.oip_url.removeprefix("http://")) as made:
        yield made


@pytest.fixture
def headers() -> dict[str, str]:
    key = json.loads(settings().oip_keys.read_text())["inference"]["key"]
    return {"Authorization": f"Bearer {key}"}


def text(*values: str) -> list[InferInput]:
    tensor = InferInput("text", [len(values)], "BYTES")
    tensor.set_data_from_numpy(np.array(values, dtype=object), binary_data=False)
    return [tensor]


def test_it_finds_server_and_model_ready_and_reads_what_they_say_of_themselves(
    client: InferenceServerClient, archive: Archive, headers: dict[str, str]
) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(archive.model, archive.version, headers=headers)
    assert client.get_server_metadata()["name"]
    told = client.get_model_metadata(archive.model, archive.version, headers=headers)
    assert told["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]


@pytest.mark.parametrize("named", [False, True])
def test_it_gets_typed_tensors_for_what_it_asks(
    client: InferenceServerClient, archive: Archive, headers: dict[str, str], *, named: bool
) -> None:
    wanted = [InferRequestedOutput(name, binary_data=False) for name in ("prediction", "score")]
    answer = client.infer(
        archive.model,
        text("a", "several"),
        archive.version,
        outputs=wanted if named else None,
        request_id="a-42",
        headers=headers,
    )
    assert answer.get_response()["id"] == "a-42"
    assert answer.as_numpy("prediction").dtype == np.int64
    assert answer.as_numpy("prediction").tolist() == [1, 1]
    assert answer.as_numpy("score").tolist() == [0.001, 0.007]


def test_what_it_does_wrong_is_told_as_its_own_error(
    client: InferenceServerClient, archive: Archive, headers: dict[str, str]
) -> None:
    wrong = InferInput("other", [1], "BYTES")
    wrong.set_data_from_numpy(np.array(["a"], dtype=object), binary_data=False)
    with pytest.raises(InferenceServerException, match="other") as refused:
        client.infer(archive.model, [wrong], archive.version, headers=headers)
    assert refused.value.status() == "400"
    with pytest.raises(InferenceServerException) as unknown:
        client.infer("no_such_model", text("a"), headers=headers)
    assert unknown.value.status() == "404"


def test_tensors_in_binary_are_refused_with_a_sentence(
    client: InferenceServerClient, archive: Archive, headers: dict[str, str]
) -> None:
    tensor = InferInput("text", [1], "BYTES")
    tensor.set_data_from_numpy(np.array(["a"], dtype=object), binary_data=True)
    with pytest.raises(InferenceServerException, match="binary_data=False") as refused:
        client.infer(archive.model, [tensor], archive.version, headers=headers)
    assert refused.value.status() == "400"
