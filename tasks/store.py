"""Files of the store, by URL: a local path now, an object-store URL by the same interface."""

import hashlib
import shutil
from pathlib import Path

from upath import UPath


def at(url: str, *parts: str) -> UPath:
    """The place `parts` below `url`."""
    return UPath(url).joinpath(*parts)


def write_text(url: str, *parts: str, text: str) -> str:
    """Write a file and return its URL."""
    path = at(url, *parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return str(path)


def fetch(url: str, to: Path) -> Path:
    """Copy a file of the store to the local path `to`."""
    to.parent.mkdir(parents=True, exist_ok=True)
    with UPath(url).open("rb") as source, to.open("wb") as target:
        shutil.copyfileobj(source, target)
    return to


def sha256(url: str) -> str:
    """The SHA-256 of a file's bytes, hexadecimal."""
    with UPath(url).open("rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
