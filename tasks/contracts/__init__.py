"""The contracts that cross between environments: frozen, versioned, JSON, with units in the names.

A heavy step reads a request and writes one of these as its result; Airflow keeps nothing else. What a
contract names by URL (parts, reports, archives) lies in the store.
"""

from tasks.contracts.contract import (
    Contract,
)
from tasks.contracts.data import (
    DataSnapshot,
    FailedExpectation,
    FileOutcome,
    IngestResult,
    SnapshotPart,
    ValidationReport,
)
from tasks.contracts.operation import (
    ColumnDistance,
    DriftDecision,
    LedgerEntry,
    RetrainTicket,
)
from tasks.contracts.preflight import PreflightReport
from tasks.contracts.serving import (
    CollectResult,
    Rollout,
    RolloutCheck,
    Route,
)
from tasks.contracts.training import (
    Archive,
    EvaluationReport,
    GateDecision,
    Metric,
    ModelScore,
    ModelVersion,
    PairedDifference,
    RuleVerdict,
    SliceScore,
    TrainingRun,
)

__all__ = [
    "Archive",
    "CollectResult",
    "ColumnDistance",
    "Contract",
    "DataSnapshot",
    "DriftDecision",
    "EvaluationReport",
    "FailedExpectation",
    "FileOutcome",
    "GateDecision",
    "IngestResult",
    "LedgerEntry",
    "Metric",
    "ModelScore",
    "ModelVersion",
    "PairedDifference",
    "PreflightReport",
    "RetrainTicket",
    "Rollout",
    "RolloutCheck",
    "Route",
    "RuleVerdict",
    "SliceScore",
    "SnapshotPart",
    "TrainingRun",
    "ValidationReport",
]
