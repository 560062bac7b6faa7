"""What could not be found, and why: a record that is missing is told, and the rest is told too."""

from collections.abc import Callable
from typing import TypeVar

from tasks.errors import PerennialError

Found = TypeVar("Found")


class Notes(list[str]):
    """Sentences."""

    def unless_missing(self, what: str, find: Callable[[], Found]) -> Found | None:
        """What `find` gives; where it fails, None and a note of why."""
        try:
            return find()
        except PerennialError as error:
            self.append(f"{what}: {error}")
            return None
