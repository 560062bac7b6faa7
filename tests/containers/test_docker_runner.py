"""Steps in containers of a real engine: their limits, their
ends, and what becomes of them when their worker dies.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from plugins.runners import EngineFault, WorkerLost
from plugins.runners.mlflow_login import password_of
from tasks.errors import InvalidProject
from tasks.settings import PROJECT, settings
from tests.containers.following import job_of, step_of

if TYPE_CHECKING:
    import docker

    from plugins.jobs import StepJob

MIB = 1 << 20
Script = Callable[..., Path]


@pytest.fixture
def script(store: Path) -> Script:
    """Makes the folder of a step that does these things, one after the other."""

    def make(*actions: list[Any], name: str = "step") -> Path:
        folder = store / "store" / "runs" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "script.json").write_text(json.dumps(actions))
        return folder

    return make


def run(job: "StepJob") -> dict[str, Any]:
    return job.follow(job.submit())


def starts(folder: Path) -> int:
    """How often the step was started."""
    return len((folder / "starts").read_text().splitlines()) if (folder / "starts").exists() else 0


def containers(engine: "docker.DockerClient") -> list[Any]:
    return engine.containers.list(
        all=True, filters={"label": f"perennial.installation={settings().installation}"}
    )


def until(true: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := true():
            return found
        time.sleep(0.05)
    raise AssertionError(f"Not within {seconds} s.")


# --- a step and its ends ------------------------------------------------------------------------------------


def test_a_step_runs_from_file_to_file_and_leaves_no_container(
    script: Script, engine: "docker.DockerClient"
) -> None:
    job = job_of(script(["say", "first", "second"]))

    assert run(job)["prediction_rows"] == 7
    assert job.log.lines == ["first", "second"]
    assert containers(engine) == []


@pytest.mark.parametrize(
    ("action", "final", "says"),
    [
        (["reject"], True, "The data is no good."),
        (["invalid"], True, "The project is wrong."),
        (["fault"], False, "Nobody answers."),
        (["exit", 3], False, "'collect' ended with exit code 3 and no explanation"),
    ],
)
def test_an_end_is_final_or_tried_again_and_says_why(
    script: Script, engine: "docker.DockerClient", action: list[Any], final: bool, says: str
) -> None:
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    with pytest.raises(AirflowException, match=says) as failure:
        run(job_of(script(action)))

    assert isinstance(failure.value, AirflowFailException) == final
    assert containers(engine) == []


def test_the_limits_are_set_and_nothing_more_is_allowed(
    script: Script, engine: "docker.DockerClient", store: Path
) -> None:
    folder = script(["wait_for", str(store / "go")])
    job = job_of(folder, cpus=0.5, memory_mib=200, scratch_mib=40)

    container = job.submit()

    found = engine.api.inspect_container(container)
    host = found["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"]) == (
        (200 + 40 + 64) * MIB,
        (200 + 40 + 64) * MIB,
        500_000_000,
    )
    assert (host["Privileged"], host["ReadonlyRootfs"], host["PidsLimit"]) == (False, True, 4096)
    assert (host["CapDrop"], host["CapAdd"], host["SecurityOpt"]) == (["ALL"], None, ["no-new-privileges"])
    assert not any(host[name] for name in ("Binds", "Devices", "PortBindings", "PidMode", "VolumesFrom"))
    assert [mount["Type"] for mount in found["Mounts"]] == ["volume"]
    assert found["Config"]["User"] == "10001:0"
    labels = found["Config"]["Labels"]
    assert (labels["perennial.dag"], labels["perennial.task"], labels["perennial.try"]) == (
        "collect_m",
        "collect",
        "1",
    )
    assert float(labels["perennial.deadline"]) > time.time()
    (store / "go").touch()
    job.follow(container)


def test_a_step_is_nobody_in_particular_and_writes_only_to_its_scratch(script: Script) -> None:
    job = job_of(script(["tell"]))
    run(job)

    seen = json.loads(job.log.lines[0])

    assert (seen["user"], int(seen["capabilities"], 16)) == ([10001, 0], 0)
    assert seen["may_write"] == {"/": False, "/opt/perennial": False, "/tmp": True, "/scratch": True}
    assert seen["commit"] == "of-the-test-image"
    assert seen["environment"]["PERENNIAL_IMAGE_DIGEST"] == settings().step_image
    assert not [name for name in seen["environment"] if "AIRFLOW" in name or "FERNET" in name]


SECRETS = {
    "PERENNIAL_MLFLOW_KEY": "the-key",
    "PERENNIAL_GATEWAY_TOKEN": "the-token",
    "PERENNIAL_DATABASE_URL": "postgresql+psycopg://perennial:the-ledger@postgres/perennial",
    "PERENNIAL_TORCHSERVE_KEY_FILE": "/srv/models/key_file.json",
    "MLFLOW_TRACKING_USERNAME": "admin",
    "MLFLOW_TRACKING_PASSWORD": "of-the-admin",
    "AIRFLOW__API_AUTH__JWT_SECRET": "the-secret",
    "POSTGRES_PASSWORD": "of-postgres",
}


@pytest.mark.parametrize("verb", ["train", "package", "evaluate"])
def test_the_container_of_model_code_holds_no_more_than_its_own_login_to_mlflow(
    script: Script, engine: "docker.DockerClient", monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    from plugins.runners.docker.runner import DockerRunner

    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    step = replace(step_of(script()), verb=verb, model="m")

    container = engine.containers.get(DockerRunner().submit(step, lambda: None))

    told = dict(line.split("=", 1) for line in container.attrs["Config"]["Env"])
    own = {
        "MLFLOW_TRACKING_USERNAME": "perennial-model-m",
        "MLFLOW_TRACKING_PASSWORD": password_of("perennial-model-m", "the-key"),
    }
    assert {name: value for name, value in told.items() if name.startswith("MLFLOW_TRACKING_")} == own
    assert not set(SECRETS.values()) & set(told.values())
    assert not (set(SECRETS) - set(own)) & set(told)
    assert own["MLFLOW_TRACKING_PASSWORD"] not in " ".join(container.attrs["Config"]["Cmd"])


# --- limits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["hog", "hog_in_a_child"])
def test_a_step_that_needs_too_much_memory_names_its_limit_and_is_final(script: Script, action: str) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    with pytest.raises(AirflowFailException) as failure:
        run(job_of(script([action]), memory_mib=96, scratch_mib=16))

    assert "needed more memory than its limit" in str(failure.value)
    assert "96 MiB (PERENNIAL_STEP_MEMORY_MIB)" in str(failure.value)


def test_a_step_that_fills_its_scratch_names_its_limit_and_is_final(script: Script) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    with pytest.raises(AirflowFailException) as failure:
        run(job_of(script(["fill", "/scratch", 100]), scratch_mib=32))

    assert "filled its scratch folder. The limit is 32 MiB (PERENNIAL_STEP_SCRATCH_MIB)" in str(failure.value)


# --- the image ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "image", ["", "perennial/ml", "perennial/ml:latest", "sha256:abc", "sha256:" + "x" * 64]
)
def test_an_image_that_may_be_another_tomorrow_is_refused(
    script: Script, engine: "docker.DockerClient", monkeypatch: pytest.MonkeyPatch, image: str
) -> None:
    monkeypatch.setenv("PERENNIAL_STEP_IMAGE", image)
    settings.cache_clear()

    with pytest.raises(InvalidProject, match="Set it to a digest"):
        job_of(script(["say", "never"])).submit()

    assert containers(engine) == []


@pytest.mark.parametrize("image", ["sha256:" + "0" * 64, "perennial/ml@sha256:" + "0" * 64])
def test_an_image_that_the_engine_does_not_have_starts_nothing(
    script: Script, engine: "docker.DockerClient", monkeypatch: pytest.MonkeyPatch, image: str
) -> None:
    monkeypatch.setenv("PERENNIAL_STEP_IMAGE", image)
    settings.cache_clear()

    with pytest.raises(InvalidProject, match=f"has no image {image}"):
        job_of(script(["say", "never"])).submit()

    assert containers(engine) == []


def test_an_engine_that_answers_with_another_image_starts_nothing(
    script: Script, engine: "docker.DockerClient", monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(script(["say", "never"]))
    client = job.runner._engine()
    monkeypatch.setattr(
        client, "inspect_image", lambda _image: {"Id": "sha256:" + "1" * 64, "RepoDigests": []}
    )

    with pytest.raises(InvalidProject, match="with another image, sha256:1111"):
        job.submit()

    assert containers(engine) == []


# --- GPUs ---------------------------------------------------------------------------------------------------


@pytest.fixture
def no_gpu(engine: "docker.DockerClient") -> None:
    if "nvidia" in engine.info()["Runtimes"]:
        pytest.skip("This engine has GPUs to give.")


def test_a_required_gpu_that_is_not_there_fails_for_good(
    script: Script, engine: "docker.DockerClient", no_gpu: None
) -> None:
    with pytest.raises(InvalidProject, match="has no GPU to give") as refused:
        job_of(script(["say", "never"]), gpus="required").submit()

    assert "NVIDIA Container Toolkit" in str(refused.value)
    assert containers(engine) == []


def test_a_preferred_gpu_that_is_not_there_leaves_the_step_on_the_cpu_and_told_why(
    script: Script, no_gpu: None
) -> None:
    job = job_of(script(["tell"]), gpus="preferred")

    run(job)

    assert (
        "could not select device driver"
        in json.loads(job.log.lines[0])["environment"]["PERENNIAL_GPU_MISSING"]
    )


# --- a worker that dies -------------------------------------------------------------------------------------


@pytest.fixture
def worker(store: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a worker that follows a step."""
    started: list[subprocess.Popen[str]] = []

    def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.containers.following", str(folder), *arguments]
        process = subprocess.Popen(
            command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_worker_that_is_killed_is_replaced_by_one_that_follows_the_same_container(
    script: Script, worker: Callable[..., subprocess.Popen[str]], store: Path, engine: "docker.DockerClient"
) -> None:
    folder = script(["count", 60, 0.1], ["wait_for", str(store / "go")], ["say", "end"])
    began = int(time.time())
    first = worker(folder)
    heard = [first.stdout.readline().strip() for _ in range(5)]
    first.kill()
    first.wait()

    second = job_of(folder, holder="second")
    container = second.submit()
    (store / "go").touch()
    result = second.follow(container)

    label = f"perennial.installation={settings().installation}"
    filters = {"event": "create", "label": label}
    created = list(engine.events(since=began, until=int(time.time()) + 1, filters=filters, decode=True))
    assert result["prediction_rows"] == 7
    assert (len(created), starts(folder)) == (1, 1)
    everything = heard + second.log.lines
    assert [line for line in dict.fromkeys(everything) if line.startswith("line")] == [
        f"line {number}" for number in range(60)
    ]
    assert second.log.lines[-1] == "end"
    assert containers(engine) == []


def test_a_log_is_gone_on_with_where_the_last_worker_stopped(script: Script, store: Path) -> None:
    folder = script(["say", *map(str, range(10))], ["wait_for", str(store / "go")], ["say", "end"])
    first = job_of(folder)
    container = first.submit()
    stamps: list[str] = []

    def lost(line: str) -> None:
        if line == "6":
            raise WorkerLost

    with pytest.raises(WorkerLost):
        first.runner.follow(container, first.step, lost, None, stamps.append)
    (store / "go").touch()
    lines: list[str] = []
    second = job_of(folder)
    second.runner.follow(container, second.step, lines.append, stamps[-1], lambda _stamp: None)

    assert lines == ["6", "7", "8", "9", "end"]


def test_a_step_that_ended_while_nobody_followed_it_is_heard_and_not_run_again(
    script: Script, engine: "docker.DockerClient"
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    folder = script(["say", "alone"], ["reject"])
    engine.api.wait(job_of(folder).submit())

    second = job_of(folder, holder="second")
    with pytest.raises(AirflowFailException, match="The data is no good"):
        run(second)

    assert second.log.lines[0] == "alone"
    assert starts(folder) == 1


def test_a_result_that_nobody_heard_of_is_taken_with_the_log_that_led_to_it(
    script: Script, engine: "docker.DockerClient"
) -> None:
    folder = script(["say", "alone"])
    first = job_of(folder)
    engine.api.wait(first.submit())

    second = job_of(folder, holder="second")
    assert second.left_unheard() is None, "its container is there, and its log with it"
    assert run(second)["prediction_rows"] == 7
    assert second.log.lines[0] == "alone"
    assert starts(folder) == 1
    assert containers(engine) == []


def test_a_result_that_nobody_heard_of_is_taken_where_its_container_is_gone(
    script: Script, engine: "docker.DockerClient"
) -> None:
    folder = script(["say", "alone"])
    left = job_of(folder).submit()
    engine.api.wait(left)
    engine.api.remove_container(left)

    assert job_of(folder, holder="second").left_unheard()["prediction_rows"] == 7


def test_the_same_step_asked_for_something_else_replaces_the_container(
    script: Script, engine: "docker.DockerClient"
) -> None:
    folder = script(["sleep", 600])
    first = job_of(folder)
    old = first.submit()
    assert first.state(old) == "running"
    script(["say", "new"])

    second = job_of(folder, holder="second", sha256="1" * 64)
    assert second.state(old) == "gone"
    run(second)

    assert second.log.lines == ["new"]
    assert containers(engine) == []


def test_two_workers_at_once_make_one_container(
    script: Script, worker: Callable[..., subprocess.Popen[str]], store: Path, engine: "docker.DockerClient"
) -> None:
    folder = script(["wait_for", str(store / "go")], ["say", "once"])
    both = [worker(folder, "same"), worker(folder, "same")]
    until(lambda: starts(folder))
    until(lambda: len(containers(engine)) == 1)
    time.sleep(2)
    (store / "go").touch()

    outputs = [process.communicate(timeout=60)[0] for process in both]

    assert starts(folder) == 1
    assert any("once" in output for output in outputs)
    assert containers(engine) == []


def test_a_container_that_was_created_and_never_started_is_started(
    script: Script, engine: "docker.DockerClient"
) -> None:
    from plugins.runners.docker.container import container_of

    folder = script(["say", "late"])
    job = job_of(folder)
    spec = container_of(job.step, settings(), gpus=False)
    made = engine.api.create_container_from_config(spec.body(), name=spec.name)

    assert job.state(made["Id"]) == "gone"
    assert job.submit() == made["Id"]
    assert job.follow(made["Id"])["prediction_rows"] == 7


# --- stopping -----------------------------------------------------------------------------------------------


def test_a_task_that_is_killed_takes_its_container_with_it(
    script: Script, worker: Callable[..., subprocess.Popen[str]], engine: "docker.DockerClient"
) -> None:
    from airflow.sdk.exceptions import AirflowException

    folder = script(["say", "begun"], ["sleep", 600])
    job = job_of(folder)
    job.log.info = lambda line: job.stop()
    started = time.monotonic()

    with pytest.raises(AirflowException, match="It was stopped"):
        run(job)

    assert time.monotonic() - started < 15
    assert containers(engine) == []


def test_a_try_that_airflow_gave_up_does_not_end_what_its_successor_follows(
    script: Script, store: Path, engine: "docker.DockerClient"
) -> None:
    folder = script(["wait_for", str(store / "go")])
    first, second = job_of(folder), job_of(folder, holder="second")
    container = first.submit()
    second.submit()
    from plugins import attempts

    attempts.hold(second.files, "second")
    first.stop()
    assert second.state(container) == "running"

    (store / "go").touch()
    assert second.follow(container)["prediction_rows"] == 7
    with pytest.raises(WorkerLost, match="Another worker"):
        first.require_held()


def test_a_container_that_somebody_removes_is_a_fault_that_says_so(
    script: Script, engine: "docker.DockerClient"
) -> None:
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    job = job_of(script(["say", "begun"], ["sleep", 600]))
    job.log.info = lambda line: engine.api.remove_container(job.step.name, force=True)

    with pytest.raises(AirflowException, match="was removed while it was followed") as failure:
        run(job)

    assert not isinstance(failure.value, AirflowFailException)


# --- the engine ---------------------------------------------------------------------------------------------


def test_an_engine_that_does_not_answer_is_a_fault_with_its_address(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_DOCKER_DEFAULT", "docker://127.0.0.1:9")
    job = job_of(store / "store" / "runs" / "step")

    with pytest.raises(EngineFault, match=r"tcp://127\.0\.0\.1:9 does not answer.*docker_default"):
        job.submit()


def test_a_network_that_is_not_there_is_the_projects_fault(
    script: Script, monkeypatch: pytest.MonkeyPatch, engine: "docker.DockerClient"
) -> None:
    monkeypatch.setenv("PERENNIAL_STEP_NETWORK", "nowhere")
    settings.cache_clear()

    with pytest.raises(InvalidProject, match="PERENNIAL_STEP_NETWORK"):
        job_of(script(["say", "never"])).submit()

    assert containers(engine) == []


def test_a_store_that_the_container_would_not_see_is_the_projects_fault(store: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidProject, match="PERENNIAL_STORE_URL"):
        job_of(tmp_path / "step").submit()


def test_what_is_there_is_listed_for_the_janitor(script: Script) -> None:
    folder = script(["sleep", 600])
    job = job_of(folder)
    container = job.submit()

    [left] = job.runner.list_left()

    assert (left.job, left.owner) == (container, step_of(folder).owner)
    assert left.deadline > time.time()
    job.runner.remove(left.job)
    assert job.runner.list_left() == []
    job.runner.remove(left.job)
