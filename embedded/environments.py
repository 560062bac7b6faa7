"""Build the locked environments below .perennial/: `python3.11
embedded/environments.py [--dev] [--lock]` (`make setup`).

Needs nothing but Python 3.11 with venv. What is up to date is left alone: each environment has a stamp with
the hash of everything that it was made from. uv is installed from its own hash-pinned requirement into the
project's folder.
"""

import argparse
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
STATE = PROJECT / ".perennial"
ENVIRONMENTS = STATE / "envs"
UV = STATE / "bin" / "uv"
UV_LOCK = PROJECT / "containers" / "uv.txt"
LOCKS = {
    "control": "airflow",
    "ml": "ml",
    "serving": "torchserve",
    "inference": "inference",
    "gateway": "gateway",
}
NEEDED_GIB = 8
MORE_REQUIREMENTS = ("--requirement", "--editable", "-r", "-e")
NOT_MADE = ".not-made"
"""In a model's environment that could not be made: why. `tasks.settings` refuses to run a step in it."""

PURELIB = "import sysconfig; print(sysconfig.get_path('purelib'))"


class NotMade(Exception):
    """A model's environment cannot be made from its requirements.txt; the others can."""


@dataclass(frozen=True)
class Environment:
    """One environment: its name, its lock, and for a model's own the environment that it adds to."""

    name: str
    lock: Path
    above: str | None = None

    @property
    def folder(self) -> Path:
        return ENVIRONMENTS / self.name

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def stamp(self) -> Path:
        return self.folder / ".made-from"

    @property
    def not_made(self) -> Path:
        return self.folder / NOT_MADE

    def made_from(self) -> str:
        """A hash of the lock, of uv's, of the interpreter, of where torch comes from, and of the folder."""
        locks = (file.read_text(encoding="utf-8", errors="surrogateescape") for file in (self.lock, UV_LOCK))
        told = "\0".join([*locks, sys.version, sys.base_prefix, *torch_source(), str(self.folder)])
        return hashlib.sha256(told.encode(errors="surrogateescape")).hexdigest()

    def made_here(self) -> bool:
        """Whether it was made in this folder: one that was copied or moved runs the programs of the other."""
        activate = self.folder / "bin" / "activate"
        made = activate.read_text(encoding="utf-8") if self.python.exists() and activate.exists() else ""
        return f"VIRTUAL_ENV='{self.folder}'" in made

    def up_to_date(self) -> bool:
        return (
            self.python.exists()
            and self.stamp.exists()
            and self.stamp.read_text(encoding="utf-8") == self.made_from()
        )


def list_environments(*, development: bool) -> list[Environment]:
    """The shared environments, that of a model where it brings
    requirements, and, if asked for, the one that tests run in.
    """
    shared = [
        Environment(name, PROJECT / "containers" / image / "requirements.txt")
        for name, image in LOCKS.items()
    ]
    models = sorted(lock for lock in PROJECT.glob("models/*/requirements.txt") if lock.is_file())
    own = [Environment(f"model-{lock.parent.name}", lock, above="ml") for lock in models]
    dev = [Environment("dev", PROJECT / "tests" / "requirements.txt")] if development else []
    return [*shared, *own, *dev]


