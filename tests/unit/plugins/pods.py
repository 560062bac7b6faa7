"""The runner of pods on a stand-in for a cluster (`tests/unit/cluster.py`): fixtures, and one step run."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from plugins.runners import Ended, Step
from plugins.runners.kubernetes.runner import KubernetesRunner
from tasks.settings import settings
from tests.unit.cluster import Cluster, running_cluster
from tests.unit.steps import step_to_run

IMAGE = "registry.example/perennial/ml@sha256:" + "a" * 64
Made = Callable[..., Step]


@pytest.fixture
def cluster(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    with running_cluster(home) as (stand_in, kubeconfig):
        for name in [name for name in os.environ if name.startswith(("AWS_", "MLFLOW_", "GOOGLE_"))]:
            monkeypatch.delenv(name)
        connection = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(kubeconfig)}}
        monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps(connection))
        monkeypatch.setenv("PERENNIAL_RUNNER", "kubernetes")
        monkeypatch.setenv("PERENNIAL_STEP_IMAGE", IMAGE)
        monkeypatch.setenv("PERENNIAL_STEP_MOUNTS", f"state:{home}")
        monkeypatch.setenv("PERENNIAL_KUBERNETES_GPU_SECONDS", "0.2")
        monkeypatch.setattr("plugins.runners.kubernetes.runner.LOOK_SECONDS", 0.02)
        settings.cache_clear()
        yield stand_in


@pytest.fixture
def step(home: Path) -> Step:
    return step_to_run(home)


def run(step: Step, begin: Callable[[], object] = lambda: None) -> tuple[Ended, list[str]]:
    pods, lines = KubernetesRunner(), list[str]()
    job = pods.submit(step, begin)
    ended = pods.follow(job, step, lines.append, None, lambda _stamp: None)
    pods.remove(job)
    return ended, lines


def until(true: Callable[[], Any], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)
