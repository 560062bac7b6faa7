"""The runner of pods, through the real Kubernetes client,
against a stand-in for a cluster (see `cluster.py`).
"""

import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from plugins.attempts import Files
from plugins.jobs import StepJob
from plugins.runners import Ended, EngineFault, Resources, Step, runner
from plugins.runners.kubernetes.runner import KubernetesRunner
from tasks.errors import InvalidProject
from tasks.settings import settings
from tests.containers.following import Memory, Told, request_of
from tests.unit.cluster import Cluster, Refusal, running_cluster
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


# --- a step and its ends ------------------------------------------------------------------------------------


def test_a_step_runs_in_a_pod_that_is_removed_and_its_lines_arrive(cluster: Cluster, step: Step) -> None:
    cluster.program = "import os, sys; print(*sys.argv[1:]); print(os.environ['PERENNIAL_IMAGE_DIGEST'])"
    begun: list[bool] = []
    ended, lines = run(step, lambda: begun.append(True))
    assert ended == Ended(0)
    assert lines == [f"python -m tasks train --request {step.request_url} --result {step.result_url}", IMAGE]
    assert begun == [True]
    until(lambda: not cluster.pods)
    assert [pod["metadata"]["name"] for pod in cluster.created] == [step.name]


def test_the_setting_chooses_it(cluster: Cluster) -> None:
    assert isinstance(runner(), KubernetesRunner)


def test_the_request_is_laid_down_before_anything_runs_and_after_the_name_is_taken(
    cluster: Cluster, step: Step
) -> None:
    seen: list[str] = []
    run(step, lambda: seen.extend(pod["status"]["phase"] for pod in cluster.pods.values()))
    assert seen == ["Pending"]
    assert cluster.created[0]["spec"]["schedulingGates"] == [{"name": "perennial/begun"}]


def test_a_line_is_passed_on_while_the_step_runs(cluster: Cluster, step: Step, home: Path) -> None:
    heard = home / "heard"
    cluster.program = f"""
import pathlib, time
print('first')
while not pathlib.Path({str(heard)!r}).exists():
    time.sleep(.01)
"""
    pods = KubernetesRunner()
    job = pods.submit(step, lambda: None)
    ended = pods.follow(job, step, lambda _line: heard.touch(), None, lambda _stamp: None)
    assert ended.code == 0


@pytest.mark.parametrize(
    ("program", "code"), [("raise SystemExit(10)", 10), ("import os; os.kill(os.getpid(), 9)", -9)]
)
def test_the_exit_code_or_the_signal_is_returned(
    cluster: Cluster, step: Step, program: str, code: int
) -> None:
    cluster.program = program
    assert run(step)[0] == Ended(code)


def evicted(message: str) -> dict[str, Any]:
    return {"phase": "Failed", "reason": "Evicted", "message": message}


