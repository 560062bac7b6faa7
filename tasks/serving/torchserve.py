"""TorchServe behind the serving protocol, through its management API.

The order of calls is measured (no request failed in 31 of 31 roll-overs): register asynchronously, because a
synchronous registration holds a thread that requests need; wait until the workers are ready; and delete a
version only when nothing is left in its queue, because what is queued for a deleted version is never
answered.
"""

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from tasks.contracts import Archive, LoadedVersion
from tasks.errors import InvalidSettings, NotLoaded, ServingError, Unreachable
from tasks.serving.backend import ServingBackend
from tasks.serving.replicated import replicated
from tasks.serving.store import ArchiveStore, file_name
from tasks.serving.torchserve_api import (
    ManagementApi,
    batch_size,
    response_timeout_seconds,
)
from tasks.settings import separated, settings
from tasks.spec import ServingSpec

READY_SECONDS = 120.0
POLL_SECONDS = 0.1
FIRST_POLL_SECONDS = 0.01
"""A worker is usually there in a tenth of a second; who waits longer asks less and less often."""
FAILED_STARTS = 3
"""Worker processes of one version that ended before they were ready, after which it counts as broken."""

ERROR = re.compile(r"[\w.]+(Error|Exception)\b")
"""A line that ends a traceback.

TorchServe adds one of its own: it looks for a handler that fails among its built-in ones.
"""

DRAIN_SECONDS = 60.0
DRAINED_POLLS = 3


class TorchServe:
    """The versions that one TorchServe holds; see `ServingBackend` for what each method does.

    Args:
        key_file: Where this server writes its tokens; its logs are beside it.
        ready_seconds: How long a version may take to become ready.
    """

    def __init__(
        self,
        management_url: str,
        inference_url: str,
        key_file: Path,
        store: Path,
        *,
        ready_seconds: float = READY_SECONDS,
    ) -> None:
        self._store = ArchiveStore(store)
        self._api = ManagementApi(management_url, inference_url, key_file)
        self._log = key_file.parent / "logs" / "model_log.log"
        self._ready_seconds = ready_seconds

    def register(self, archive: Archive, serving: ServingSpec) -> None:
        """See `ServingBackend.register`.

        The version becomes ready about a second after it was registered on an idle machine.
        """
        file = self._store.bring(archive)
        deadline = time.monotonic() + self._ready_seconds
        starts: set[int] = set()
        fault = "it was not ready in time"
        known, pauses = self._revive(archive, serving, file), _pauses()
        while len(starts) < FAILED_STARTS and time.monotonic() < deadline:
            try:
                if not known:
                    self._api.register(archive, file, serving)
                    known = True
                workers = self._api.describe(archive.model, archive.version)["workers"]
            except (NotLoaded, Unreachable) as error:
                # It was restarted meanwhile: once it is back, the version is registered again.
                known, fault = False, str(error)
            else:
                if sum(worker["status"] == "READY" for worker in workers) >= serving.workers:
                    return
                starts |= {worker["pid"] for worker in workers if worker["pid"] > 0}
            time.sleep(next(pauses))
        if len(starts) >= FAILED_STARTS:
            fault = "its workers end while they start"
        self._give_up(archive, file, fault)

    def predict(
        self, model: str, version: str, instance: dict[str, Any], *, timeout_seconds: float
    ) -> dict[str, Any]:
        """See `ServingBackend.predict`."""
        return self._api.predict(model, version, instance, timeout_seconds)

    def keep(self, archive: Archive, serving: ServingSpec) -> None:
        """See `ServingBackend.keep`."""
        self._store.note(*_noted(archive, serving))

    def fits(self, archive: Archive, serving: ServingSpec) -> bool:
        """See `ServingBackend.fits`."""
        return self._store.has_noted(*_noted(archive, serving))

    def adjust(self, archive: Archive, serving: ServingSpec) -> None:
        """See `ServingBackend.adjust`: of a loaded version TorchServe changes the workers alone."""
        if len(self._api.describe(archive.model, archive.version)["workers"]) != serving.workers:
            self.scale(archive.model, archive.version, serving.workers)

    def restore(self, archive: Archive) -> None:
        """See `ServingBackend.restore`."""
        if record := self._store.noted(file_name(archive.model, archive.version, archive.sha256)):
            self.scale(archive.model, archive.version, record["workers"])

    def ready(self, model: str, version: str, sha256: str) -> bool:
        """See `ServingBackend.ready`.

        The server names the file that it loaded, and the file's name carries the hash.
        """
        try:
            found = self._api.describe(model, version)
        except (NotLoaded, Unreachable):
            return False
        return _ready(found) > 0 and found["modelUrl"] == file_name(model, version, sha256)

    def scale(self, model: str, version: str, workers: int) -> None:
        """See `ServingBackend.scale`."""
        self._api.scale(model, version, workers)
        deadline, pauses = time.monotonic() + self._ready_seconds, _pauses()
        while not _has(self._api.describe(model, version), workers):
            if time.monotonic() > deadline:
                raise ServingError(
                    f"{model} {version} did not get {workers} workers within {self._ready_seconds:g} s. "
                    f"Look into {self._log}."
                )
            time.sleep(next(pauses))

    def describe(self, model: str) -> list[LoadedVersion]:
        """See `ServingBackend.describe`."""
        return [_loaded(entry) for entry in self._api.versions(model)]

    def has_archives(self, model: str) -> bool:
        """See `ServingBackend.has_archives`."""
        return self._store.has(model)

    def retire(self, model: str, keep: set[str]) -> list[str]:
        """See `ServingBackend.retire`.

        Records go first, so that a restart in between does not bring a version back.
        """
        loaded = self._api.versions(model)
        leaving = self._store.drop_records(model, keep)
        removed = [str(entry["modelVersion"]) for entry in loaded if entry["modelVersion"] not in keep]
        for version in removed:
            self._drain(model, version)
            self._delete(model, version, keep)
        for name in leaving:
            self._store.drop(name)
        return removed

    # --- parts ----------------------------------------------------------------------------------------------

    def _revive(self, archive: Archive, serving: ServingSpec, file: str) -> bool:
        """Whether an earlier try, killed in between, had registered the version.

        Of another archive with the same version it is removed. Where no worker is ready they are started
        anew: TorchServe itself gives up for good after some minutes.
        """
        try:
            found = self._api.describe(archive.model, archive.version)
        except (NotLoaded, Unreachable):
            return False
        if found["modelUrl"] != file:
            self._drain(archive.model, archive.version)
            self._delete(archive.model, archive.version, set())
            return False
        if not _ready(found):
            self._api.scale(archive.model, archive.version, 0)
            self._api.scale(archive.model, archive.version, serving.workers)
        return True

    def _give_up(self, archive: Archive, file: str, fault: str) -> None:
        """Remove a version that never became ready, and say why."""
        printed = self._output_of_worker(archive)
        errors = [line for line in printed if ERROR.match(line) and "ts.torch_handler" not in line]
        with suppress(Unreachable):
            self._delete(archive.model, archive.version, set())
        self._store.drop(file)
        said = (
            f"Its worker printed: {'; '.join(dict.fromkeys(errors))}."
            if errors
            else f"Look into {self._log}."
        )
        raise ServingError(
            f"{archive.model} {archive.version} could not be loaded by TorchServe: {fault}. {said} It was "
            "removed again; what served before goes on serving.",
            model_log=printed[-60:],
            archive=archive.url,
        )

    def _output_of_worker(self, archive: Archive) -> list[str]:
        """What the version's worker printed lately, where the server's folder is on this machine."""
        name = f"-{archive.model}_{archive.version}"
        with suppress(OSError):
            lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-2000:]
            return [
                line.split("MODEL_LOG - ", 1)[1] for line in lines if name in line and "MODEL_LOG - " in line
            ]
        return []

    def _drain(self, model: str, version: str) -> None:
        """Return when the version's queue was seen empty several times in a row.

        Raises:
            ServingError: It was not, within `DRAIN_SECONDS`.
        """
        deadline, empty = time.monotonic() + DRAIN_SECONDS, 0
        while True:
            try:
                pending = self._api.describe(model, version)["jobQueueStatus"]["pendingRequests"]
            except NotLoaded:
                return
            empty = empty + 1 if pending == 0 else 0
            if empty == DRAINED_POLLS:
                return
            if time.monotonic() > deadline:
                raise ServingError(
                    f"{model} {version} still has {pending} requests in its queue after {DRAIN_SECONDS:g} s."
                )
            time.sleep(POLL_SECONDS)

    def _delete(self, model: str, version: str, keep: set[str]) -> None:
        """Unregister a version.

        TorchServe refuses that for its default, so that another one becomes it first.
        """
        others = {str(entry["modelVersion"]) for entry in self._api.versions(model)} - {version}
        if others:
            self._api.set_default(model, min(others & keep or others))
        self._api.delete(model, version)