def main() -> None:
    """Check the machine, then build what is missing or out of date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--dev", action="store_true", help="also the environment of tests and linters")
    parser.add_argument("--lock", action="store_true", help="resolve every lock again, then build")
    options = parser.parse_args()
    check_python()
    with one_at_a_time():
        began = time.monotonic()
        make_uv()
        if options.lock:
            run([sys.executable, str(PROJECT / "containers" / "lock.py"), str(UV)])
        remove_orphans()
        stale = [
            environment
            for environment in list_environments(development=options.dev)
            if not environment.up_to_date()
        ]
        if any(environment.above is None for environment in stale):
            check_disk()
        for environment in stale:
            build_or_tell(environment)
        if stale:
            (STATE / "set-up-seconds").write_text(f"{time.monotonic() - began:.1f}", encoding="utf-8")


def remove_orphans() -> None:
    """Remove the environments of models that are gone, or need none of their own any more."""
    kept = {environment.folder for environment in list_environments(development=True)}
    for folder in sorted(set(ENVIRONMENTS.glob("model-*")) - kept):
        shutil.rmtree(folder)
        print(f"{folder.relative_to(PROJECT)}: removed, for its model has no requirements.txt", flush=True)


def check_python() -> None:
    """The locks are for Python 3.11, and Debian ships its venv apart."""
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] != (3, 11):
        sys.exit(
            f"Perennial needs Python 3.11; {sys.executable} is {found}. Install it (Debian 12: apt-get "
            "install python3 python3-venv); if it is neither `python3.11` nor `python3` on the path, name "
            "it: make demo PYTHON=/path/to/it"
        )
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        sys.exit(
            f"{sys.executable} cannot make virtual environments. Install the package that does: apt-get "
            "install python3-venv"
        )


def check_disk() -> None:
    free_gib = shutil.disk_usage(PROJECT).free / 2**30
    if free_gib < NEEDED_GIB:
        sys.exit(
            f"{PROJECT} has {free_gib:.1f} GiB of free disk; the environments need up to {NEEDED_GIB} GiB. "
            "Free some."
        )


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Two set-ups of one clone wait for each other."""
    STATE.mkdir(exist_ok=True)
    with (STATE / "setup.lock").open("w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def make_uv() -> None:
    """Install uv by pip, from its pinned hash, into a virtual
    environment of its own, and link it to .perennial/bin.
    """
    folder, made_from = STATE / "uv", hashlib.sha256(UV_LOCK.read_bytes() + sys.version.encode()).hexdigest()
    stamp = folder / ".made-from"
    if UV.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == made_from:
        return
    began = time.monotonic()
    run([sys.executable, "-m", "venv", "--clear", str(folder)])
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--require-hashes", "--only-binary=:all:", "--requirement", str(UV_LOCK)])
    UV.parent.mkdir(exist_ok=True)
    UV.unlink(missing_ok=True)
    UV.symlink_to(Path("..", "uv", "bin", "uv"))
    stamp.write_text(made_from, encoding="utf-8")
    print(f"uv: {time.monotonic() - began:.0f} s", flush=True)


def build_or_tell(environment: Environment) -> None:
    """Build it; where a model's requirements do not let it, say so, leave the reason in it, and go on."""
    try:
        build(environment)
    except NotMade as error:
        environment.folder.mkdir(parents=True, exist_ok=True)
        environment.not_made.write_text(str(error), encoding="utf-8")
        print(error, file=sys.stderr, flush=True)
    else:
        environment.not_made.unlink(missing_ok=True)


def build(environment: Environment) -> None:
    """Make the environment hold exactly what its lock says.

    Raises:
        NotMade: It is a model's own, and its lock cannot be installed.

    `--verify-hashes`, not `--require-hashes`: a local build of torch (2.13.0+cpu) has no hash in a lock that
    must not name one build only, and --require-hashes then refuses torch==2.13.0. Every hash that the lock
    has is still checked.
    """
    began = time.monotonic()
    environment.stamp.unlink(missing_ok=True)
    if environment.above:
        require_hashes(environment.lock)
    if not environment.made_here():
        run([str(UV), "venv", "--quiet", "--clear", "--python", sys.executable, str(environment.folder)])
    sync = [str(UV), "pip", "sync", "--quiet", "--verify-hashes", "--python", str(environment.python)]
    if environment.above:
        install(environment.lock, [*sync, *torch_source(), str(environment.lock)])
        _add(environment, environment.above)
    else:
        run([*sync, *torch_source(), str(environment.lock)])
    environment.stamp.write_text(environment.made_from(), encoding="utf-8")
    print(f"{environment.folder.relative_to(PROJECT)}: {time.monotonic() - began:.0f} s", flush=True)


def install(lock: Path, command: list[str]) -> None:
    """Install a model's own packages.

    Raises:
        NotMade: uv could not; the message has what it said.
    """
    ended = subprocess.run(
        command, check=False, env=uv_environment(), cwd=PROJECT, stderr=subprocess.PIPE, text=True
    )
    if ended.returncode != 0:
        raise NotMade(
            f"{lock.relative_to(PROJECT)} cannot be installed, so the steps of the model {lock.parent.name} "
            f"cannot run. Correct the file and run `make setup`. uv said: {' '.join(ended.stderr.split())}"
        )


def require_hashes(lock: Path) -> None:
    """Refuse a model's requirements that are not pinned by hash.

    Raises:
        NotMade: The message names the first line that lacks one.
    """
    for number, line in logical_lines(lock.read_text(encoding="utf-8", errors="replace")):
        is_option = line.startswith("-") and not line.startswith(MORE_REQUIREMENTS)
        if not is_option and "--hash=" not in line:
            path = lock.relative_to(PROJECT)
            source = path.with_suffix(".in")
            raise NotMade(
                f"{path}:{number}: {line!r} has no hash, so the environment of the model {lock.parent.name} "
                f"is not made and its steps cannot run. Write the packages that it needs to {source}, and "
                f"let uv write {path.name}: {UV.relative_to(PROJECT)} pip compile {source} "
                f"--generate-hashes --python-version 3.11 --constraint containers/ml/requirements.txt "
                f"--output-file {path}. Then run `make setup`."
            )


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a requirements.txt, joined where they go on, with the number of the first; no comments."""
    begun, parts = 0, ""
    for number, line in enumerate(text.splitlines(), start=1):
        begun = begun if parts else number
        parts += re.sub(r"(^|\s)#.*", "", line).rstrip()
        if parts.endswith("\\"):
            parts = parts[:-1]
            continue
        if parts.strip():
            yield begun, parts.strip()
        parts = ""
    if parts.strip():
        yield begun, parts.strip()


def _add(environment: Environment, above: str) -> None:
    """Let an environment see another's packages after its own."""
    own, other = (
        subprocess.run(
            [ENVIRONMENTS / name / "bin" / "python", "-c", PURELIB],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for name in (environment.name, above)
    )
    Path(own.strip(), f"{above}.pth").write_text(other, encoding="utf-8")


def torch_source() -> list[str]:
    """Where torch's wheel comes from: a local wheelhouse
    (PIP_FIND_LINKS), else the build that TORCH_BACKEND names (cpu).
    """
    wheelhouse = os.environ.get("PIP_FIND_LINKS")
    return (
        [f"--find-links={wheelhouse}"]
        if wheelhouse
        else [f"--torch-backend={os.environ.get('TORCH_BACKEND', 'cpu')}"]
    )


def uv_environment() -> dict[str, str]:
    """uv takes the index and the certificate that pip is
    told to use, and never downloads a Python of its own.
    """
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
    environment.pop("VIRTUAL_ENV", None)
    for theirs, ours in (("UV_DEFAULT_INDEX", "PIP_INDEX_URL"), ("SSL_CERT_FILE", "PIP_CERT")):
        if os.environ.get(ours):
            environment.setdefault(theirs, os.environ[ours])
    return environment


def run(command: list[str]) -> None:
    """Run a command; when it fails, end with a sentence below what it printed."""
    status = subprocess.run(command, check=False, env=uv_environment(), cwd=PROJECT).returncode
    if status != 0:
        sys.exit(
            f"Set-up failed: `{' '.join(command)}` ended with {status}; its message is above. `make setup` "
            "tries again."
        )


if __name__ == "__main__":
    main()