KILLED = "import os; os.kill(os.getpid(), 9)"
OUT_OF_MEMORY = {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-11-20T12:00:00Z"}


@pytest.mark.parametrize(
    ("change", "final", "says"),
    [
        (
            {"terminated": OUT_OF_MEMORY},
            True,
            "needed more memory than its limit .* The limit is 128 MiB .*resources.memory_mib",
        ),
        (
            evicted('Usage of EmptyDir volume "scratch" exceeds the limit "64Mi". '),
            True,
            "filled its scratch folder. The limit is 64 MiB .*resources.scratch_mib",
        ),
        (
            evicted("The node was low on resource: memory. "),
            False,
            "Its node evicted it: The node was low on resource",
        ),
        (evicted("The node was low on resource: ephemeral-storage. "), False, "Its node evicted it"),
        ({"phase": "Failed", "reason": "DeadlineExceeded"}, False, "ran past its deadline"),
        (
            {"terminated": {"exitCode": 128, "reason": "StartError", "message": "exec: python: not found"}},
            True,
            "could not run: exec: python: not found",
        ),
    ],
)
def test_a_limit_that_is_reached_is_named(
    cluster: Cluster, step: Step, change: dict[str, Any], says: str, *, final: bool
) -> None:
    cluster.program = KILLED

    def finish(status: dict[str, Any]) -> None:
        if "terminated" in change:
            status["containerStatuses"][0]["state"] = change
        else:
            status.update(change)

    cluster.finish = finish
    ended, _ = run(step)
    assert ended.final is final
    assert ended.code != 0
    assert re.search(says, ended.why or "")


def test_an_image_that_cannot_be_pulled_ends_the_step_for_good(cluster: Cluster, step: Step) -> None:
    cluster.never_starts = {"reason": "ErrImagePull", "message": "manifest unknown"}
    ended, lines = run(step)
    assert ended.final
    assert "manifest unknown" in str(ended.why)
    assert lines == ["Waiting. ErrImagePull: manifest unknown"]
    until(lambda: not cluster.pods)


def test_a_secret_that_is_not_there_ends_the_step_for_good(cluster: Cluster, step: Step) -> None:
    cluster.never_starts = {
        "reason": "CreateContainerConfigError",
        "message": 'secret "perennial-steps" not found',
    }
    ended, _ = run(step)
    assert ended.final
    assert 'secret "perennial-steps" not found' in str(ended.why)


def test_a_pod_whose_node_is_lost_ends_without_a_code(cluster: Cluster, step: Step) -> None:
    cluster.program = "import time; print('up'); time.sleep(600)"
    pods = KubernetesRunner()
    job = pods.submit(step, lambda: None)
    ended = pods.follow(job, step, lambda _line: cluster.lose(step.name), None, lambda _stamp: None)
    assert ended.code is None
    assert "was removed while it was followed" in str(ended.why)


# --- GPUs ---------------------------------------------------------------------------------------------------


def wanting(step: Step, gpus: Any) -> Step:
    return step_to_run(Path(step.request_url).parent, resources=Resources(1, 128, 64, gpus))


def gpus_of(cluster: Cluster) -> list[str | None]:
    return [
        pod["spec"]["containers"][0]["resources"]["limits"].get("nvidia.com/gpu") for pod in cluster.created
    ]


def test_a_training_that_prefers_a_gpu_gets_one_where_there_is_one(cluster: Cluster, step: Step) -> None:
    assert run(wanting(step, "preferred"))[0].code == 0
    assert gpus_of(cluster) == ["1"]


def test_a_training_that_prefers_a_gpu_does_without_and_is_told_why(cluster: Cluster, step: Step) -> None:
    cluster.has_gpus = False
    cluster.program = "import os; print(os.environ['PERENNIAL_GPU_MISSING'])"
    ended, lines = run(wanting(step, "preferred"))
    assert ended.code == 0
    assert lines == ["Unschedulable: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu."]
    assert gpus_of(cluster) == ["1", None]


def test_a_training_that_requires_a_gpu_waits_for_one_and_says_so(cluster: Cluster, step: Step) -> None:
    cluster.has_gpus = False
    pods, lines = KubernetesRunner(), list[str]()
    wanted = wanting(step, "required")
    job = pods.submit(wanted, lambda: None)
    follower = threading.Thread(
        target=pods.follow, args=(job, wanted, lines.append, None, lambda _stamp: None), daemon=True
    )
    follower.start()
    until(lambda: lines)
    assert lines == ["Waiting. Unschedulable: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu."]
    pods.stop()
    follower.join(10)
    assert not follower.is_alive()
    assert not cluster.pods


# --- another worker -----------------------------------------------------------------------------------------

SLOW = "import time\nfor n in range(20): print(n, flush=True); time.sleep(0.03)"


def test_a_second_worker_follows_the_pod_that_the_first_one_left(cluster: Cluster, step: Step) -> None:
    cluster.program = SLOW
    first, second = KubernetesRunner(), KubernetesRunner()
    job = first.submit(step, lambda: None)
    heard: list[str] = []
    stamps: list[str] = []

    class Died(Exception):
        pass

    def die(line: str) -> None:
        if line == "5":
            raise Died
        heard.append(line)

    with pytest.raises(Died):
        first.follow(job, step, die, None, stamps.append)
    assert second.state(job, step) == "running"
    again = second.submit(step, lambda: pytest.fail("the request was laid down again"))
    assert again == job
    assert second.follow(again, step, heard.append, stamps[-1], stamps.append).code == 0
    assert list(dict.fromkeys(heard)) == [str(number) for number in range(20)]
    assert len(heard) <= 21, "only the last line that the first one passed on may come twice"
    assert len(cluster.created) == 1


def test_a_second_worker_takes_the_end_of_a_pod_that_nobody_followed(cluster: Cluster, step: Step) -> None:
    cluster.program = "print('all'); raise SystemExit(10)"
    job = KubernetesRunner().submit(step, lambda: None)
    until(lambda: cluster.read(step.name)["status"]["phase"] == "Failed")
    assert KubernetesRunner().state(job, step) == "ended"
    assert run(step) == (Ended(10), ["all"])
    assert len(cluster.created) == 1


def test_two_workers_at_once_make_one_pod(cluster: Cluster, step: Step) -> None:
    begun: list[bool] = []
    jobs: list[str] = []
    workers = [
        threading.Thread(
            target=lambda: jobs.append(KubernetesRunner().submit(step, lambda: begun.append(True)))
        )
        for _ in range(8)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)
    assert len(jobs) == 8
    assert len(set(jobs)) == 1
    assert len(cluster.created) == 1


def test_other_work_under_the_same_name_is_replaced_once_it_is_gone(
    cluster: Cluster, step: Step, home: Path
) -> None:
    cluster.program, cluster.deletion_seconds = "import time; time.sleep(600)", 0.3
    old = KubernetesRunner().submit(step, lambda: None)
    cluster.program = "print('new')"
    other = step_to_run(home, request_sha256="1" * 64)
    assert KubernetesRunner().state(old, other) == "gone"
    assert run(other) == (Ended(0), ["new"])
    assert len(cluster.created) == 2


def test_a_pod_that_was_never_started_is_started_by_the_next_worker(cluster: Cluster, step: Step) -> None:
    def die() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        KubernetesRunner().submit(step, die)
    assert KubernetesRunner().state(step.name, step) == "gone"
    begun: list[bool] = []
    assert run(step, lambda: begun.append(True))[0].code == 0
    assert begun == [True]
    assert len(cluster.created) == 1


def test_removing_an_old_pod_leaves_the_later_one_of_its_name(cluster: Cluster, step: Step) -> None:
    cluster.program = "import time; time.sleep(600)"
    pods = KubernetesRunner()
    old = pods.submit(step, lambda: None)
    pods.remove(old)
    until(lambda: not cluster.pods)
    new = pods.submit(step, lambda: None)
    pods.remove(old)
    assert pods.state(old, step) == "gone"
    assert pods.state(new, step) == "running"
    pods.remove(step.name)
    until(lambda: not cluster.pods)
    pods.remove(new)


# --- the end of a task --------------------------------------------------------------------------------------


def test_a_task_that_is_killed_deletes_its_pod(cluster: Cluster, step: Step) -> None:
    cluster.program = "import time; print('up'); time.sleep(600)"
    pods = KubernetesRunner()
    job = pods.submit(step, lambda: None)
    ended = pods.follow(job, step, lambda _line: pods.stop(), None, lambda _stamp: None)
    assert ended.code == -9
    assert "It was stopped" in str(ended.why)
    until(lambda: not cluster.pods)


def test_a_log_that_breaks_is_taken_up_where_it_ended(cluster: Cluster, step: Step) -> None:
    cluster.program, cluster.cut_logs_after = SLOW, 7

    def heal() -> None:
        until(lambda: sum("/log" in request for request in cluster.requests) > 1)
        cluster.cut_logs_after = 10_000

    threading.Thread(target=heal, daemon=True).start()
    assert run(step) == (Ended(0), [str(number) for number in range(20)])


def test_the_janitor_is_told_of_every_pod_of_this_installation(
    cluster: Cluster, step: Step, home: Path
) -> None:
    cluster.program = "import time; time.sleep(600)"
    pods = KubernetesRunner()
    job = pods.submit(step, lambda: None)
    other = step_to_run(home, key="another")
    pods.submit(other, lambda: None)
    cluster.pods[other.name]["metadata"]["labels"]["perennial.installation"] = "somebody-else"
    [left] = pods.left()
    assert (left.job, left.owner) == (job, step.owner)
    assert abs(left.deadline - step.deadline) < 1


# --- what a cluster refuses ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "message", "error", "says"),
    [
        (401, "Unauthorized", InvalidProject, "containers/kubernetes/rbac.yaml"),
        (403, "pods is forbidden: cannot create resource", InvalidProject, "containers/kubernetes/rbac.yaml"),
        (403, "pods is forbidden: exceeded quota: compute", EngineFault, "exceeded quota"),
        (404, 'namespaces "perennial" not found', InvalidProject, "PERENNIAL_KUBERNETES_NAMESPACE"),
        (422, "Pod is invalid: spec.x: Required value", InvalidProject, "spec.x: Required value"),
        (500, "etcdserver: request timed out", EngineFault, "will be tried again"),
        (429, "too many requests", EngineFault, "will be tried again"),
    ],
)
def test_what_the_cluster_refuses_is_explained(
    cluster: Cluster, step: Step, status: int, message: str, error: type[Exception], says: str
) -> None:
    cluster.fail = lambda method, _path: Refusal(status, message) if method == "POST" else None
    with pytest.raises(error, match=says):
        KubernetesRunner().submit(step, lambda: pytest.fail("nothing was started"))


