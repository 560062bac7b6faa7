"""The HTTP interface of a server of the Open Inference Protocol v2, with Triton's model repository."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import requests

from tasks.errors import NotLoaded, ServingError, Unreachable

TIMEOUT_SECONDS = 30.0
LOAD_SECONDS = 180.0
"""The server itself gives a version 120 s to become ready, and lets one that leaves answer what it has."""

ANSWER = "answer"
"""The output in which our own server gives the handler's whole answer, as JSON."""


class OipApi:
    """Calls of one server.

    Args:
        key_file: The server's tokens, read for every call: whoever wants new ones removes the file and starts
            the server anew. None where `headers` is another's.
    """

    def __init__(self, url: str, key_file: Path | None = None) -> None:
        self._url = url.rstrip("/")
        self._key_file = key_file

    def load(self, model: str, parameters: Mapping[str, Any]) -> None:
        """Load a version, or change one that is loaded; ready when this returns."""
        path = f"/v2/repository/models/{model}/load"
        self._manage("POST", path, LOAD_SECONDS, json={"parameters": parameters})

    def unload(self, model: str, version: str) -> None:
        """Remove a version once it has answered what it has; one that is not there is gone already."""
        path = f"/v2/repository/models/{model}/unload"
        self._manage("POST", path, LOAD_SECONDS, json={"parameters": {"version": version}})

    def versions(self, model: str) -> list[dict[str, Any]]:
        """Every version of the model with its state, workers and counts; empty where it is not known."""
        found: list[dict[str, Any]] = self._manage("GET", f"/v2/repository/models/{model}")["versions"]
        return found

    def predict(
        self, model: str, version: str, instance: dict[str, Any], timeout_seconds: float
    ) -> dict[str, Any]:
        """The handler's whole answer to one instance."""
        path = f"/v2/models/{model}/versions/{version}"
        inputs = self._call("GET", path, "inference", TIMEOUT_SECONDS)["inputs"]
        request = {"inputs": list(tensors_of(instance, inputs)), "outputs": [{"name": ANSWER}]}
        told = self._call("POST", f"{path}/infer", "inference", timeout_seconds, json=request)
        answer: dict[str, Any] = json.loads(told["outputs"][0]["data"][0])
        if "error" in answer:
            raise ServingError(
                f"{model} {version} refuses the instance: {answer['error']}", status=answer["status"]
            )
        return answer

    def _manage(self, method: str, path: str, timeout_seconds: float = TIMEOUT_SECONDS, **how: Any) -> Any:
        return self._call(method, path, "management", timeout_seconds, **how)

    def _call(self, method: str, path: str, kind: str, timeout_seconds: float, **how: Any) -> Any:
        url = f"{self._url}{path}"
        headers = self.headers(kind)
        try:
            response = requests.request(method, url, headers=headers, timeout=timeout_seconds, **how)
        except (requests.ConnectionError, requests.Timeout) as error:
            raise Unreachable(
                f"The inference server does not answer at {url}: {error}. See whether it runs."
            ) from error
        if response.ok:
            return response.json()
        said = _error_of(response)
        if response.status_code == 401:
            place = self._key_file or "those that it was asked with"
            raise Unreachable(f"The inference server at {url} has other tokens than {place}: {said}")
        kind_of_fault = NotLoaded if response.status_code == 404 else ServingError
        raise kind_of_fault(
            f"The inference server refused {method} {url}: HTTP {response.status_code}, {said}",
            status=response.status_code,
            said=said,
        )

    def headers(self, kind: str) -> dict[str, str]:
        """What a call bears.

        Args:
            kind: `inference` or `management`.
        """
        return {"Authorization": f"Bearer {self._token(kind)}"}

    def _token(self, kind: str) -> str:
        try:
            key: str = json.loads(Path(self._key_file or "").read_text(encoding="utf-8"))[kind]["key"]
        except (OSError, ValueError, KeyError) as error:
            raise Unreachable(
                f"The inference server's tokens cannot be read from {self._key_file}: {error}. "
                "See whether it runs."
            ) from error
        return key


def tensors_of(instance: dict[str, Any], inputs: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    """One instance as the tensors that a model's metadata asks for: one a feature, or one of JSON texts."""
    for tensor in inputs:
        whole = tensor.get("parameters", {}).get("content_type") == "application/json"
        value = json.dumps(instance) if whole else instance.get(tensor["name"])
        yield {"name": tensor["name"], "datatype": tensor["datatype"], "shape": [1], "data": [value]}


def _error_of(response: requests.Response) -> str:
    """The server's own sentence, or the beginning of what it sent instead."""
    try:
        document = response.json()
    except ValueError:
        return response.text[:500]
    return str(document.get("error") if isinstance(document, dict) else document)[:1000]
