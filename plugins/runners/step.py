"""What a runner is asked and answers: a step as plain
data, and the interface that runs it in one kind of place.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from tasks.settings import settings

State = Literal["running", "ended", "gone"]
Say = Callable[[str], None]


class WorkerLost(Exception):
    """This task is no longer ours: its supervisor is gone, or
    another worker has taken the step over; raised by a runner.
    """


class EngineFault(Exception):
    """The engine or the cluster that runs the steps does
    not answer or fails, which may pass; raised by a runner.
    """


@dataclass(frozen=True)
class Owner:
    """The task instance that a step belongs to, and its try.

    `map_index` is -1 where the task is not mapped.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    try_number: int = 1


@dataclass(frozen=True)
class Resources:
    """What a step may use: cores, memory and scratch in MiB, and whether it gets GPUs.

    A process is not held to it.
    """

    cpus: float
    memory_mib: int
    scratch_mib: int
    gpus: Literal["required", "preferred", "none"] = "none"


@dataclass(frozen=True)
class Step:
    """A run of a verb as plain data, the same for each try of its task.

    Attributes:
        request_url, result_url: Files of the store.
        model: Whose environment it runs in; None for the common one.
        key: `StepContext.step_key`.
        request_sha256: Of the request's text: two steps of one key that differ in it are different work.
        deadline: Unix time, in seconds, after which nothing of the step may run any more, whoever forgot it.
    """

    verb: str
    request_url: str
    result_url: str
    model: str | None
    key: str
    request_sha256: str
    owner: Owner
    resources: Resources
    deadline: float

    @property
    def name(self) -> str:
        return step_name(self.key)


def step_name(key: str) -> str:
    """What the container or the pod of the step `key` is called.

    Names are unique where they run, so making it is the lock on the step.
    """
    named = f"{settings().installation}\n{key}"
    return f"perennial-{hashlib.sha256(named.encode()).hexdigest()[:20]}"


@dataclass(frozen=True)
class Ended:
    """How a step ended.

    Attributes:
        code: The exit code of `python -m tasks`, or minus the number of the signal that killed it; None where
            nobody can say, because what ran it is gone.
        why: What the place says of the end beyond that code, as a sentence: a limit that was reached. None
            where it knows nothing more; a step that could, wrote an error file.
        final: Whether trying again would end the same way.
    """

    code: int | None
    why: str | None = None
    final: bool = False


@dataclass(frozen=True)
class Left:
    """Something of a step that is there, whoever started it: for the janitor."""

    job: str
    owner: Owner
    deadline: float


class Runner(Protocol):
    """Runs steps in one kind of place, one step at a time.

    `submit` starts a step, or finds the one that was asked the same and is there already, and returns what it
    is called there. It calls `begin`, which lays down the request and clears away old results, only when it
    is the one who starts the step. `state` says whether that very work is there. `follow` hands each line
    that the step prints to `say`, as it is printed, until the step has ended. Where `outlives` is true, a
    step goes on when the process that follows it is killed, and another may follow it: from the moment
    `since` on, which is what that process last gave to `seen`. `remove` leaves nothing of the step, of which
    it takes the name too. `stop` ends the step that is followed, early, and may be called from a signal
    handler. `left` lists what is there of this installation's steps.
    """

    outlives: bool

    def submit(self, step: Step, begin: Callable[[], object]) -> str: ...

    def state(self, job: str, step: Step) -> State: ...

    def follow(
        self, job: str, step: Step, say: Say, since: str | None, seen: Callable[[str], None]
    ) -> Ended: ...

    def remove(self, job: str) -> None: ...

    def stop(self) -> None: ...

    def list_left(self) -> list[Left]: ...
