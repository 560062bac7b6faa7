"""Train a version again, as it was trained, and say whether the same model comes of it.

The same commit, rows, parameters, seed and number of threads, in a process of its own; then weights, metrics
and answers to the frozen rows are compared with what the version left behind. Whatever is not as it was
(libraries, hardware) is named. The MLflow run of a reproduction hangs below the one that it repeats; it is
never judged by the gate, so it can be neither registered nor served.
"""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tasks.contracts import Condition, DataSnapshot, ReproduceRequest, Reproduction
from tasks.errors import NothingToDo, ProgramBroken, TrainingFailed
from tasks.provenance import answers, decide, weights
from tasks.provenance.decide import Findings
from tasks.provenance.recorded import Recorded, read
from tasks.provenance.trained_again import code_of, rows_of, spec_of
from tasks.runtime import code_version
from tasks.runtime.code_version import Code
from tasks.settings import settings
from tasks.spec import PipelineSpec
from tasks.stores import files, registry
from tasks.training import mlflow_run, program
from tasks.training.mlflow_records import require_records
from tasks.training.package import build
from tasks.training.surroundings import find_surroundings

REPRODUCES = "perennial.reproduces_run_id"
STEP = "perennial.reproduction_step"
OF_PROGRAM = {"device": "perennial.device", "threads": "perennial.threads"}
"""What a training program says of itself in its run, by `perennial_training`."""

MOST_TENSORS = 50


@dataclass(frozen=True)
class Again:
    """What is trained again, and with what.

    Attributes:
        snapshot: The rows, as files of this machine.
        commit: Of the code; None where that is not known.
        folder: Of this machine, to work in.
    """

    recorded: Recorded
    spec: PipelineSpec
    code: Code
    commit: str | None
    snapshot: DataSnapshot
    rows_made_again: bool
    run_id: str
    folder: Path


def reproduce(request: ReproduceRequest) -> Reproduction:
    """Train a version once more, compare, and keep the comparison with a run of its own in MLflow.

    Raises:
        NothingToDo: No version was named, and the model has no champion.
        InvalidRequest: There is no such version.
        NotReproducible: Its code, its rows or its records are gone.
        TrainingFailed, ProgramBroken: The training program failed.
        DeletedInMlflow: The model's experiment was deleted.
        ServiceAway: MLflow does not answer.
    """
    model = request.spec.name
    if settings().mlflow_url.startswith(("http://", "https://")):
        require_records(model, None)  # at once: MLflow's own client tries for minutes where nobody answers
    number = _version_of(request)
    with TemporaryDirectory(prefix="perennial-reproduce-") as name:
        folder = Path(name)
        recorded = read(model, number, folder / "recorded")
        with code_of(recorded.run, request.code) as code:
            spec = spec_of(code, model)
            snapshot, made_again = rows_of(spec, recorded.run.snapshot, folder / "rows")
            run_id = _start(request, recorded)
            commit = _commit(recorded, code)
            again = Again(recorded, spec, code, commit, snapshot, made_again, run_id, folder)
            try:
                return _keep(_reproduce(again, request))
            except Exception as error:
                mlflow_run.fail(run_id, f"not reproduced: {error}")
                raise


def _version_of(request: ReproduceRequest) -> str:
    model, champion = request.spec.name, request.champion
    if request.version:
        return request.version
    named = champion.version.version if champion and champion.version else None
    number = named if champion else registry.aliased_version(model)
    if number is None:
        raise NothingToDo(f"{model} has no champion to reproduce. Name one of its versions.")
    return number


def _start(request: ReproduceRequest, recorded: Recorded) -> str:
    """The run of the reproduction; those of earlier tries of this step that are not at an end are marked
    KILLED.
    """
    experiment_id, client = mlflow_run.experiment(request.spec.name), registry.client()
    step = hashlib.sha256(request.context.step_key.encode()).hexdigest()
    for left in client.search_runs([experiment_id], f"tags.`{STEP}` = '{step}'"):
        if left.info.status == "RUNNING":
            client.set_terminated(left.info.run_id, "KILLED")
    run = recorded.run
    tags = {
        STEP: step,
        REPRODUCES: run.run_id,
        "perennial.reproduces_version": recorded.version.version,
        "mlflow.parentRunId": run.run_id,
        "mlflow.runName": f"reproduction of version {recorded.version.version}",
        "mlflow.note.content": f"Version {recorded.version.version} trained again, to compare. Never served.",
        "mlflow.source.name": f"models/{run.model}",
        "mlflow.source.type": "PROJECT",
    }
    run_id = str(client.create_run(experiment_id, tags=tags).info.run_id)
    for name, value in run.parameters.items():
        client.log_param(run_id, name, value)
    return run_id


