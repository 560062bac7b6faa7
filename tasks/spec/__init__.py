"""What a team says about its model in pipeline.yaml: one module a section; callers import from here."""

from tasks.spec.base import ColumnType, Name, faults_of
from tasks.spec.behaviour import BehaviourTest
from tasks.spec.behaviour_file import cases_of as behaviour_cases
from tasks.spec.card import CardSpec
from tasks.spec.data import DataSpec, DoorSpec, LabelCheckSpec, SplitSpec, TableSpec
from tasks.spec.fairness import GapMetric
from tasks.spec.gate import GateSpec, Policy
from tasks.spec.labels import declared_classes, in_order, label_text, named_label
from tasks.spec.metrics import METRICS, RECALL_OF, MetricKind, MetricName, Task, kind_of, metrics_of
from tasks.spec.monitor import FEWEST_ROWS, ColumnRule, MonitorSpec, RetrainBudget
from tasks.spec.pipeline import PipelineSpec, load_specs, read_specs, table_of, unforeseen
from tasks.spec.release import PRODUCTION, ReleaseMode, ReleaseSpec
from tasks.spec.serving import ServingBackendName, ServingSpec
from tasks.spec.slices import SliceSpec, bin_names
from tasks.spec.slo import SloSpec

__all__ = [
    "FEWEST_ROWS",
    "METRICS",
    "PRODUCTION",
    "RECALL_OF",
    "BehaviourTest",
    "CardSpec",
    "ColumnRule",
    "ColumnType",
    "DataSpec",
    "DoorSpec",
    "GapMetric",
    "GateSpec",
    "LabelCheckSpec",
    "MetricKind",
    "MetricName",
    "MonitorSpec",
    "Name",
    "PipelineSpec",
    "Policy",
    "ReleaseMode",
    "ReleaseSpec",
    "RetrainBudget",
    "ServingBackendName",
    "ServingSpec",
    "SliceSpec",
    "SloSpec",
    "SplitSpec",
    "TableSpec",
    "Task",
    "behaviour_cases",
    "bin_names",
    "declared_classes",
    "faults_of",
    "in_order",
    "kind_of",
    "label_text",
    "load_specs",
    "metrics_of",
    "named_label",
    "read_specs",
    "table_of",
    "unforeseen",
]
