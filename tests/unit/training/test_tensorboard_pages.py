"""TensorBoard's own pages of a run, opened by the commands of docs/bring-your-model.md."""

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import requests

from embedded.ports import free_port
from tasks.training.curves import Curves
from tests.conftest import PROJECT
from tests.documents import blocks
from tests.unit import trained
from tests.unit.training.writers import summary_writer

INSTALLED = Path(sys.executable).parent


def commands() -> list[str]:
    (block,) = [each for each in blocks("bash") if "bin/tensorboard" in each.text]
    return block.text.strip().splitlines()


def test_the_commands_show_the_histograms_of_a_run(
    home: Path, mlflow_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = trained.use_mlflow(home, mlflow_store, monkeypatch)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    run_id = client.create_run(experiment.experiment_id).info.run_id
    (tmp_path / "scratch").mkdir()
    curves = Curves(client, run_id, [tmp_path / "scratch"])
    with summary_writer(tmp_path / "scratch" / "logs") as writer:
        writer.add_histogram("weights", np.arange(1000.0), 1)
    curves.look(last=True)

    install, download, serve = commands()
    (wanted,) = [word for word in install.split() if word.startswith("tensorboard==")]
    pinned = (PROJECT / "tests" / "requirements.in").read_text(encoding="utf-8").split()
    assert wanted in pinned, "the version that is tried here"
    download = download.replace(".perennial/envs/ml/bin", shlex.quote(str(INSTALLED)))
    environment = {**os.environ, "RUN": run_id}
    done = subprocess.run(
        download, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    port = free_port()
    command = shlex.split(serve.replace(".perennial/board/bin", shlex.quote(str(INSTALLED))))
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen([*command, "--port", str(port)], cwd=tmp_path, stdout=log, stderr=log)
    try:
        assert list(histograms(f"http://127.0.0.1:{port}").values()) == [["weights"]]
    finally:
        server.terminate()
        server.wait(60)


def histograms(url: str) -> dict[str, list[str]]:
    """The tags of the histograms by run, once TensorBoard answers and has read the files."""
    end = time.monotonic() + 120
    while True:
        try:
            told = requests.get(f"{url}/data/plugin/histograms/tags", timeout=10).json()
            if told:
                return {run: list(tags) for run, tags in told.items()}
        except requests.ConnectionError:
            pass
        assert time.monotonic() < end, "TensorBoard shows no histogram"
        time.sleep(0.2)
