"""The files of a serving image: one promoted version, from which the image serves without a platform.

They lie in a tar as they lie below /opt/perennial/model in the image: the archive and its record in `store/`,
from which our inference server loads it, and `version.json`, which says what it is and what it answered when
it was judged.
"""

import io
import json
import tarfile
import tempfile
from pathlib import Path
from typing import BinaryIO

from tasks.contracts import ModelVersion
from tasks.errors import ArchiveMismatch
from tasks.ledger import precedent
from tasks.release.switch import example_of
from tasks.serving.oip import parameters_of
from tasks.settings import settings
from tasks.spec import PipelineSpec
from tasks.stores import files, registry

MODE = 0o644
STORE = "store"


def write_image_files(model: str, number: str, target: BinaryIO) -> ModelVersion:
    """Write the tar of a version, and return the version.

    Nothing in it tells when it was made, so that the same version gives the same bytes.

    Raises:
        InvalidRequest: The model has no such version.
        GateRefused: The gate did not promote this version's archive.
        ArchiveMismatch: The archive is not the one that was judged.
    """
    version = registry.named_version(model, number)
    promotion = precedent.promotion_of_version(version)
    spec = PipelineSpec.load(settings().models / model / "pipeline.yaml")
    archive, file = version.archive, f"{model}-{version.version}.mar"
    with tempfile.TemporaryDirectory(prefix="perennial-image-") as folder:
        local = files.fetch(archive.url, Path(folder) / file)
        _require_judged(version, local)
        with tarfile.open(fileobj=target, mode="w|") as tar:
            _add(tar, f"{STORE}/{file}.json", _json(record_of(version, spec, file)))
            _add(tar, "version.json", _json(told_of(version, spec, promotion.entry_hash)))
            member = tarfile.TarInfo(f"{STORE}/{file}")
            member.size, member.mode = local.stat().st_size, MODE
            with local.open("rb") as content:
                tar.addfile(member, content)
    return version


def record_of(version: ModelVersion, spec: PipelineSpec, file: str) -> dict[str, object]:
    """What our inference server loads at its start. It keeps its workers there: who runs such an image has a
    scale to zero of their own.
    """
    parameters = parameters_of(version.archive, spec.serving, file)
    return {"model": version.model, **parameters, "idle_seconds": None}


def told_of(version: ModelVersion, spec: PipelineSpec, promotion: str) -> dict[str, object]:
    """What the image says of itself, and what its version has to answer.

    Args:
        promotion: The hash of the ledger's entry in which the gate promoted it.
    """
    archive = version.archive
    return {
        "model": version.model,
        "model_version": version.version,
        "run_id": version.run_id,
        "version": archive.version,
        "archive_sha256": archive.sha256,
        "promoted_by": promotion,
        "example": example_of(version, spec),
        "expected": archive.example_prediction,
    }


def _require_judged(version: ModelVersion, local: Path) -> None:
    found, archive = files.sha256(str(local)), version.archive
    if found != archive.sha256:
        raise ArchiveMismatch(
            f"{archive.url} has the SHA-256 {found}, but the archive of {version.model} version "
            f"{version.version} that was judged has {archive.sha256}. No image is made of it. Bring the "
            "judged archive back, or train again.",
            found=found,
            expected=archive.sha256,
            url=archive.url,
        )


def _json(document: dict[str, object]) -> bytes:
    return json.dumps(document, indent=2, sort_keys=True).encode()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), MODE
    tar.addfile(member, io.BytesIO(content))
