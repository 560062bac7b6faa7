"""A limit that was reached is told by its name, whoever the kernel made pay for it."""

import errno
from pathlib import Path

import pytest

from tasks.errors import EXIT_FAULT, EXIT_INVALID, LimitReached, MachineFull, TrainingFailed
from tasks.runtime import limits
from tasks.settings import settings


@pytest.fixture
def limited(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A step in a container: the runner has told it its limits."""
    monkeypatch.setenv("PERENNIAL_MEMORY_MIB", "512")
    monkeypatch.setenv("PERENNIAL_SCRATCH_MIB", "64")
    settings.cache_clear()
    return home


FAILED = TrainingFailed("Training m ended with code 137.", run_id="r")


@pytest.mark.parametrize(
    ("membership", "file", "text"),
    [
        ("0::/\n", "memory.events", "low 0\nhigh 0\nmax 7\noom 3\noom_kill 2\noom_group_kill 0\n"),
        ("0::/user.slice/a\n", "user.slice/a/memory.events", "oom_kill 2\n"),
        (
            "9:memory:/docker/abc\n0::/x\n",
            "memory/memory.oom_control",
            "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
        ),
        ("9:cpu,memory:/docker/abc\n", "memory/docker/abc/memory.oom_control", "oom_kill 2\n"),
    ],
    ids=["v2 in a container", "v2", "v1 in a container", "v1"],
)
def test_the_kernel_s_count_is_found_wherever_it_is(
    tmp_path: Path, membership: str, file: str, text: str
) -> None:
    (tmp_path / "cgroup").write_text(membership)
    counter = tmp_path / "groups" / file
    counter.parent.mkdir(parents=True)
    counter.write_text(text)
    assert limits.kills(tmp_path / "groups", tmp_path / "cgroup") == 2


def test_a_machine_that_does_not_count_counts_nothing(tmp_path: Path) -> None:
    assert limits.kills(tmp_path, tmp_path / "cgroup") == 0
    assert limits.kills() >= 0


def test_a_child_that_the_kernel_killed_is_out_of_memory_and_final(
    limited: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "kills", lambda: 5)

    told = limits.explain(FAILED, "train", killed_before=4)

    assert isinstance(told, LimitReached)
    assert told.exit_code == EXIT_INVALID
    assert "The limit is 512 MiB (resources.memory_mib in the model's pipeline.yaml)" in str(told)
    assert "ended with code 137" in str(told)
    assert told.evidence == {"run_id": "r", "limit": "memory_mib"}
    assert limits.explain(FAILED, "train", killed_before=5) is FAILED


def test_memory_that_python_cannot_get_is_the_same(limited: Path) -> None:
    assert "(PERENNIAL_STEP_MEMORY_MIB)" in str(limits.explain(MemoryError(), "evaluate", limits.kills()))


def test_a_process_without_a_limit_may_be_luckier_next_time(home: Path) -> None:
    told = limits.explain(MemoryError(), "train", limits.kills())
    assert isinstance(told, MachineFull)
    assert told.exit_code == EXIT_FAULT


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_scratch_folder_names_its_field(limited: Path, number: int) -> None:
    full = OSError(number, "No space left on device", str(limited / "scratch" / "x"))

    told = limits.explain(full, "train", limits.kills())

    assert isinstance(told, LimitReached)
    assert "The limit is 64 MiB (resources.scratch_mib in the model's pipeline.yaml)" in str(told)


def test_a_full_run_folder_is_named_and_tried_again(limited: Path) -> None:
    failed = TrainingFailed("It could not be kept.")
    failed.__cause__ = OSError(errno.EDQUOT, "Disk quota exceeded", "/srv/runs/train/model.pt")

    told = limits.explain(failed, "train", limits.kills())

    assert isinstance(told, MachineFull)
    assert "no room left where /srv/runs/train/model.pt lies" in str(told)


def test_another_error_stays_what_it_is(home: Path) -> None:
    missing = FileNotFoundError(errno.ENOENT, "No such file", "/x")
    assert limits.explain(missing, "train", limits.kills()) is missing
