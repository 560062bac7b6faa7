"""What code and which locked environment a step ran with."""

import hashlib
import subprocess
from pathlib import Path

from tasks.settings import settings

LOCK = Path("containers/ml/requirements.txt")


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
