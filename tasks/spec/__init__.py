"""What a team says about its model in pipeline.yaml: one module a section; callers import from here."""

from tasks.spec.base import ColumnType, faults_of
from tasks.spec.data import DataSpec, SplitSpec, TableSpec
from tasks.spec.gate import GateSpec
from tasks.spec.monitor import MonitorSpec
from tasks.spec.pipeline import PipelineSpec, load_specs, read_specs, table_of
from tasks.spec.serving import ServingSpec

__all__ = [
    "ColumnType",
    "DataSpec",
    "GateSpec",
    "MonitorSpec",
    "PipelineSpec",
    "ServingSpec",
    "SplitSpec",
    "TableSpec",
    "faults_of",
    "load_specs",
    "read_specs",
    "table_of",
]
