"""Databases that are made or upgraded all at once: the tool works
on a copy, which takes the original's place when it is done.

Airflow's and MLflow's own migrations are not transactional on SQLite: killed midway, they leave a database
that neither the service nor the next migration can use.
"""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from embedded.settings import EmbeddedSettings
from tasks.stores.files import write_text


@dataclass(frozen=True)
class Migration:
    """One database and what makes it.

    Attributes:
        name: The program that migrates `copy`, and that the services wait for.
        version: Of the package whose schema it is.
    """

    name: str
    database: Path
    version: str

    @property
    def copy(self) -> Path:
        return self.database.with_suffix(".migrating")

    @property
    def stamp(self) -> Path:
        return self.database.with_suffix(".version")

    def is_needed(self) -> bool:
        """Whether another version made the database, or none;
        asking the tools themselves costs seconds of imports.
        """
        made_by = self.stamp.read_text(encoding="utf-8") if self.stamp.exists() else None
        return made_by != self.version or not self.database.exists()

    def begin(self) -> None:
        """Lay out the copy; nothing where there is no database yet."""
        for leftover in self.copy.parent.glob(f"{self.copy.name}*"):
            leftover.unlink()
        if self.database.exists():
            with (
                closing(sqlite3.connect(self.database)) as source,
                closing(sqlite3.connect(self.copy)) as target,
            ):
                source.backup(target)

    def finish(self) -> None:
        """Put the migrated copy in the original's place, with what its write-ahead log still holds."""
        with closing(sqlite3.connect(self.copy)) as migrated:
            migrated.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for log in self.database.parent.glob(f"{self.database.name}-*"):
            log.unlink()
        self.copy.replace(self.database)
        write_text(str(self.stamp), text=self.version)


def version_of(settings: EmbeddedSettings, environment: str, distribution: str) -> str:
    """The name and version of a package that another environment holds, without starting its interpreter."""
    found = settings.environments.glob(f"{environment}/lib/python*/site-packages/{distribution}-*.dist-info")
    return next((path.stem for path in found), f"{distribution}-unknown")