def _reproduce(again: Again, request: ReproduceRequest) -> Reproduction:
    recorded, tolerance = again.recorded, request.tolerance
    trained = _train(again, request)
    archive = _package(again, trained.output)
    (then, was), (now, is_now) = (
        answers.ask(asked, again.spec, again.snapshot, again.folder / name)
        for name, asked in (("recorded-rows", recorded.archive), ("rows-again", archive))
    )
    compared = weights.compare(recorded.archive, archive, again.spec, again.folder, tolerance)
    found = Findings(
        tensors=compared.tensors,
        differing=compared.differing,
        files=compared.files,
        metrics=decide.compare_metrics(was, is_now, tolerance),
        answers=decide.compare_answers(then, now, tolerance),
        conditions=(*_conditions(again), *compared.code),
        operators=decide.nondeterministic_operators((recorded.log, trained.log)),
    )
    shutil.rmtree(trained.output.parent)
    return _result(again, found, request)


def _train(again: Again, request: ReproduceRequest) -> program.Trained:
    """By the same values and with the same number of threads, for a program that asks for no number."""
    run, then = again.recorded.run, again.recorded.surroundings
    scratch = program.make_scratch(request.context.step_key, again.snapshot)
    record = program.Record(again.run_id, mlflow_run.experiment(run.model))
    threads = {"OMP_NUM_THREADS": str(then.threads)} if then else {}
    trained = program.run(
        again.spec, run.parameters, record, scratch, models=again.code.models, variables=threads
    )
    fault = trained.fault
    if fault:
        log_url = files.write_text(request.context.work_url, again.run_id, "training.log", text=trained.log)
        raise (ProgramBroken if fault.for_good else TrainingFailed)(
            f"Training {run.model} again as in run {run.run_id} {fault.what} (MLflow run {again.run_id}). "
            f"The whole log is {log_url}; its end:\n{trained.tail}",
            run_id=again.run_id,
            log_url=log_url,
        )
    return trained


def _package(again: Again, output: Path) -> Path:
    run = again.recorded.run.model_copy(update={"run_id": again.run_id, "model_files_url": str(output)})
    folder = again.folder / "package"
    folder.mkdir()
    return build(again.spec, run, folder, again.code)


def _conditions(again: Again) -> list[Condition]:
    """What is not as it was of code, lock, image, place and libraries."""
    run, place, recorded = again.recorded.run, settings(), again.recorded
    lock_sha256 = code_version.lock_sha256(place.project, place.models / run.model)
    then = {"code commit": run.code_commit, "lock": run.lock_sha256, "image": run.image_digest}
    now = {"code commit": again.commit, "lock": lock_sha256, "image": place.image_digest or None}
    said = (recorded.tags, registry.run_tags(again.run_id))
    return [
        *decide.conditions(then, now),
        *decide.conditions(*({name: tags.get(tag) for name, tag in OF_PROGRAM.items()} for tags in said)),
        *decide.compare_surroundings(recorded.surroundings, find_surroundings(again.spec)),
    ]


def _commit(recorded: Recorded, code: Code) -> str | None:
    """Of the code that is run: the recorded one's copy has its commit."""
    here = code == code_version.code_here()
    return code_version.code_commit(settings().project) if here else recorded.run.code_commit


def _result(again: Again, found: Findings, request: ReproduceRequest) -> Reproduction:
    recorded = again.recorded
    return Reproduction(
        model=recorded.run.model,
        version=recorded.version.version,
        run_id=recorded.run.run_id,
        experiment_id=recorded.run.experiment_id,
        reproduced_as=again.run_id,
        verdict=decide.verdict(found),
        why=decide.sentence(found, request.tolerance),
        tolerance=request.tolerance,
        conditions=found.conditions,
        tensors=found.tensors,
        tensors_differing=len(found.differing),
        largest=found.differing[:MOST_TENSORS],
        files=found.files,
        metrics=found.metrics,
        answers=found.answers,
        nondeterministic_operators=found.operators,
        rows_made_again=again.rows_made_again,
        report_url=str(files.at(request.context.work_url, again.run_id, "reproduction.json")),
    )


def _keep(found: Reproduction) -> Reproduction:
    """Write the comparison into the step's folder and with its run, and end the run."""
    text = found.model_dump_json(indent=2)
    files.write_text(found.report_url, text=text)
    registry.log_text(found.reproduced_as, "reproduction/reproduction.json", text)
    registry.tag_run(found.reproduced_as, {"perennial.verdict": found.verdict, "perennial.why": found.why})
    registry.client().set_terminated(found.reproduced_as, "FINISHED")
    return found
