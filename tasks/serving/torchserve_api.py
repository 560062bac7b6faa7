"""TorchServe's HTTP interface: each call, its token, and its errors as ours."""

import json
import math
from pathlib import Path
from typing import Any

import requests

from tasks.contracts import Archive
from tasks.errors import NotLoaded, ServingError, Unreachable
from tasks.spec import ServingSpec

TIMEOUT_SECONDS = 30.0


class ManagementApi:
    """Calls of the management and the inference address.

    Args:
        key_file: The file into which TorchServe writes new tokens at every start; it is read for every call.
    """

    def __init__(self, management_url: str, inference_url: str, key_file: Path) -> None:
        self._management_url = management_url.rstrip("/")
        self._inference_url = inference_url.rstrip("/")
        self._key_file = key_file

    def register(self, archive: Archive, file: str, serving: ServingSpec) -> None:
        """Ask for a version to be loaded; it is not ready yet when this returns.

        One that is registered stays as it is.
        """
        parameters = {
            "url": file,
            "model_name": archive.model,
            "initial_workers": serving.workers,
            "synchronous": "false",
            "batch_size": batch_size(archive, serving),
            "max_batch_delay": serving.max_batch_delay_ms,
            "response_timeout": response_timeout_seconds(serving),
        }
        self._manage("POST", "/models", parameters, allowed={409})

    def describe(self, model: str, version: str) -> dict[str, Any]:
        """A version's settings, workers and queue.

        Raises:
            NotLoaded: It is not registered.
        """
        found: list[dict[str, Any]] = self._manage("GET", f"/models/{model}/{version}")
        return found[0]

    def versions(self, model: str) -> list[dict[str, Any]]:
        """Every version of the model, as `describe` has it; empty where the model is not known."""
        try:
            found: list[dict[str, Any]] = self._manage("GET", f"/models/{model}/all")
        except NotLoaded:
            return []
        return found

    def scale(self, model: str, version: str, workers: int) -> None:
        """Ask for a number of workers of a version that gets no requests."""
        parameters = {"min_worker": workers, "max_worker": workers, "synchronous": "false"}
        self._manage("PUT", f"/models/{model}/{version}", parameters)

    def set_default(self, model: str, version: str) -> None:
        """Name the version that unversioned requests go to.

        There are none; but the default cannot be deleted.
        """
        self._manage("PUT", f"/models/{model}/{version}/set-default")

    def delete(self, model: str, version: str) -> None:
        """Unregister a version; one that is not there is gone already."""
        self._manage("DELETE", f"/models/{model}/{version}", allowed={404})

    def predict(
        self, model: str, version: str, instance: dict[str, Any], timeout_seconds: float
    ) -> dict[str, Any]:
        """A version's answer to one instance."""
        url = f"{self._inference_url}/predictions/{model}/{version}"
        response = self._call("POST", url, "inference", timeout_seconds, json=instance)
        answer: dict[str, Any] = response.json()
        return answer

    def _manage(
        self,
        method: str,
        path: str,
        parameters: dict[str, Any] | None = None,
        allowed: set[int] | None = None,
    ) -> Any:
        url = f"{self._management_url}{path}"
        return self._call(
            method, url, "management", TIMEOUT_SECONDS, allowed or set(), params=parameters
        ).json()

    def _call(
        self,
        method: str,
        url: str,
        kind: str,
        timeout_seconds: float,
        allowed: frozenset[int] | set[int] = frozenset(),
        **how: Any,
    ) -> requests.Response:
        headers = {"Authorization": f"Bearer {self._token(kind)}"}
        try:
            response = requests.request(method, url, headers=headers, timeout=timeout_seconds, **how)
        except (requests.ConnectionError, requests.Timeout) as error:
            raise Unreachable(
                f"TorchServe does not answer at {url}: {error}. See whether it runs."
            ) from error
        if response.ok or response.status_code in allowed:
            return response
        said = _message_of(response)
        if response.status_code == 404:
            raise NotLoaded(f"TorchServe at {url}: {said}", status=404)
        if "Token Authentication failed" in said:
            raise Unreachable(f"TorchServe at {url} was restarted and has new tokens: {said}")
        raise ServingError(
            f"TorchServe refused {method} {url}: HTTP {response.status_code}, {said}",
            status=response.status_code,
        )

    def _token(self, kind: str) -> str:
        try:
            key: str = json.loads(self._key_file.read_text(encoding="utf-8"))[kind]["key"]
        except (OSError, ValueError, KeyError) as error:
            raise Unreachable(
                f"TorchServe's tokens cannot be read from {self._key_file}: {error}. See whether it runs."
            ) from error
        return key


def _message_of(response: requests.Response) -> str:
    """TorchServe's own sentence, or the beginning of what it sent instead."""
    try:
        document = response.json()
    except ValueError:
        return response.text[:500]
    said = document.get("message") or document.get("error") if isinstance(document, dict) else None
    return str(said or document)[:500]


def batch_size(archive: Archive, serving: ServingSpec) -> int:
    """How many requests TorchServe makes a batch of: none where the gateway sends whole batches, because
    TorchServe lets each wait for a millisecond at least.
    """
    return 1 if archive.batches else serving.batch_size


def response_timeout_seconds(serving: ServingSpec) -> int:
    """After how many seconds a worker that answers nothing is
    replaced: later than the gateway gives up on a request.
    """
    return math.ceil(serving.timeout_seconds * 2) + 1
