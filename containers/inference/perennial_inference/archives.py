"""Archives of the store: checked, unpacked, and the records of those that are loaded at each start."""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from perennial_inference.faults import Refused

NAMES = {"model", "version", "archive", "sha256"}


@dataclass(frozen=True)
class Order:
    """Which archive to load, and how: what the call that loads it says, and what a record holds.

    Attributes:
        archive: The file's bare name in the store.
        workers: Processes that run the version.
        batch_size: The most requests that a worker gets at once, and instances in one call of the handler.
        timeout_seconds: A request that waits longer is answered with 504; a worker that is silent for so long
            is replaced.
        idle_seconds: After so long without a request no worker runs until the next one; None for never.
        input_schema, label_schema: JSON Schemas of an instance and of a label: they say what the tensors are.
    """

    model: str
    version: str
    archive: str
    sha256: str
    workers: int = 1
    batch_size: int = 8
    timeout_seconds: float = 11
    idle_seconds: float | None = None
    input_schema: dict[str, Any] = field(default_factory=dict)
    label_schema: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> "Order":
        """Of a record or of a call's parameters, whose schemas may be JSON texts.

        Raises:
            Refused: 400; the sentence names the field.
        """
        given = {name: _plain(name, value) for name, value in document.items()}
        unknown = sorted(set(given) - set(cls.__dataclass_fields__))
        missing = sorted(NAMES - set(given))
        if unknown or missing:
            raise Refused(400, f"Unknown parameters: {unknown}; missing: {missing}.")
        for name, value in given.items():
            if not _is_sound(name, value):
                raise Refused(400, f"The parameter {name} is {value!r}, which it cannot be.")
        if Path(given["archive"]).name != given["archive"]:
            raise Refused(400, f"The archive {given['archive']!r} is not a bare file name of the store.")
        return cls(**given)

    @property
    def key(self) -> tuple[str, str]:
        return self.model, self.version

    def parameters(self) -> dict[str, Any]:
        """Everything but the model, as a call has it."""
        return {name: value for name, value in asdict(self).items() if name != "model"}


def _plain(name: str, value: Any) -> Any:
    if name.endswith("_schema") and isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError as error:
            raise Refused(400, f"The parameter {name} is not JSON: {error}.") from error
    return value


def _is_sound(name: str, value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name.endswith("_schema"):
        return isinstance(value, dict)
    if name == "idle_seconds":
        return value is None or (number and value > 0)
    if name == "workers":
        return type(value) is int and 0 <= value <= 1000
    if name == "batch_size":
        return type(value) is int and value >= 1
    if name == "timeout_seconds":
        return number and value > 0
    return isinstance(value, str) and bool(value)


def unpack(order: Order, store: Path, scratch: Path) -> Path:
    """Check an archive's bytes and unpack it; the folder that it lies in. Nothing of it has run.

    Hashed and unpacked through one open file, so that nobody changes it in between.

    Raises:
        Refused: 404, 409 or 400; the archive is not there, not the one that was named, or none.
    """
    path = store / order.archive
    folder = scratch / f"{order.model}-{order.version}-{order.sha256[:16]}"
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != order.sha256:
                raise Refused(
                    409, f"{order.archive} has the SHA-256 {found}, not {order.sha256}. It is not loaded."
                )
            shutil.rmtree(folder, ignore_errors=True)
            file.seek(0)
            with zipfile.ZipFile(file) as packed:
                packed.extractall(folder)
    except FileNotFoundError as error:
        raise Refused(404, f"The store has no archive {order.archive}.") from error
    except zipfile.BadZipFile as error:
        raise Refused(400, f"{order.archive} is no archive: {error}.") from error
    _require_manifest(order, folder)
    return folder


def _require_manifest(order: Order, folder: Path) -> None:
    try:
        manifest = json.loads((folder / "MAR-INF" / "MANIFEST.json").read_text(encoding="utf-8"))["model"]
        told = (str(manifest["modelName"]), str(manifest["modelVersion"]))
        manifest["handler"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(400, f"The manifest of {order.archive} cannot be read: {error!r}.") from error
    if told != order.key:
        raise Refused(
            400, f"{order.archive} is of {told[0]} {told[1]}, not of {order.model} {order.version}."
        )


def records(store: Path) -> Iterator[Order]:
    """What is to be loaded at a start: the records beside the archives, those that cannot be read told."""
    for path in sorted(store.glob("*.mar.json")):
        try:
            yield Order.read(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, Refused) as error:
            print(f"{path} cannot be read ({error}). The version is not loaded; deploy it again.", flush=True)


def empty(folder: Path) -> None:
    """Remove what a killed server left."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