def test_a_cluster_that_does_not_answer_is_a_fault_that_may_pass(
    cluster: Cluster, step: Step, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setattr("plugins.runners.kubernetes.runner.PATIENCE_SECONDS", 0.1)
    config = json.loads((home / "kubeconfig").read_text())
    config["clusters"][0]["cluster"]["server"] = "http://127.0.0.1:1"
    (home / "kubeconfig").write_text(json.dumps(config))
    with pytest.raises(EngineFault, match="'kubernetes_default' says where it is"):
        KubernetesRunner().submit(step, lambda: None)


def test_a_cluster_that_was_away_for_a_moment_is_waited_for(cluster: Cluster, step: Step) -> None:
    refusals = iter([Refusal(503, "away")])
    cluster.fail = lambda method, path: (
        next(refusals, None) if method == "GET" and not path.endswith("log") else None
    )
    assert run(step)[0].code == 0


# --- the contract -------------------------------------------------------------------------------------------

WRITES_ITS_RESULT = """
import json, pathlib, sys
result = pathlib.Path(sys.argv[sys.argv.index("--result") + 1])
counts = {"prediction_rows": 7, "feedback_rows": 0, "labelled_rows": 0}
result.write_text(json.dumps({"model": "m", **counts, "landed_file": None}))
print('{"prediction_rows": 8}')
"""


def test_the_result_is_read_from_the_store_and_not_from_the_log(cluster: Cluster, home: Path) -> None:
    cluster.program = WRITES_ITS_RESULT
    folder = home / "work"
    step = step_to_run(folder, verb="collect")
    told = Told()
    job = StepJob(
        KubernetesRunner(),
        step,
        request_of(folder),
        Files.of(str(folder)),
        Memory(home / "memory"),
        "first",
        told,
        {},
    )
    assert job.follow(job.submit())["prediction_rows"] == 7
    assert told.lines == ['{"prediction_rows": 8}']
    until(lambda: not cluster.pods)
