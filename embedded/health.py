"""Whether each service answers: not that its process lives, but that it does its work."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import requests

from embedded import airflow, loop_watch

ATTEMPT_SECONDS = 5


@dataclass(frozen=True)
class Addresses:
    """The base URL of each service, without a slash at the end."""

    airflow: str
    mlflow: str
    gateway: str
    torchserve_inference: str
    torchserve_management: str
    inference: str

    @classmethod
    def of(cls, ports: Mapping[str, int]) -> "Addresses":
        return cls(**{name: f"http://127.0.0.1:{ports[f'{name}_port']}" for name in cls.__dataclass_fields__})


def healthy(addresses: Addresses, home: Path, torchserve_key_file: Path) -> set[str]:
    """The names of the services that answer as they should, right now."""
    probes: list[Callable[[], set[str]]] = [
        lambda: airflow.healthy(addresses.airflow),
        lambda: {loop_watch.NAME} if loop_watch.healthy(home) else set(),
        lambda: {"mlflow"} if _answers(f"{addresses.mlflow}/health") else set(),
        lambda: {"gateway"} if _answers(f"{addresses.gateway}/healthz") else set(),
        lambda: {"inference"} if _answers(f"{addresses.inference}/v2/health/live") else set(),
        lambda: {"torchserve"} if _pings(addresses.torchserve_inference, torchserve_key_file) else set(),
    ]
    found: set[str] = set()
    for probe in probes:
        try:
            found |= probe()
        except (requests.RequestException, OSError, ValueError, KeyError):
            continue  # not up yet: the caller asks again until its own deadline
    return found


def _answers(url: str) -> bool:
    return requests.get(url, timeout=ATTEMPT_SECONDS).ok


def _pings(url: str, key_file: Path) -> bool:
    """TorchServe's ping needs the token that it wrote at its start."""
    key = json.loads(key_file.read_text(encoding="utf-8"))["inference"]["key"]
    return requests.get(f"{url}/ping", headers={"Authorization": f"Bearer {key}"}, timeout=ATTEMPT_SECONDS).ok
