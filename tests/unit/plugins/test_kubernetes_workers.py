"""Pods whose worker dies, is joined by another or lets go: one pod a step, followed to its end or deleted."""

import threading
from pathlib import Path

import pytest

from plugins.runners import Ended, Step
from plugins.runners.kubernetes.runner import KubernetesRunner
from tests.unit.cluster import Cluster
from tests.unit.plugins.pods import run, until
from tests.unit.steps import step_to_run

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
    [left] = pods.list_left()
    assert (left.job, left.owner) == (job, step.owner)
    assert abs(left.deadline - step.deadline) < 1
