"""The folder of archives that a backend's servers share with the steps that deploy.

Beside an archive that should serve lies a record, `<archive>.mar.json`, from which a server loads it again at
its next start; a version without one is a trial.
"""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from tasks.contracts import Archive
from tasks.errors import ArchiveMismatch
from tasks.stores import files


class ArchiveStore:
    """One such folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def bring(self, archive: Archive) -> str:
        """Bring the archive here, whole, and check its bytes at both ends; its file's name.

        Raises:
            ArchiveMismatch: The bytes do not have its sha256.
        """
        _require(archive, files.sha256(archive.url), archive.url)
        name = file_name(archive.model, archive.version, archive.sha256)
        file = self._folder / name
        if not file.exists() or files.sha256(str(file)) != archive.sha256:
            self._folder.mkdir(parents=True, exist_ok=True)
            part = files.fetch(archive.url, self._folder / f".{name}.part")
            _require(archive, files.sha256(str(part)), str(part))
            part.replace(file)
        return name

    def note(self, name: str, record: dict[str, Any]) -> None:
        """Write the record of an archive."""
        files.write_text(str(self._record(name)), text=json.dumps(record, indent=2))

    def has_noted(self, name: str, record: dict[str, Any]) -> bool:
        """Whether the record of an archive says just this."""
        return bool(self.noted(name) == json.loads(json.dumps(record)))

    def noted(self, name: str) -> dict[str, Any] | None:
        """The record of an archive; None where there is none that can be read."""
        try:
            found: dict[str, Any] = json.loads(self._record(name).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return found

    def drop(self, name: str) -> None:
        """Remove a record, then its archive."""
        self._record(name).unlink(missing_ok=True)
        (self._folder / name).unlink(missing_ok=True)

    def drop_records(self, model: str, keep: Collection[str]) -> list[str]:
        """Remove the records of all versions but `keep`; the names of their archives, which stay."""
        kept = tuple(file_name(model, version, "").removesuffix(".mar") for version in keep)
        leaving = [
            path.name for path in self._folder.glob(f"{model}-*.mar") if not path.name.startswith(kept)
        ]
        for name in leaving:
            self._record(name).unlink(missing_ok=True)
        return leaving

    def has(self, model: str) -> bool:
        """Whether an archive of the model is here."""
        return any(self._folder.glob(f"{model}-*.mar"))

    def _record(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def _require(archive: Archive, found: str, where: str) -> None:
    if found != archive.sha256:
        raise ArchiveMismatch(
            f"{where} has the SHA-256 {found}, but the archive of {archive.model} that was judged has "
            f"{archive.sha256}. It is not served. Train again, or bring the judged archive back.",
            found=found,
            expected=archive.sha256,
            url=where,
        )


def file_name(model: str, version: str, sha256: str) -> str:
    """An archive's name in the store.

    The hash in it tells two archives of one version apart. No model has a hyphen.
    """
    return f"{model}-{version}-{sha256[:16]}.mar"
