"""`PipelineSpec`: what a team says about its model, in
models/<name>/pipeline.yaml, checked when it is read.
"""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError, model_validator

from tasks.errors import InvalidProject
from tasks.spec import behaviour_file, strict_yaml
from tasks.spec.base import Name, Spec, faults_of
from tasks.spec.behaviour import BehaviourTest
from tasks.spec.card import CardSpec
from tasks.spec.data import DataSpec, TableSpec
from tasks.spec.features import (
    faults_of_example,
    faults_of_features,
    faults_of_instances,
    typed_numbers,
)
from tasks.spec.gate import GateSpec
from tasks.spec.metrics import DEFAULT_METRIC, Task
from tasks.spec.monitor import MonitorSpec
from tasks.spec.monitor_faults import faults_of_monitor
from tasks.spec.release import ReleaseSpec, faults_of_release
from tasks.spec.serving import ServingSpec
from tasks.spec.slice_faults import faults_of_fairness, faults_of_slices
from tasks.spec.slo import faults_of_slo
from tasks.spec.task import faults_of_label_column, faults_of_labels, faults_of_margins, faults_of_metrics
from tasks.spec.training import ResourcesSpec, TrainingSpec


class PipelineSpec(Spec):
    """A model's pipeline.yaml.

    Attributes:
        version: Of this file's form.
        name: The model's name, as its folder has it.
        description: What the model predicts and from what, in a sentence, for people.
        owner: Who answers for the model: a person or a team.
        task: What the model predicts: one of two labels, one of several, or a number.
        data: What it is trained on, and the door to that.
        training: How and when it is trained.
        resources: What a training may use.
        serving: How it is served.
        gate: When a candidate is promoted.
        monitor: When its traffic counts as drifted, and what follows.
        release: How a promoted version comes to serve.
        card: What people say of the model in its card.
        behaviour: The tests of behaviour.yaml, which lies beside pipeline.yaml; none where it does not.
    """

    version: Literal[1]
    name: Name
    description: str
    owner: str
    task: Task = "binary"
    data: DataSpec
    training: TrainingSpec = TrainingSpec()
    resources: ResourcesSpec = ResourcesSpec()
    serving: ServingSpec
    gate: GateSpec = GateSpec()
    monitor: MonitorSpec = MonitorSpec()
    release: ReleaseSpec = ReleaseSpec()
    card: CardSpec = CardSpec()
    behaviour: tuple[BehaviourTest, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _compare_by_a_metric_of_the_task(cls, document: Any) -> Any:
        """What a regression is compared by, where it does not say so, is not accuracy."""
        tasks = [*DEFAULT_METRIC]  # a list, because what stands there for a task may have no hash
        if not isinstance(document, dict) or document.get("task") not in tasks:
            return document
        gate = document.get("gate", {})
        if not isinstance(gate, dict) or "primary_metric" in gate:
            return document
        return {**document, "gate": {"primary_metric": DEFAULT_METRIC[document["task"]], **gate}}

    @model_validator(mode="after")
    def _parts_fit_the_task(self) -> "PipelineSpec":
        of_labels = [
            *faults_of_labels(self.task, self.data, self.serving),
            *faults_of_label_column(self.data, self.serving),
        ]
        faults = of_labels or [
            *faults_of_metrics(self.task, self.gate, self.serving),
            *faults_of_margins(self.task, self.gate, self.data),
            *faults_of_slices(self.data, self.gate),
            *faults_of_fairness(self.task, self.data, self.gate),
            *faults_of_monitor(self.data, self.monitor, self.gate.primary_metric),
            *faults_of_slo(self.task, self.monitor.slo),
            *faults_of_release(self.task, self.release),
        ]
        _require_none(*faults)
        return self

    @model_validator(mode="after")
    def _features_have_one_type(self) -> "PipelineSpec":
        _require_none(
            *faults_of_features(self.data, self.serving), *faults_of_instances(self.data, self.serving)
        )
        self.serving.input_example.update(typed_numbers(self.serving.input_example, self.data))
        _require_none(*faults_of_example(self.serving))
        return self

    @classmethod
    def load(cls, path: Path) -> "PipelineSpec":
        """Read and check `models/<name>/pipeline.yaml`.

        Raises:
            InvalidProject: The file cannot be read, breaks the schema, or names another model than its
                folder.
        """
        try:
            document = strict_yaml.loads(path.read_text(encoding="utf-8"))
            if document is None:
                raise InvalidProject(f"{path}: is empty. Describe the model in it, or remove its folder.")
            if isinstance(document, dict) and "behaviour" in document:
                raise InvalidProject(
                    f"{path}: behaviour: write the tests into the file {behaviour_file.NAME} beside it."
                )
            spec = cls.model_validate(document)
        except yaml.YAMLError as error:
            raise InvalidProject(f"{path}: cannot be read: {strict_yaml.sentence(error)}") from error
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidProject(f"{path}: cannot be read: {error}") from error
        except ValidationError as error:
            faults = faults_of(error, cls)
            raise InvalidProject(
                f"{path}: {_sentence(faults)} Correct these fields.", faults=faults
            ) from error
        if spec.name != path.parent.name:
            raise InvalidProject(
                f"{path}: name is {spec.name!r}, but the folder is {path.parent.name!r}. Make them the same."
            )
        tests = behaviour_file.read_behaviour(
            path.with_name(behaviour_file.NAME), spec.task, spec.data, spec.serving
        )
        return spec.model_copy(update={"behaviour": tests})


def _sentence(faults: list[str]) -> str:
    told = "; ".join(faults)
    return told if told.endswith(("?", ".")) else f"{told}."


def _require_none(*faults: str) -> None:
    if faults:
        raise ValueError("; ".join(faults))


def read_specs(models: Path) -> tuple[tuple[PipelineSpec, ...], tuple[InvalidProject, ...]]:
    """The models of the folder `models` by name, and apart from them what is wrong with those that cannot be
    used, each with the model's folder as evidence.
    """
    specs: list[PipelineSpec] = []
    faults: list[InvalidProject] = []
    for path in sorted(models.glob("*/pipeline.yaml")):
        try:
            specs.append(_agreeing(PipelineSpec.load(path), specs))
        except InvalidProject as fault:
            fault.evidence["model"] = path.parent.name
            faults.append(fault)
        except Exception as error:  # noqa: BLE001 - whatever one model raises must not take away the others
            faults.append(unforeseen(path.parent, error))
    return tuple(specs), tuple(faults)


def unforeseen(folder: Path, error: Exception) -> InvalidProject:
    """The fault of a model that made Perennial itself stumble."""
    return InvalidProject(
        f"{folder}: this model cannot be used, for a reason that Perennial did not foresee: "
        f"{type(error).__name__}: {error}. Take back what was changed in its folder last, and report this.",
        model=folder.name,
    )


def load_specs(models: Path) -> tuple[PipelineSpec, ...]:
    """Every model of the folder `models`, by name; the first that cannot be used raises."""
    specs, faults = read_specs(models)
    if faults:
        raise faults[0]
    return specs


def _agreeing(spec: PipelineSpec, others: list[PipelineSpec]) -> PipelineSpec:
    """Two models that share a table must describe it alike."""
    for other in others:
        described = {table.table: table for table in other.data.all_tables}
        for table in spec.data.all_tables:
            if described.get(table.table, table) != table:
                raise InvalidProject(
                    f"models/{other.name} and models/{spec.name} describe the table {table.table!r} "
                    "differently. Give both the same key, columns, suite and limits."
                )
    return spec


def table_of(spec: PipelineSpec) -> TableSpec:
    """The table alone, without what one model makes of it."""
    return spec.data.own_table