def _noted(archive: Archive, serving: ServingSpec) -> tuple[str, dict[str, Any]]:
    """The file of an archive in the store, and its record."""
    return file_name(archive.model, archive.version, archive.sha256), {
        "model": archive.model,
        "version": archive.version,
        "sha256": archive.sha256,
        "workers": serving.workers,
        "batch_size": batch_size(archive, serving),
        "max_batch_delay_ms": serving.max_batch_delay_ms,
        "response_timeout_seconds": response_timeout_seconds(serving),
    }


def torchserve() -> ServingBackend:
    """The TorchServe of the settings; of several, all that they name.

    Raises:
        InvalidSettings: There is not one address of each kind, and one key file, for each server.
    """
    chosen = settings()
    named: list[list[Any]] = [
        separated(chosen.torchserve_management_url),
        separated(chosen.torchserve_inference_url),
        chosen.key_files,
    ]
    if not named[0] or len({len(each) for each in named}) != 1:
        raise InvalidSettings(
            "PERENNIAL_TORCHSERVE_MANAGEMENT_URL, PERENNIAL_TORCHSERVE_INFERENCE_URL and "
            f"PERENNIAL_TORCHSERVE_KEY_FILE name {', '.join(str(len(each)) for each in named)} servers. Let "
            "each name the same ones, comma-separated and in the same order."
        )
    servers = [
        TorchServe(management, inference, key_file, chosen.model_store)
        for management, inference, key_file in zip(*named, strict=True)
    ]
    return replicated(servers)


def _pauses() -> Iterator[float]:
    pause = FIRST_POLL_SECONDS
    while True:
        yield pause
        pause = min(pause * 1.5, POLL_SECONDS)


def _ready(entry: dict[str, Any]) -> int:
    return sum(worker["status"] == "READY" for worker in entry["workers"])


def _has(entry: dict[str, Any], workers: int) -> bool:
    """Whether a version has so many workers, all of them ready."""
    return _ready(entry) == len(entry["workers"]) == workers


def _loaded(entry: dict[str, Any]) -> LoadedVersion:
    return LoadedVersion(
        version=str(entry["modelVersion"]),
        archive=str(entry["modelUrl"]),
        workers=int(entry["minWorkers"]),
        ready=_ready(entry),
        waiting=int(entry["jobQueueStatus"]["pendingRequests"]),
    )
