"""What a deployment needs of a serving backend.

A backend holds several versions of a model at once, each at an address of its own; which of them answers
users is the gateway's route alone. So a version is loaded and tried beside the serving one, a switch touches
nothing here, and the version before stays loaded for an instant way back.
"""

from contextlib import AbstractContextManager
from typing import Any, Protocol

from tasks.contracts import Archive
from tasks.serving.torchserve import TorchServe
from tasks.settings import settings
from tasks.spec import ServingSpec


class ServingBackend(Protocol):
    """A backend; every method may be called again after a crash, and then does what is left to do."""

    def exclusive(self, model: str) -> AbstractContextManager[None]:
        """Hold the model's versions for one deployment at a
        time; let go when the process ends, however it ends.
        """

    def load(self, archive: Archive, serving: ServingSpec) -> None:
        """Load an archive's version beside the others and return when it is ready to answer.

        Raises:
            ArchiveMismatch: The archive's bytes do not have its sha256; nothing was loaded.
            ServingError: It did not become ready; it was removed again.
        """

    def predict(
        self, model: str, version: str, instance: dict[str, Any], *, timeout_seconds: float
    ) -> dict[str, Any]:
        """The answer of one loaded version.

        Raises:
            ServingError: It is not loaded, or does not answer within the timeout.
        """

    def keep(self, archive: Archive, serving: ServingSpec) -> None:
        """Note that a loaded version is to be there after a restart of the backend too."""

    def holds(self, model: str, version: str, sha256: str) -> bool:
        """Whether the version is loaded, ready, and of the archive with that sha256."""

    def versions(self, model: str) -> set[str]:
        """Every version of the model that is loaded."""

    def prune(self, model: str, keep: set[str]) -> list[str]:
        """Remove every version but `keep`, each after its last request is
        answered; return what was removed.
        """


def serving_backend() -> ServingBackend:
    """The backend that the settings name."""
    return {"torchserve": TorchServe}[settings().serving_backend]()
