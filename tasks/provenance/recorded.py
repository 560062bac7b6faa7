"""What a version left behind, for whoever trains it again.

A file of the store is where its URL says, or, where that path is another machine's, with the run in MLflow.
"""

from dataclasses import dataclass
from pathlib import Path

from tasks.contracts import Archive, ModelVersion, Surroundings, TrainingRun
from tasks.errors import NotReproducible
from tasks.stores import files, registry

ARCHIVES = "archive"


@dataclass(frozen=True)
class Recorded:
    """What is known of a version.

    Attributes:
        surroundings: None in a record of before they were kept.
        tags: Of its MLflow run.
        archive: On this machine: what was judged and registered.
        log: What its training program said; empty where that is not at hand.
    """

    version: ModelVersion
    run: TrainingRun
    surroundings: Surroundings | None
    tags: dict[str, str]
    archive: Path
    log: str


def read(model: str, number: str, folder: Path) -> Recorded:
    """Fetch the records of a version into a local folder.

    Raises:
        InvalidRequest: There is no such version.
        RegistryError: Perennial did not register it, or its run has no lineage.
        NotReproducible: Its archive is gone.
    """
    version = registry.named_version(model, number)
    run_id = version.run_id
    run, surroundings = registry.training_run(run_id), registry.read_text(run_id, registry.SURROUNDINGS)
    return Recorded(
        version=version,
        run=run,
        surroundings=Surroundings.model_validate_json(surroundings) if surroundings else None,
        tags=registry.run_tags(run_id),
        archive=_archive(version.archive, folder),
        log=_log(run),
    )


def _archive(archive: Archive, folder: Path) -> Path:
    """The archive that was judged, by its hash."""
    local, found = folder / f"{archive.sha256}.mar", []
    for path in (_from_store(archive.url, local), _from_mlflow(archive, folder)):
        if path is not None:
            found.append(files.sha256(str(path)))
            if found[-1] == archive.sha256:
                return path
    raise NotReproducible(
        f"The archive of run {archive.run_id} ({archive.sha256}) is neither at {archive.url} nor, unchanged, "
        f"with its MLflow run under {ARCHIVES}/. Bring it back from a backup.",
        expected=archive.sha256,
        found=found,
    )


def _from_store(url: str, to: Path) -> Path | None:
    try:
        return files.fetch(url, to)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None


def _from_mlflow(archive: Archive, folder: Path) -> Path | None:
    return registry.fetch_artifact(archive.run_id, f"{ARCHIVES}/{archive.model}.mar", folder)


def _log(run: TrainingRun) -> str:
    """It lies beside the files that training wrote; nothing but the naming of operators needs it."""
    try:
        return (files.at(run.model_files_url).parent / "training.log").read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return ""
