"""What the kernel does to a step that reaches a limit, in words: which limit, and which field raises it.

The OOM killer takes the largest process: mostly the training program and not the step that waits for it,
which then sees a child that ended for no reason. The kernel counts what it kills in each control group; a
count that grew while the step ran is the reason.

Reached limits of a container are final: the next try has the same. Without a limit it was the machine that
had no more, which another try may find changed.
"""

import errno
import shutil
from pathlib import Path
from typing import Any

from tasks.errors import LimitReached, MachineFull, PerennialError
from tasks.settings import settings

OF_TRAINING = frozenset({"preflight", "train", "reproduce"})
FULL = {errno.ENOSPC, errno.EDQUOT}
FULL_BYTES = 1024 * 1024
GROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def kills(groups: Path = GROUPS, membership: Path = MEMBERSHIP) -> int:
    """How many processes of our control group the kernel has killed for memory; 0 where it does not say."""
    for file in _counters(groups, membership):
        if file.is_file():
            counts = dict(
                line.split(maxsplit=1)
                for line in file.read_text(encoding="ascii").splitlines()
                if " " in line
            )
            return int(counts.get("oom_kill", 0))
    return 0


def _counters(groups: Path, membership: Path) -> list[Path]:
    """Where the counter may be.

    In a container our own group is what is mounted, whatever its name is outside.
    """
    places: list[Path] = []
    lines = membership.read_text(encoding="ascii").splitlines() if membership.is_file() else []
    for _, controllers, name in (line.split(":", 2) for line in lines):
        if not controllers:
            places += [groups / name.lstrip("/") / "memory.events", groups / "memory.events"]
        elif "memory" in controllers.split(","):
            first = groups / "memory"
            places = [first / name.lstrip("/") / "memory.oom_control", first / "memory.oom_control", *places]
    return places


def explain(error: Exception, verb: str, killed_before: int) -> Exception:
    """The same error, or the limit that caused it."""
    evidence = getattr(error, "evidence", {})
    if isinstance(error, MemoryError) or kills() > killed_before:
        return _of_memory(verb, str(error), evidence)
    full = _full_place(error)
    return _of_disk(verb, full, str(error), evidence) if full else error


def out_of_memory(verb: str, model: str | None, memory_mib: int, scratch_mib: int) -> str:
    """What to say of a step that was killed at its limit of memory."""
    return (
        f"{verb!r} needed more memory than its limit and was killed by the kernel. The limit is {memory_mib} "
        f"MiB ({_field(verb, 'memory_mib', model)}), beside {scratch_mib} MiB for its scratch files. Raise "
        "that field, or let it need less."
    )


def full_scratch(verb: str, model: str | None, scratch_mib: int) -> str:
    """What to say of a step whose scratch folder is full."""
    return (
        f"{verb!r} filled its scratch folder. The limit is {scratch_mib} MiB "
        f"({_field(verb, 'scratch_mib', model)}). Raise that field, or let it write less."
    )


def _of_memory(verb: str, said: str, evidence: dict[str, Any]) -> PerennialError:
    place = settings()
    if not place.memory_mib:
        return MachineFull(
            f"The machine, or what limits this process, ran out of memory during {verb!r}. It said: {said}",
            **evidence,
        )
    message = out_of_memory(verb, None, place.memory_mib, place.scratch_mib)
    return LimitReached(f"{message} It said: {said}", **evidence, limit="memory_mib")


def _of_disk(verb: str, full: Path, said: str, evidence: dict[str, Any]) -> PerennialError:
    place = settings()
    if place.scratch_mib and full.is_relative_to(place.home):
        message = full_scratch(verb, None, place.scratch_mib)
        return LimitReached(f"{message} It said: {said}", **evidence, limit="scratch_mib")
    return MachineFull(
        f"There is no room left where {full} lies: free some, or raise its quota. {verb!r} said: {said}",
        **evidence,
    )


def _full_place(error: Exception) -> Path | None:
    """What is full: the file that the error names, or the scratch folder; None where room is left."""
    scratch = settings().home
    for cause in (error, error.__cause__, error.__context__):
        if isinstance(cause, OSError) and cause.errno in FULL:
            return Path(str(cause.filename)) if cause.filename else scratch
    is_full = settings().scratch_mib and shutil.disk_usage(scratch).free < FULL_BYTES
    return scratch if is_full else None


def _field(verb: str, name: str, model: str | None = None) -> str:
    of_model = (
        f"resources.{name} in the model's pipeline.yaml"
        if model is None
        else f"resources.{name} in models/{model}/pipeline.yaml"
    )
    return of_model if verb in OF_TRAINING else f"PERENNIAL_STEP_{name.upper()}"
