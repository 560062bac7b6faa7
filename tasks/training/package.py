"""Pack a training's files, the model's handler and our
handler base into the archive that is judged and then served.
"""

import json
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

from tasks.contracts import Archive, PackageRequest, TrainingRun
from tasks.errors import InvalidProject, ServingError
from tasks.evaluation.scoring import score
from tasks.evaluation.trained_for import require_trained_for
from tasks.runtime import child
from tasks.runtime.code_version import HANDLER_BASE, Code, code_here
from tasks.spec import PipelineSpec
from tasks.stores import files, registry

PICKLED_SUFFIXES = {".pkl", ".pickle", ".joblib", ".dill"}
ARCHIVER = "from model_archiver.model_packaging import generate_model_archive as main; main()"
RECORD = "archive.json"
TIMEOUT_SECONDS = 900


def package(request: PackageRequest) -> Archive:
    """Make the archive, try it on the specification's
    example, and keep it in the store and with the MLflow run.

    Raises:
        InvalidProject: A file of the training loads by unpickling, or a file that pipeline.yaml names is
            missing.
        CheckFailed: The run was trained for something else than pipeline.yaml says now.
        ServingError: The archive does not answer the example.
    """
    spec, run, work_url = request.spec, request.run, request.context.work_url
    require_trained_for(spec, run)
    made = _find_made(work_url, run)
    if made is not None:
        return made
    with tempfile.TemporaryDirectory(prefix="perennial-package-") as folder:
        local = build(spec, run, Path(folder))
        answer = _answer(local, spec, Path(folder))
        sha256 = files.sha256(str(local))
        # Named by what it holds: another archive of this run may serve, and must not be overwritten.
        url = files.put(local, files.at(work_url, f"{spec.name}-{run.run_id}-{sha256[:16]}.mar"))
        archive = Archive(
            model=spec.name,
            version=run.run_id,
            run_id=run.run_id,
            url=url,
            sha256=sha256,
            size_bytes=local.stat().st_size,
            example_prediction=answer,
            input_example=spec.serving.input_example,
            batches=True,
        )
        _log(archive, local)
    files.write_text(work_url, RECORD, text=archive.model_dump_json(indent=2))
    return archive


def build(spec: PipelineSpec, run: TrainingRun, folder: Path, code: Code | None = None) -> Path:
    """Run torch-model-archiver on a folder with everything that the archive holds, and return the archive.

    Args:
        code: Where the handlers come from; None for the code of the settings.
    """
    contents = folder / "contents"
    _collect(spec, run, contents, code or code_here())
    handler = contents / Path(spec.serving.handler).name
    command = [sys.executable, "-c", ARCHIVER, "--force", f"--model-name={spec.name}"]
    command += [
        f"--version={run.run_id}",
        f"--handler={handler}",
        f"--extra-files={contents}",
        f"--export-path={folder}",
    ]
    # The archiver stages files in the temporary folder under the model's bare name: two at once would mix.
    staging = folder / "staging"
    staging.mkdir()
    ended = child.run(
        command,
        log=folder / "archiver.log",
        timeout_seconds=TIMEOUT_SECONDS,
        environment={"TMPDIR": str(staging)},
    )
    archive = folder / f"{spec.name}.mar"
    if ended.code != 0 or not archive.exists():
        raise ServingError(
            f"torch-model-archiver ended with code {ended.code} for {spec.name}. Its output:\n{ended.tail}"
        )
    return archive


def _collect(spec: PipelineSpec, run: TrainingRun, contents: Path, code: Code) -> None:
    trained = files.at(run.model_files_url)
    written = sorted(path for path in trained.rglob("*") if path.is_file())
    if not written:
        raise InvalidProject(f"{trained} holds no file of the training {run.run_id}. Train again.")
    for file in written:
        files.fetch(str(file), contents.joinpath(*file.relative_to(trained).parts))
    for path in sorted(path for path in contents.rglob("*") if path.is_file()):
        if needs_unpickling(path):
            raise InvalidProject(
                f"models/{spec.name}: training wrote {path.relative_to(contents)}, which loads by unpickling "
                "and so could run any code in the service. Save weights with safetensors, torch.export or "
                "TorchScript, other data as JSON."
            )
    sources = [code.models / spec.name / name for name in (spec.serving.handler, *spec.serving.code)]
    for source in (*sources, code.project / HANDLER_BASE):
        if not source.is_file():
            raise InvalidProject(
                f"{source} is missing, but the archive needs it. Add it, or correct `serving` in "
                "pipeline.yaml."
            )
        if (contents / source.name).exists():
            raise InvalidProject(
                f"Two files of the archive of {spec.name} are called {source.name}. Rename the training's "
                "own."
            )
        shutil.copy(source, contents / source.name)


def needs_unpickling(path: Path) -> bool:
    """Whether a file is a pickle: by its name, its first bytes,
    or as a zip that torch.save wrote (TorchScript has `code/`).
    """
    if path.suffix in PICKLED_SUFFIXES:
        return True
    with path.open("rb") as file:
        head = file.read(2)
    if len(head) == 2 and head[0] == 0x80 and 2 <= head[1] <= 5:
        return True
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as packed:
        names = packed.namelist()
    return any(name.endswith("/data.pkl") for name in names) and not any("/code/" in name for name in names)


def _answer(archive: Path, spec: PipelineSpec, folder: Path) -> dict[str, object]:
    """What a deployment's smoke test has to be answered: of several classes also the probability of each."""
    example = folder / "example.jsonl"
    example.write_text(json.dumps(spec.serving.input_example) + "\n", encoding="utf-8")
    scores = score(
        archive, example, list(spec.serving.input_example), latency_samples=0, timeout_seconds=TIMEOUT_SECONDS
    )
    [probabilities] = scores.probabilities
    answer: dict[str, object] = {"prediction": scores.predictions[0], "score": scores.scores[0]}
    return answer if probabilities is None else answer | {"scores": probabilities}


def _log(archive: Archive, local: Path) -> None:
    registry.client().log_artifact(archive.run_id, str(local), "archive")
    registry.tag_run(
        archive.run_id, {"perennial.archive_sha256": archive.sha256, "perennial.archive_url": archive.url}
    )


def _find_made(work_url: str, run: TrainingRun) -> Archive | None:
    """The archive of an earlier try of this step, if it is still what its record says."""
    record = files.at(work_url, RECORD)
    if not record.exists():
        return None
    archive = Archive.model_validate_json(record.read_text(encoding="utf-8"))
    if (
        archive.run_id != run.run_id
        or not files.at(archive.url).exists()
        or files.sha256(archive.url) != archive.sha256
    ):
        return None
    return archive
