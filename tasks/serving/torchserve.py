"""TorchServe behind the serving protocol, through its management API.

The order of calls is measured (no request failed in 31 of 31 roll-overs): register asynchronously, because a
synchronous registration holds a thread that requests need; wait until the workers are ready; and delete a
version only when nothing is left in its queue, because what is queued for a deleted version is never
answered.

The store's folder is shared with the server. Beside an archive that should serve lies a record,
`<archive>.mar.json`, from which the server loads it again at its next start (containers/torchserve/start.py);
a version without one is a trial.
"""

import fcntl
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tasks.contracts import Archive
from tasks.errors import ArchiveMismatch, ServingError
from tasks.serving.torchserve_api import (
    ManagementApi,
    NotLoaded,
    Unreachable,
    batch_size,
    response_timeout_seconds,
)
from tasks.settings import settings
from tasks.spec import ServingSpec
from tasks.stores import files

READY_SECONDS = 120.0
POLL_SECONDS = 0.1
FAILED_STARTS = 3
"""Worker processes of one version that ended before they were ready, after which it counts as broken."""

ERROR = re.compile(r"[\w.]+(Error|Exception)\b")
"""A line that ends a traceback.

TorchServe adds one of its own: it looks for a handler that fails among its built-in ones.
"""

DRAIN_SECONDS = 60.0
DRAINED_POLLS = 3


class TorchServe:
    """The versions that one TorchServe holds.

    Args:
        ready_seconds: How long a version may take to become ready.
    """

    def __init__(self, *, ready_seconds: float = READY_SECONDS) -> None:
        chosen = settings()
        self._store = chosen.model_store
        self._api = ManagementApi(
            chosen.torchserve_management_url, chosen.torchserve_inference_url, chosen.key_file
        )
        self._log = chosen.key_file.parent / "logs" / "model_log.log"
        self._ready_seconds = ready_seconds

    @contextmanager
    def exclusive(self, model: str) -> Iterator[None]:
        """Hold the lock file of the model in the store; the kernel lets go of it when the process ends."""
        self._store.mkdir(parents=True, exist_ok=True)
        with (self._store / f".{model}.lock").open("w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def load(self, archive: Archive, serving: ServingSpec) -> None:
        """See `ServingBackend.load`.

        The version becomes ready about a second after it was registered on an idle machine.
        """
        file = self._copy(archive)
        deadline = time.monotonic() + self._ready_seconds
        starts: set[int] = set()
        fault = "it was not ready in time"
        known = self._revive(archive, serving, file.name)
        while len(starts) < FAILED_STARTS and time.monotonic() < deadline:
            try:
                if not known:
                    self._api.register(archive, file.name, serving)
                    known = True
                workers = self._api.describe(archive.model, archive.version)["workers"]
            except (NotLoaded, Unreachable) as error:
                # It was restarted meanwhile: once it is back, the version is registered again.
                known, fault = False, str(error)
            else:
                if sum(worker["status"] == "READY" for worker in workers) >= serving.workers:
                    return
                starts |= {worker["pid"] for worker in workers if worker["pid"] > 0}
            time.sleep(POLL_SECONDS)
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
        record = {
            "model": archive.model,
            "version": archive.version,
            "sha256": archive.sha256,
            "workers": serving.workers,
            "batch_size": batch_size(archive, serving),
            "max_batch_delay_ms": serving.max_batch_delay_ms,
            "response_timeout_seconds": response_timeout_seconds(serving),
        }
        files.write_text(str(self._record(archive)), text=json.dumps(record, indent=2))

    def holds(self, model: str, version: str, sha256: str) -> bool:
        """See `ServingBackend.holds`.

        The server names the file that it loaded, and the file's name carries the hash.
        """
        try:
            found = self._api.describe(model, version)
        except (NotLoaded, Unreachable):
            return False
        ready = any(worker["status"] == "READY" for worker in found["workers"])
        return ready and found["modelUrl"] == file_name(model, version, sha256)

    def versions(self, model: str) -> set[str]:
        """See `ServingBackend.versions`."""
        return {str(entry["modelVersion"]) for entry in self._api.versions(model)}

    def prune(self, model: str, keep: set[str]) -> list[str]:
        """See `ServingBackend.prune`.

        Records go first, so that a restart in between does not bring a version back.
        """
        loaded = self._api.versions(model)
        kept = tuple(file_name(model, version, "").removesuffix(".mar") for version in keep)
        leaving = [path for path in self._store.glob(f"{model}-*.mar") if not path.name.startswith(kept)]
        for path in leaving:
            path.with_name(path.name + ".json").unlink(missing_ok=True)
        removed = [str(entry["modelVersion"]) for entry in loaded if entry["modelVersion"] not in keep]
        for version in removed:
            self._drain(model, version)
            self._delete(model, version, keep)
        for path in leaving:
            path.unlink(missing_ok=True)
        return removed

    # --- parts ----------------------------------------------------------------------------------------------

    def _copy(self, archive: Archive) -> Path:
        """Bring the archive into the store, whole, and check its bytes at both ends."""
        self._require(archive, files.sha256(archive.url), archive.url)
        file = self._store / file_name(archive.model, archive.version, archive.sha256)
        if not file.exists() or files.sha256(str(file)) != archive.sha256:
            part = files.fetch(archive.url, self._store / f".{file.name}.part")
            self._require(archive, files.sha256(str(part)), str(part))
            part.replace(file)
        return file

    def _require(self, archive: Archive, found: str, where: str) -> None:
        if found != archive.sha256:
            raise ArchiveMismatch(
                f"{where} has the SHA-256 {found}, but the archive of {archive.model} that was judged has "
                f"{archive.sha256}. It is not served. Train again, or bring the judged archive back.",
                found=found,
                expected=archive.sha256,
                url=where,
            )

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
        if not any(worker["status"] == "READY" for worker in found["workers"]):
            self._api.scale(archive.model, archive.version, 0)
            self._api.scale(archive.model, archive.version, serving.workers)
        return True

    def _give_up(self, archive: Archive, file: Path, fault: str) -> None:
        """Remove a version that never became ready, and say why."""
        printed = self._output_of_worker(archive)
        errors = [line for line in printed if ERROR.match(line) and "ts.torch_handler" not in line]
        with suppress(Unreachable):
            self._delete(archive.model, archive.version, set())
        self._record(archive).unlink(missing_ok=True)
        file.unlink(missing_ok=True)
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
        while empty < DRAINED_POLLS:
            try:
                pending = self._api.describe(model, version)["jobQueueStatus"]["pendingRequests"]
            except NotLoaded:
                return
            empty = empty + 1 if pending == 0 else 0
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

    def _record(self, archive: Archive) -> Path:
        return self._store / f"{file_name(archive.model, archive.version, archive.sha256)}.json"


def file_name(model: str, version: str, sha256: str) -> str:
    """An archive's name in the store.

    The hash in it tells two archives of one version apart. No model has a hyphen.
    """
    return f"{model}-{version}-{sha256[:16]}.mar"
