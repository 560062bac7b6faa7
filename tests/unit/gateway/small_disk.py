"""A disk that is full when a test wants it to be."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisk:
    """A file system in memory, of 2 MiB and few files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Let it take no byte more."""
        with self._filler.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                return

    def fill_with_files(self) -> None:
        """Let it take no file more."""
        try:
            for number in range(1000):
                (self.folder / f"filler-{number}").touch()
        except OSError:
            return

    def empty(self) -> None:
        """Give back what the fillers take."""
        for filler in self.folder.glob("filler*"):
            filler.unlink()


@contextmanager
def small_disk() -> Iterator[SmallDisk]:
    """A small disk that every user may enter, until the block ends."""
    with tempfile.TemporaryDirectory(prefix="perennial-disk-") as name:
        folder = Path(name)
        mount = ["mount", "-t", "tmpfs", "-o", "size=2m,nr_inodes=32,mode=0755", "tmpfs", name]
        if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
            pytest.skip("a file system cannot be mounted here, so there is no disk to fill")
        try:
            yield SmallDisk(folder)
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)
