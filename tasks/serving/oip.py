"""A server of the Open Inference Protocol v2 behind the serving protocol: our own, in containers/inference.

It loads the same archives as TorchServe, from a store of its own that it shares with the steps. It answers a
call that loads or unloads when that is done, so that nothing is polled here.
"""

import time
from pathlib import Path
from typing import Any

from tasks.contracts import Archive, LoadedVersion
from tasks.errors import InvalidSettings, NotLoaded, ServingError, Unreachable
from tasks.serving.backend import ServingBackend
from tasks.serving.oip_api import OipApi
from tasks.serving.replicated import replicated
from tasks.serving.store import ArchiveStore, file_name
from tasks.serving.torchserve_api import response_timeout_seconds
from tasks.settings import separated, settings
from tasks.spec import ServingSpec

READY_SECONDS = 120.0
AGAIN_SECONDS = 0.2
READY = "READY"


class Oip:
    """The versions that one server holds; see `ServingBackend` for what each method does.

    Args:
        ready_seconds: How long a server that does not answer is asked again to load a version.
    """

    def __init__(
        self, url: str, key_file: Path, store: Path, *, ready_seconds: float = READY_SECONDS
    ) -> None:
        self._api = OipApi(url, key_file)
        self._store = ArchiveStore(store)
        self._ready_seconds = ready_seconds

    def register(self, archive: Archive, serving: ServingSpec) -> None:
        """See `ServingBackend.register`."""
        file = self._store.bring(archive)
        try:
            self._load(archive, serving, file)
        except Unreachable:
            raise
        except ServingError as error:
            self._store.drop(file)
            raise ServingError(
                f"{archive.model} {archive.version} could not be loaded by the inference server: "
                f"{error.evidence.get('said', error)} It was removed again; what served before goes on "
                "serving.",
                archive=archive.url,
            ) from error

    def keep(self, archive: Archive, serving: ServingSpec) -> None:
        """See `ServingBackend.keep`."""
        file, record = _noted(archive, serving)
        self._store.note(file, record)

    def fits(self, archive: Archive, serving: ServingSpec) -> bool:
        """See `ServingBackend.fits`."""
        return self._store.has_noted(*_noted(archive, serving))

    def adjust(self, archive: Archive, serving: ServingSpec) -> None:
        """See `ServingBackend.adjust`: the server changes all of them in a version that is loaded."""
        self._api.load(archive.model, _noted(archive, serving)[1])

    def restore(self, archive: Archive) -> None:
        """See `ServingBackend.restore`."""
        if record := self._store.noted(file_name(archive.model, archive.version, archive.sha256)):
            self._api.load(archive.model, record)

    def ready(self, model: str, version: str, sha256: str) -> bool:
        """See `ServingBackend.ready`."""
        try:
            found = self._find(model, version)
        except (NotLoaded, Unreachable):
            return False
        return bool(found["state"] == READY and found["sha256"] == sha256)

    def predict(
        self, model: str, version: str, instance: dict[str, Any], *, timeout_seconds: float
    ) -> dict[str, Any]:
        """See `ServingBackend.predict`."""
        return self._api.predict(model, version, instance, timeout_seconds)

    def scale(self, model: str, version: str, workers: int) -> None:
        """See `ServingBackend.scale`."""
        self._api.load(model, {"version": version, "workers": workers})

    def retire(self, model: str, keep: set[str]) -> list[str]:
        """See `ServingBackend.retire`.

        Records go first, so that a restart in between does not bring a version back.
        """
        leaving = self._store.drop_records(model, keep)
        removed = [each.version for each in self.describe(model) if each.version not in keep]
        for version in removed:
            self._api.unload(model, version)
        for file in leaving:
            self._store.drop(file)
        return removed

    def describe(self, model: str) -> list[LoadedVersion]:
        """See `ServingBackend.describe`."""
        return [_loaded(model, found) for found in self._api.versions(model)]

    def has_archives(self, model: str) -> bool:
        """See `ServingBackend.has_archives`."""
        return self._store.has(model)

    def _load(self, archive: Archive, serving: ServingSpec, file: str) -> None:
        """Ask the server until it answers: it may just be started again."""
        deadline = time.monotonic() + self._ready_seconds
        while True:
            try:
                self._api.load(archive.model, parameters_of(archive, serving, file))
            except Unreachable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(AGAIN_SECONDS)
            else:
                return

    def _find(self, model: str, version: str) -> dict[str, Any]:
        for found in self._api.versions(model):
            if found["version"] == version:
                return found
        raise NotLoaded(f"The inference server does not hold {model} {version}.", status=404)


def parameters_of(archive: Archive, serving: ServingSpec, file: str) -> dict[str, Any]:
    """What the server is told to load; the record says the same."""
    return {
        "version": archive.version,
        "archive": file,
        "sha256": archive.sha256,
        "workers": serving.workers,
        "batch_size": serving.batch_size,
        "timeout_seconds": response_timeout_seconds(serving),
        "idle_seconds": serving.idle_seconds,
        "input_schema": serving.input_schema,
        "label_schema": serving.label_schema,
    }


def _noted(archive: Archive, serving: ServingSpec) -> tuple[str, dict[str, Any]]:
    """The file of an archive in the store, and its record."""
    file = file_name(archive.model, archive.version, archive.sha256)
    return file, {"model": archive.model, **parameters_of(archive, serving, file)}


def oip() -> ServingBackend:
    """The inference server of the settings; of several, all that they name.

    Raises:
        InvalidSettings: They name none.
    """
    chosen = settings()
    urls = separated(chosen.oip_url)
    if not urls:
        raise InvalidSettings("PERENNIAL_OIP_URL is empty. Name the inference server, or remove the setting.")
    return replicated([Oip(url, chosen.oip_keys, chosen.oip_folder) for url in urls])


def _loaded(model: str, found: dict[str, Any]) -> LoadedVersion:
    return LoadedVersion(
        version=found["version"],
        archive=file_name(model, found["version"], found["sha256"]),
        workers=found["workers"],
        ready=found["ready"],
        waiting=found["waiting"],
        asleep=found["asleep"],
        cold_start_seconds=found["cold_start_seconds"],
    )
