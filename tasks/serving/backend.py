"""What the platform needs of a serving backend, and which backend a model has.

A backend holds several versions of a model at once, each at an address of its own; which of them answers
users is the gateway's route alone. So a version is registered and tried beside the serving one, a switch
touches nothing here, and the version before stays loaded for an instant way back.

Every method may be called again after a crash, of the caller or of the backend, and then does what is left to
do. `exclusive` keeps two deployments of one model apart; the methods themselves do not.
"""

import fcntl
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, get_args

from tasks.contracts import Archive, LoadedVersion, Route
from tasks.settings import settings
from tasks.spec import ServingBackendName, ServingSpec


class ServingBackend(Protocol):
    """A server, or several that hold the same versions. tests/services/test_serving_backends.py is its
    conformance suite: an implementation that passes it can be put into `serving_backend`.
    """

    def register(self, archive: Archive, serving: ServingSpec) -> None:
        """Load an archive's version beside the others; return when all its workers can answer.

        The bytes are checked against the archive's sha256 before any of them runs. A version that is loaded
        already is left as it is, and brought to life again where its workers are gone; one of the same name
        from another archive is replaced. It is a trial: a restart of the backend forgets it until `keep`.

        Raises:
            ArchiveMismatch: The archive's bytes do not have its sha256; nothing was loaded.
            ServingError: It did not become ready; it was removed again, and the message says what its worker
                said.
        """

    def keep(self, archive: Archive, serving: ServingSpec) -> None:
        """Note that a registered version is to be there after a restart of the backend too, with the workers
        of the specification. It asks no server, and noting it twice is noting it once.
        """

    def fits(self, archive: Archive, serving: ServingSpec) -> bool:
        """Whether the version is kept with the settings of the specification, wherever it is to be loaded."""

    def adjust(self, archive: Archive, serving: ServingSpec) -> None:
        """Give a loaded version the settings of the specification while it goes on answering; what a backend
        can only set when it loads a version, it has from its next start on, by the record of `keep`.

        Raises:
            ServingError: Its workers do not start; those that it had go on.
        """

    def restore(self, archive: Archive) -> None:
        """Give a loaded version the settings of its record again: what `adjust` gave it did not do.

        Raises:
            ServingError: The backend does not answer, or the version's workers do not start.
        """

    def ready(self, model: str, version: str, sha256: str) -> bool:
        """Whether the version is loaded, of the archive with that sha256, and can answer now.

        False, and no error, where the backend does not answer.
        """

    def predict(
        self, model: str, version: str, instance: dict[str, Any], *, timeout_seconds: float
    ) -> dict[str, Any]:
        """The handler's whole answer to one instance; past the gateway, for trials.

        Raises:
            ServingError: It is not loaded, has no worker, refuses the instance, or does not answer within the
                timeout.
        """

    def scale(self, model: str, version: str, workers: int) -> None:
        """Have so many workers run a loaded version, on each server that holds it; return when they do.

        With 0 it stays loaded and answers nothing until it is scaled again. Where a worker is taken away,
        TorchServe may answer the request that it works on with 500, which the gateway asks again. A restart
        has the number of `keep` again.

        Raises:
            ServingError: It is not loaded, or its workers do not start.
        """

    def retire(self, model: str, keep: set[str]) -> list[str]:
        """Remove every version of the model but `keep`, each after what waits in its queue is answered, with
        its record and its archive; return what was removed. A restart in between brings none of them back.

        Call it when the gateway counts no request under way to these versions: TorchServe does not tell which
        one a worker has, and never answers it then. With nothing to remove, nothing happens.

        Raises:
            ServingError: The backend does not answer, or requests do not end.
        """

    def describe(self, model: str) -> list[LoadedVersion]:
        """Every version of the model that is loaded, trials among them; none for a model that is not known.

        Raises:
            ServingError: The backend does not answer.
        """

    def has_archives(self, model: str) -> bool:
        """Whether its store has an archive of the model. It asks no server."""


def serving_backend(name: ServingBackendName) -> ServingBackend:
    """The backend of that name, at the addresses of the settings.

    Raises:
        InvalidSettings: The settings name no address, or not one of each kind for each server.
    """
    from tasks.serving.oip import oip
    from tasks.serving.torchserve import torchserve

    return {"torchserve": torchserve, "oip": oip}[name]()


@contextmanager
def exclusive(model: str) -> Iterator[None]:
    """Hold the model's versions, in whichever backend, for one deployment at a time.

    It is a lock file; the kernel lets go of it when the process ends, however it ends.
    """
    with _locked(f".{model}.lock"):
        yield


@contextmanager
def loading(model: str) -> Iterator[None]:
    """Load one version of the model at a time, whoever holds its versions meanwhile: a rollback to a version
    that is loaded waits for no load. Who holds the versions may wait for this, never the other way round.
    """
    with _locked(f".{model}.loading.lock"):
        yield


@contextmanager
def _locked(name: str) -> Iterator[None]:
    folder = settings().model_store
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def retire_all_but(
    model: str, keep: Mapping[ServingBackendName, set[str]], busy: Collection[str] = ()
) -> list[str]:
    """Remove the versions that no route needs, from every backend that may hold one; see
    `ServingBackend.retire`.

    Args:
        busy: Versions that requests are under way to, whichever backend holds them: they stay.

    A backend that the model has left is asked last, and only while its store has archives of the model: so a
    server that nobody needs any more may be switched off.
    """
    removed: list[str] = []
    for name in sorted(get_args(ServingBackendName), key=lambda name: name not in keep):
        backend = serving_backend(name)
        if name in keep or backend.has_archives(model):
            removed += backend.retire(model, keep.get(name, set()).union(busy))
    return removed


def loaded_versions(
    model: str, certain: Iterable[ServingBackendName] = ()
) -> list[tuple[ServingBackendName, str]]:
    """The versions that the backends hold, each with its backend's name, as `retire_all_but` finds them."""
    backends = {name: serving_backend(name) for name in get_args(ServingBackendName)}
    asked = {name: each for name, each in backends.items() if name in certain or each.has_archives(model)}
    return [(name, found.version) for name, each in asked.items() for found in each.describe(model)]


def versions_of(routes: Iterable[Route | None]) -> dict[ServingBackendName, set[str]]:
    """The versions that routes lead to, by their backend."""
    kept: dict[ServingBackendName, set[str]] = {}
    for route in routes:
        if route is not None:
            kept.setdefault(route.backend, set()).add(route.backend_version)
    return kept
