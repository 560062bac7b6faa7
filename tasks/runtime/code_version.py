"""What code and which locked environment a step ran with, and the code of another commit."""

import hashlib
import io
import re
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from tasks.settings import settings

LOCK = Path("containers/ml/requirements.txt")
HANDLER_BASE = Path("containers/torchserve/perennial_handler.py")
COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


@dataclass(frozen=True)
class Code:
    """The code that a training and its archive are made of.

    Attributes:
        project: Holds the base of the handlers.
        models: The folder of the models.
    """

    project: Path
    models: Path


def code_here() -> Code:
    """The code of the settings."""
    return Code(settings().project, settings().models)


def check_out(commit: str, to: Path) -> Code:
    """Copy what a training needs of a commit of the project's repository to the folder `to`.

    Without `git worktree`: that would leave a mark in a clone that others work in.

    Raises:
        LookupError: The project is no clone, or has no such commit, or the commit has no models.
    """
    place = settings()
    inside = place.models.is_relative_to(place.project)
    models = place.models.relative_to(place.project) if inside else Path("models")
    if not COMMIT.fullmatch(commit):
        raise LookupError(f"{commit!r} is no commit's name")
    paths = [str(models), str(HANDLER_BASE)]
    command = ["git", "-C", str(place.project), "archive", "--format=tar", commit, "--", *paths]
    try:
        done = subprocess.run(command, check=False, capture_output=True)
    except OSError as error:
        raise LookupError(f"git cannot be run: {error}") from error
    if done.returncode:
        raise LookupError(done.stderr.decode(errors="replace").strip())
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as packed:
        packed.extractall(to, filter="data")
    return Code(to, to / models)


def code_commit(project: Path) -> str | None:
    """The project's Git commit, with `+dirty` where files differ from it; None where that is not known.

    An image says what it was built from (PERENNIAL_CODE_COMMIT) and holds neither Git nor the repository; a
    clone is asked.
    """
    if settings().code_commit:
        return settings().code_commit
    try:
        commit = _git(project, "rev-parse", "HEAD")
        changed = _git(project, "status", "--porcelain")
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}+dirty" if changed else commit


def lock_sha256(project: Path, model_folder: Path) -> str:
    """The SHA-256 over the lock of the heavy steps and, where the model brings one, the model's own."""
    digest = hashlib.sha256()
    for lock in (project / LOCK, model_folder / "requirements.txt"):
        if lock.exists():
            digest.update(lock.read_bytes())
    return digest.hexdigest()


def _git(project: Path, *arguments: str) -> str:
    command = ["git", "-C", str(project), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
