"""Which clone a platform belongs to: several on one machine do not
meet, not even in one shell or on one state folder.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from embedded.errors import OtherClone
from embedded.settings import EmbeddedSettings
from tasks.settings import PROJECT, is_of_another_clone
from tasks.stores.files import write_text


def forget_another(names: Iterable[str]) -> None:
    """Drop what `make env` of another clone has exported to the shell that this process comes from.

    Args:
        names: The variables that `make env` exports.
    """
    if is_of_another_clone():
        for name in names:
            os.environ.pop(name, None)


def claim(home: Path) -> None:
    """Say that the platform on this state folder is this clone's."""
    write_text(str(home / "clone"), text=str(PROJECT))


def require_own(home: Path) -> None:
    """Leave a running platform alone that another clone has started on this state folder.

    Raises:
        OtherClone: The message names it.
    """
    file = home / "clone"
    owner = file.read_text(encoding="utf-8") if file.exists() else str(PROJECT)
    if owner != str(PROJECT):
        raise OtherClone(
            f"On {home} runs the platform of another clone, {owner}. Look at it and stop it there, or set "
            f"PERENNIAL_HOME to a folder of this clone's own.",
            clone=owner,
        )


def installation(settings: EmbeddedSettings) -> str:
    """What the steps of a platform are labelled with, where they run in containers or pods beside others."""
    made = f"perennial-{hashlib.sha256(os.fsencode(settings.home)).hexdigest()[:8]}"
    return settings.installation or made
