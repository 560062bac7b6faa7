"""Workers that are forked from a process which has imported PyTorch: how they start, and how they end."""

import os
import signal

import psutil

from tasks.serving.torchserve import torchserve
from tests.services.conftest import HANDLER, Model, Platform, build_archive, until

WHO = HANDLER.replace(
    '"archive_version": self.version',
    '"archive_version": self.version, "pid": os.getpid(), "folder": os.getcwd(), '
    '"imported": "torch" in __import__("sys").modules',
)


def processes(platform: Platform, named: str) -> list[psutil.Process]:
    """Those below TorchServe in whose command there is this name."""
    assert platform.torchserve.process is not None
    below = psutil.Process(platform.torchserve.process.pid).children(recursive=True)
    alive = [each for each in below if each.status() != psutil.STATUS_ZOMBIE]
    return [each for each in alive if any(named in word for word in each.cmdline())]


def asked(model: Model, version: str) -> dict[str, object]:
    return torchserve().predict(model.name, version, {"text": "hello"}, timeout_seconds=10)


def test_a_worker_is_forked_and_ends_when_torchserve_ends_what_it_started(
    platform: Platform, steady: Model
) -> None:
    archive, backend = build_archive(steady.folder, steady.name, "trial", handler=WHO), torchserve()
    backend.register(archive, steady.spec.serving)

    answer = asked(steady, archive.version)

    assert answer["imported"]
    worker = psutil.Process(int(str(answer["pid"])))
    [spawner] = [each for each in processes(platform, "spawner.py") if each.pid != worker.pid][:1]
    assert worker.ppid() == spawner.pid
    backend._api.scale(steady.name, archive.version, 0)
    until(lambda: not worker.is_running(), what="the worker to end")
    backend._api.delete(steady.name, archive.version)


def test_a_killed_worker_is_there_again_at_once(platform: Platform, steady: Model) -> None:
    archive, backend = build_archive(steady.folder, steady.name, "trial", handler=WHO), torchserve()
    backend.register(archive, steady.spec.serving)
    killed = int(str(asked(steady, archive.version)["pid"]))

    os.kill(killed, signal.SIGKILL)
    until(lambda: not psutil.pid_exists(killed), what="the worker to end")

    assert asked(steady, archive.version)["pid"] != killed
    backend._api.delete(steady.name, archive.version)


def test_without_the_spawner_a_worker_imports_by_itself(platform: Platform, steady: Model) -> None:
    [spawner, *_] = sorted(processes(platform, "spawner.py"), key=lambda each: each.create_time())
    spawner.kill()
    archive, backend = build_archive(steady.folder, steady.name, "trial", handler=WHO), torchserve()

    backend.register(archive, steady.spec.serving)

    assert asked(steady, archive.version)["imported"]
    backend._api.delete(steady.name, archive.version)
    platform.torchserve.kill()
    platform.torchserve.start()
    until(lambda: platform.predict(steady.name, "hello").status_code == 200, what="the model to come back")


def test_nothing_is_left_of_a_torchserve_that_was_killed_and_who_asks_the_next_one_first_waits_for_pytorch(
    platform: Platform, steady: Model
) -> None:
    left = [*processes(platform, "spawner.py"), *processes(platform, "worker.py")]
    assert len(left) >= 3  # the spawner, a worker, and what TorchServe takes for it

    platform.torchserve.kill()
    try:
        until(lambda: not any(each.is_running() for each in left), what="them to end", seconds=20)
    finally:
        platform.torchserve.start()
        until(lambda: platform.predict(steady.name, "hello").status_code == 200, what="the model")

    assert len(processes(platform, "spawner.py")) >= 2  # a worker that is forked has its command
