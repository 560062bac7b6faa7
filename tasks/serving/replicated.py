"""Several servers of one kind that hold the same versions, as one backend."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tasks.contracts import Archive, LoadedVersion
from tasks.errors import InvalidSettings, ServingError, Unreachable
from tasks.serving.backend import ServingBackend
from tasks.serving.replica_count import fault_of_replicas
from tasks.spec import ServingSpec

T = TypeVar("T")


def replicated(servers: Sequence[ServingBackend]) -> ServingBackend:
    """One backend of these servers."""
    return servers[0] if len(servers) == 1 else Replicated(servers)


class Replicated:
    """The same versions on the first `replicas` of several servers, all of them where the model says nothing.

    See `ServingBackend` for what each method does. A server that does not answer keeps no version from being
    registered elsewhere, tried or retired while another one answers: it finds the records when it is back.
    """

    def __init__(self, servers: Sequence[ServingBackend]) -> None:
        self._servers = servers

    def register(self, archive: Archive, serving: ServingSpec) -> None:
        """See `ServingBackend.register`.

        Raises:
            InvalidSettings: The model wants more replicas than there are servers.
        """
        self._ask(self._chosen(serving), lambda server: server.register(archive, serving))

    def keep(self, archive: Archive, serving: ServingSpec) -> None:
        """See `ServingBackend.keep`."""
        for server in self._chosen(serving):
            server.keep(archive, serving)

    def fits(self, archive: Archive, serving: ServingSpec) -> bool:
        """See `ServingBackend.fits`: the record, and each chosen server that answers holds the version."""
        chosen = self._chosen(serving)
        fit = all(server.fits(archive, serving) for server in chosen)
        return fit and not any(self._lacks(server, archive) for server in chosen)

    def adjust(self, archive: Archive, serving: ServingSpec) -> None:
        """See `ServingBackend.adjust`; a chosen server that does not hold the version yet loads it."""

        def bring(server: ServingBackend) -> None:
            change = server.register if self._lacks(server, archive) else server.adjust
            change(archive, serving)

        self._ask(self._chosen(serving), bring)

    def restore(self, archive: Archive) -> None:
        """See `ServingBackend.restore`; on each server that holds the version."""
        self._ask(self._holding(archive.model, archive.version), lambda server: server.restore(archive))

    def ready(self, model: str, version: str, sha256: str) -> bool:
        """See `ServingBackend.ready`: one server that can answer is enough."""
        return any(server.ready(model, version, sha256) for server in self._servers)

    def predict(
        self, model: str, version: str, instance: dict[str, Any], *, timeout_seconds: float
    ) -> dict[str, Any]:
        """See `ServingBackend.predict`; the first server that holds the version and answers."""
        holding = self._holding(model, version)
        return self._ask(
            holding[:1],
            lambda server: server.predict(model, version, instance, timeout_seconds=timeout_seconds),
        )[0]

    def scale(self, model: str, version: str, workers: int) -> None:
        """See `ServingBackend.scale`."""
        self._ask(self._holding(model, version), lambda server: server.scale(model, version, workers))

    def retire(self, model: str, keep: set[str]) -> list[str]:
        """See `ServingBackend.retire`."""
        removed = self._ask(self._servers, lambda server: server.retire(model, keep))
        return sorted({version for each in removed for version in each})

    def describe(self, model: str) -> list[LoadedVersion]:
        """See `ServingBackend.describe`; the workers of all servers together."""
        merged: dict[str, LoadedVersion] = {}
        for found in (
            each for told in self._ask(self._servers, lambda s: s.describe(model)) for each in told
        ):
            known = merged.get(found.version)
            merged[found.version] = _together(known, found) if known else found
        return list(merged.values())

    def has_archives(self, model: str) -> bool:
        """See `ServingBackend.has_archives`."""
        return any(server.has_archives(model) for server in self._servers)

    def _chosen(self, serving: ServingSpec) -> Sequence[ServingBackend]:
        if fault := fault_of_replicas(serving, len(self._servers)):
            raise InvalidSettings(fault)
        return self._servers[: serving.replicas]

    def _lacks(self, server: ServingBackend, archive: Archive) -> bool:
        """Whether a server that answers does not hold the version."""
        try:
            return all(each.version != archive.version for each in server.describe(archive.model))
        except Unreachable:
            return False

    def _holding(self, model: str, version: str) -> list[ServingBackend]:
        holding = []
        for server in self._servers:
            try:
                holding += [server] if any(each.version == version for each in server.describe(model)) else []
            except Unreachable:
                continue
        if not holding:
            raise ServingError(f"No server that answers holds {model} {version}.")
        return holding

    def _ask(self, servers: Sequence[ServingBackend], what: Callable[[ServingBackend], T]) -> list[T]:
        """What those say that answer.

        Raises:
            Unreachable: None does.
        """
        told, faults = [], []
        for server in servers:
            try:
                told.append(what(server))
            except Unreachable as error:
                faults.append(error)
        if not told and faults:
            raise faults[0]
        return told


def _together(one: LoadedVersion, other: LoadedVersion) -> LoadedVersion:
    return one.model_copy(
        update={
            "workers": one.workers + other.workers,
            "ready": one.ready + other.ready,
            "waiting": one.waiting + other.waiting,
            "asleep": one.asleep and other.asleep,
            "cold_start_seconds": max(
                (each.cold_start_seconds for each in (one, other) if each.cold_start_seconds is not None),
                default=None,
            ),
        }
    )
