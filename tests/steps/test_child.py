"""A program that a step started ends with the step, and says how it ended."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tasks.runtime import child
from tests.conftest import PROJECT


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def wait_until_gone(pid: int, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def wait_for_pid(file: Path, seconds: float = 20) -> int:
    deadline = time.monotonic() + seconds
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < deadline, "the program never started"
        time.sleep(0.05)
    return int(file.read_text())


def test_it_tells_the_exit_code_and_the_end_of_the_output(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ended = child.run(
        python("import sys; [print('line', n, flush=True) for n in range(100)]; sys.exit('It broke.')"),
        log=tmp_path / "log",
        timeout_seconds=30,
    )

    assert (ended.code, ended.timed_out) == (1, False)
    assert ended.tail.endswith("line 99\nIt broke.")
    assert "line 0\n" in (tmp_path / "log").read_text()
    assert "line 0\n" in capfd.readouterr().out


def test_it_gives_the_program_its_folder_and_variables(tmp_path: Path) -> None:
    code = "import os; print(os.getcwd(), os.environ['COLOUR'])"

    ended = child.run(
        python(code),
        log=tmp_path / "log",
        timeout_seconds=30,
        environment={"COLOUR": "blue"},
        folder=tmp_path,
    )

    assert ended.tail == f"{tmp_path} blue"


def test_output_that_is_no_text_does_not_stop_it(tmp_path: Path) -> None:
    ended = child.run(
        python(r"import sys; sys.stdout.buffer.write(b'\xff\xfe end')"),
        log=tmp_path / "log",
        timeout_seconds=30,
    )

    assert ended.code == 0
    assert ended.tail.endswith(" end")


def test_a_program_out_of_time_is_stopped_with_its_children(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    grandchild = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(300)"
    code = (
        f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {grandchild!r}]); "
        "time.sleep(300)"
    )

    ended = child.run(python(code), log=tmp_path / "log", timeout_seconds=3)

    assert ended.timed_out
    assert ended.code != 0
    assert wait_until_gone(wait_for_pid(pid_file))


def test_a_grandchild_that_keeps_the_output_open_does_not_outlive_its_program(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; "
        "time.sleep(300)']).pid)"
    )

    ended = child.run(python(code), log=tmp_path / "log", timeout_seconds=60)

    assert (ended.code, ended.timed_out) == (0, False)
    assert wait_until_gone(int(ended.tail))


def test_a_program_dies_when_the_one_who_asked_is_killed(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    inner = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(300)"
    asking = (
        "import sys; from pathlib import Path; from tasks.runtime import child; "
        f"child.run([sys.executable, '-c', {inner!r}], log=Path({str(tmp_path / 'log')!r}), "
        "timeout_seconds=300)"
    )
    parent = subprocess.Popen(python(asking), cwd=PROJECT, env={**os.environ}, stdout=subprocess.DEVNULL)
    pid = wait_for_pid(pid_file)

    parent.kill()
    parent.wait()

    assert wait_until_gone(pid)
