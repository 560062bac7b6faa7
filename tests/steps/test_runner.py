"""The process runner with real child processes: what it
passes on, and that nothing of a step outlives its task.
"""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from plugins.runners import LONGEST_LINE, ProcessRunner, Step, WorkerLost
from plugins.runners.mlflow_login import password_of
from tasks.errors import InvalidProject
from tasks.settings import NOT_MADE, PROJECT, settings
from tests.unit.steps import step_to_run

Program = Callable[[str], Step]

FAMILY = """
import subprocess, sys, time
lasting = [sys.executable, "-c", "import time; time.sleep(600)"]
children = [subprocess.Popen(lasting), subprocess.Popen(lasting, start_new_session=True)]
print("pids", *[child.pid for child in children], os.getpid(), flush=True)
"""


@pytest.fixture
def program(home: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Makes a program the interpreter of the heavy steps, and gives a step that it runs."""
    monkeypatch.setenv("PERENNIAL_ENVIRONMENTS", str(home / "envs"))
    settings.cache_clear()

    def make(body: str) -> Step:
        python = home / "envs" / "ml" / "bin" / "python"
        python.parent.mkdir(parents=True, exist_ok=True)
        python.write_text(f"#!{sys.executable}\nimport os\n{textwrap.dedent(body)}")
        python.chmod(0o755)
        return step_to_run(home / "step")

    return make


def run(step: Step, say: Callable[[str], None], running: ProcessRunner | None = None) -> int | None:
    """Run a step to its end and return its exit code."""
    running = running or ProcessRunner()
    job = running.submit(step, lambda: None)
    return running.follow(job, step, say, None, lambda stamp: None).code


def gone(pids: list[int], within_seconds: float = 10) -> bool:
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        alive = [
            pid
            for pid in pids
            if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        ]
        if not alive:
            return True
        time.sleep(0.05)
    return False


def test_a_line_is_passed_on_while_the_step_still_runs(program: Program, home: Path) -> None:
    step = program("""
        import pathlib, time
        print("first", flush=True)
        while not pathlib.Path(os.environ["PERENNIAL_HOME"], "heard").exists():
            time.sleep(0.01)
        print("second")
    """)
    lines: list[str] = []

    def hear(line: str) -> None:
        lines.append(line)
        (home / "heard").touch()

    assert run(step, hear) == 0
    assert lines == ["first", "second"]


def test_the_exit_code_or_the_signal_is_returned(program: Program) -> None:
    assert run(program("raise SystemExit(10)"), print) == 10
    assert run(program("os.kill(os.getpid(), 9)"), print) == -signal.SIGKILL


def test_the_step_is_started_with_its_files_in_the_project_folder(program: Program) -> None:
    lines: list[str] = []
    step = program("import sys; print(*sys.argv[1:]); print(os.getcwd())")
    run(step, lines.append)
    assert lines == [f"-m tasks train --request {step.request_url} --result {step.result_url}", str(PROJECT)]


def test_airflow_s_secrets_and_our_interpreter_s_paths_stay_here(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "AIRFLOW__API_AUTH__JWT_SECRET",
        "_AIRFLOW_X",
        "AIRFLOW_CONN_DB",
        "PYTHONPATH",
        "VIRTUAL_ENV",
    ):
        monkeypatch.setenv(name, "secret")
    lines: list[str] = []
    run(program("print(*os.environ); print(os.environ['PATH'])"), lines.append)
    names = set(lines[0].split())
    assert not {name for name in names if "AIRFLOW" in name}
    assert not names & {"PYTHONPATH", "VIRTUAL_ENV"}
    assert lines[1].startswith(str(settings().environments / "ml" / "bin") + os.pathsep)


@pytest.mark.parametrize(
    ("verb", "model", "user", "told"),
    [
        ("train", "m", "perennial-model-m", False),
        ("package", "m", "perennial-model-m", False),
        ("evaluate", "m", "perennial-model-m", False),
        ("deploy", None, "perennial-release", True),
    ],
)
def test_a_step_has_the_secrets_of_its_own_work_and_no_others(
    program: Program, monkeypatch: pytest.MonkeyPatch, verb: str, model: str | None, user: str, told: bool
) -> None:
    secrets = {
        "PERENNIAL_MLFLOW_KEY": "the-key",
        "PERENNIAL_HEARTBEAT_URL": "https://beats.example.org/s3cret",
        "PERENNIAL_GATEWAY_TOKEN": "the-token",
        "PERENNIAL_DATABASE_URL": "sqlite:////the-ledger.db",
        "MLFLOW_TRACKING_USERNAME": "admin",
        "MLFLOW_TRACKING_PASSWORD": "of-the-admin",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    lines: list[str] = []
    step = program("import json\nprint(json.dumps(dict(os.environ)))")
    run(dataclasses.replace(step, verb=verb, model=model), lines.append)
    given = json.loads(lines[0])
    assert given["MLFLOW_TRACKING_USERNAME"] == user
    assert given["MLFLOW_TRACKING_PASSWORD"] == password_of(user, "the-key")
    left = {name for name, value in secrets.items() if given.get(name) == value}
    assert left == ({"PERENNIAL_GATEWAY_TOKEN", "PERENNIAL_DATABASE_URL"} if told else set())


def test_much_output_broken_characters_and_endless_lines_are_passed_on_in_pieces(program: Program) -> None:
    lines: list[str] = []
    step = program("""
        import sys
        sys.stdout.buffer.write(b"x" * 20_000_000 + b"\\n")
        sys.stdout.buffer.write("grün".encode("latin-1") + b"\\n\\n  \\n10 %\\r20 %\\r\\n")
        sys.stdout.buffer.write(b"a line\\n" * 100_000 + b"no end")
    """)
    assert run(step, lines.append) == 0
    assert max(map(len, lines)) == LONGEST_LINE
    assert sum(line.count("x") for line in lines) == 20_000_000
    assert [line for line in lines if "x" not in line and line != "a line"] == [
        "gr\ufffdn",
        "10 %",
        "20 %",
        "no end",
    ]
    assert lines.count("a line") == 100_000


def test_what_a_step_leaves_running_is_killed_and_does_not_keep_us(program: Program) -> None:
    lines: list[str] = []
    started = time.monotonic()
    assert run(program(FAMILY), lines.append) == 0
    assert gone([int(pid) for pid in lines[0].split()[1:]], within_seconds=0.1)
    assert time.monotonic() - started < 10


def test_leaving_by_an_error_kills_the_whole_family(program: Program) -> None:
    lines: list[str] = []

    def hear(line: str) -> None:
        lines.append(line)
        raise TimeoutError

    with pytest.raises(TimeoutError):
        run(program(FAMILY + "time.sleep(600)"), hear)
    assert gone([int(pid) for pid in lines[0].split()[1:]], within_seconds=0.1)


def test_stop_ends_the_step_early(program: Program) -> None:
    running = ProcessRunner()
    assert run(program(FAMILY + "time.sleep(600)"), lambda _line: running.stop(), running) == -signal.SIGKILL


CALLER = """
import sys; sys.path.insert(0, {project!r})
from pathlib import Path
from tests.unit.steps import step_to_run
from tests.steps.test_runner import run
run(step_to_run(Path("s")), lambda line: print(line, flush=True))
"""


def test_the_family_dies_with_the_task_that_runs_it(program: Program) -> None:
    program(FAMILY + "time.sleep(600)")
    command = [sys.executable, "-c", CALLER.format(project=str(PROJECT))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as caller:
        pids = [int(pid) for pid in caller.stdout.readline().split()[1:]]
        assert all(psutil.pid_exists(pid) for pid in pids)
        caller.kill()
    assert gone(pids)


def test_a_silent_step_dies_when_the_supervisor_of_its_task_is_killed(program: Program) -> None:
    program(FAMILY + "time.sleep(600)")
    supervisor = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', "
        f"{CALLER.format(project=str(PROJECT))!r}])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", supervisor], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()[1:]]
        parent.kill()
        assert gone(pids)
        assert WorkerLost.__name__ in parent.stderr.read()


def test_a_model_whose_environment_could_not_be_made_is_refused_its_steps(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "model-parcel").mkdir()
    (home / "model-parcel" / NOT_MADE).write_text("models/parcel/requirements.txt cannot be installed")
    monkeypatch.setenv("PERENNIAL_ENVIRONMENTS", str(home))
    settings.cache_clear()
    with pytest.raises(InvalidProject, match=r"models/parcel/requirements\.txt cannot be installed"):
        run(dataclasses.replace(step_to_run(home), model="parcel"), print)


def test_a_missing_environment_says_what_to_do(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERENNIAL_ENVIRONMENTS", str(home / "nowhere"))
    settings.cache_clear()
    with pytest.raises(InvalidProject, match="make setup"):
        run(step_to_run(home), print)
