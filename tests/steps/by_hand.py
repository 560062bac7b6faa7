"""The steps of a training, called one after the other as the DAG does, in this process and its children."""

import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from tasks.contracts import (
    Archive,
    Champion,
    CheckLabelsRequest,
    DataSnapshot,
    EvaluateRequest,
    EvaluationReport,
    GateDecision,
    GateRequest,
    IngestRequest,
    IngestResult,
    LabelCheck,
    ModelVersion,
    PackageRequest,
    Quarantine,
    QuarantineRequest,
    ReproduceRequest,
    Reproduction,
    SnapshotRequest,
    StepContext,
    TrainingRun,
    TrainRequest,
    ValidateRequest,
)
from tasks.data.ingest import ingest
from tasks.data.snapshot import snapshot
from tasks.data.validate import validate
from tasks.evaluation.evaluate import evaluate
from tasks.gate.champion import with_standing
from tasks.gate.gate import gate
from tasks.monitoring.labels.check_labels import check_labels
from tasks.monitoring.labels.quarantine import quarantine
from tasks.provenance.reproduce import reproduce
from tasks.release.register import tags_of
from tasks.settings import settings
from tasks.spec import PipelineSpec, TableSpec, table_of
from tasks.stores import registry
from tasks.training.package import package
from tasks.training.train import train


@dataclass(frozen=True)
class Judged:
    """A candidate and what became of it."""

    run: TrainingRun
    archive: Archive
    evaluation: EvaluationReport
    decision: GateDecision


@dataclass(frozen=True)
class ByHand:
    """A model in a state folder of its own; each of its trainings is a run of a DAG."""

    spec: PipelineSpec
    home: Path

    def use_mlflow(self, template: Path, patch: pytest.MonkeyPatch) -> None:
        """Let this process and its children record in a copy of an empty MLflow database."""
        database = shutil.copy(template, self.home / "mlflow.db")
        patch.setenv("PERENNIAL_MLFLOW_URL", f"sqlite:///{database}")
        settings.cache_clear()
        registry.client().create_experiment(self.spec.name, artifact_location=str(self.home / "artifacts"))

    def context(self, run: str, step: str) -> StepContext:
        key = f"train_{self.spec.name}/{run}/{step}"
        return StepContext(actor=f"test:{step}", step_key=key, work_url=str(self.home / "runs" / run / step))

    def ingest(self, table: TableSpec | None = None) -> IngestResult:
        """Everything that has landed for the table; None for the model's own."""
        return ingest(
            IngestRequest(context=self.context("ingest", "ingest"), table=table or table_of(self.spec))
        )

    def snapshot(self, run: str = "first", as_of: datetime | None = None) -> DataSnapshot:
        return snapshot(SnapshotRequest(context=self.context(run, "snapshot"), spec=self.spec, as_of=as_of))

    def check_labels(self, run: str = "first") -> LabelCheck:
        """What is found in the labels of the batches that no check has judged; nothing is left out for it."""
        return check_labels(CheckLabelsRequest(context=self.context(run, "check_labels"), spec=self.spec))

    def quarantine(self, check: LabelCheck, run: str = "first") -> Quarantine:
        """Keep what the check found, so that no later one looks at these batches again."""
        return quarantine(
            QuarantineRequest(context=self.context(run, "quarantine"), spec=self.spec, check=check)
        )

    def train(
        self, run: str = "first", champion: ModelVersion | None = None, as_of: datetime | None = None
    ) -> Judged:
        """Snapshot, validate, train, package, evaluate and judge a candidate."""
        spec, taken = self.spec, self.snapshot(run, as_of)
        report = validate(ValidateRequest(context=self.context(run, "validate"), spec=spec, snapshot=taken))
        trained = train(
            TrainRequest(
                context=self.context(run, "train"),
                spec=spec,
                snapshot=taken,
                validation=report,
                parameters={},
            )
        )
        serving = Champion(model=spec.name, version=champion, serves=champion is not None)
        archive = package(PackageRequest(context=self.context(run, "package"), spec=spec, run=trained))
        evaluation = evaluate(
            EvaluateRequest(
                context=self.context(run, "evaluate"),
                spec=spec,
                run=trained,
                archive=archive,
                champion=with_standing(serving, spec),
            )
        )
        decision = gate(
            GateRequest(
                context=self.context(run, "gate"),
                spec=spec,
                run=trained,
                archive=archive,
                evaluation=evaluation,
            )
        )
        return Judged(trained, archive, evaluation, decision)

    def reproduce(self, archive: Archive, run: str = "again") -> Reproduction:
        """Make a version of what was judged, as `register` does, and train that version again."""
        tags = {registry.ARCHIVE: archive.model_dump_json(), registry.DECISION: ""}
        version = registry.create_version(self.spec.name, archive.run_id, tags)
        asked = ReproduceRequest(
            context=self.context(run, "reproduce"), spec=self.spec, version=version.version
        )
        return reproduce(asked)

    def register(self, judged: Judged) -> ModelVersion:
        """Make a promoted candidate a version, as `register` does where a gateway runs."""
        tags = tags_of(judged.run, judged.archive, judged.decision)
        return registry.create_version(self.spec.name, judged.run.run_id, tags)
