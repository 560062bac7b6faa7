"""The contracts that cross between environments: frozen, versioned, JSON, with units in the names.

A heavy step reads a request and writes its result, which stand side by side here; Airflow keeps nothing
else. What a contract names by URL (parts, reports, archives) lies in the store.
"""

from tasks.contracts.context import Request, StepContext
from tasks.contracts.contract import Contract
from tasks.contracts.data import (
    CollectRequest,
    CollectResult,
    CountRequest,
    DataSnapshot,
    FailedExpectation,
    FileOutcome,
    IngestRequest,
    IngestResult,
    PinnedTable,
    RowCount,
    SnapshotPart,
    SnapshotRequest,
    TakenBack,
    ValidateRequest,
    ValidationReport,
)
from tasks.contracts.evaluation import (
    EvaluateRequest,
    EvaluationReport,
    Metric,
    ModelScore,
    PairedDifference,
    SliceScore,
)
from tasks.contracts.gate import GateDecision, GateRequest, Look, RuleVerdict
from tasks.contracts.ledger import Action, Finding, LedgerEntry, LedgerHead
from tasks.contracts.monitoring import (
    ColumnDistance,
    DriftDecision,
    DriftRequest,
    RetrainRequest,
    RetrainTicket,
)
from tasks.contracts.release import (
    DeployRequest,
    RegisterRequest,
    RollbackRequest,
    Rollout,
    RolloutCheck,
    Withdrawal,
    WithdrawRequest,
)
from tasks.contracts.serving import Champion, ChampionRequest, ModelVersion, Route
from tasks.contracts.training import (
    Archive,
    PackageRequest,
    PreflightReport,
    PreflightRequest,
    TrainedFor,
    TrainingRun,
    TrainRequest,
)

__all__ = [
    "Action",
    "Archive",
    "Champion",
    "ChampionRequest",
    "CollectRequest",
    "CollectResult",
    "ColumnDistance",
    "Contract",
    "CountRequest",
    "DataSnapshot",
    "DeployRequest",
    "DriftDecision",
    "DriftRequest",
    "EvaluateRequest",
    "EvaluationReport",
    "FailedExpectation",
    "FileOutcome",
    "Finding",
    "GateDecision",
    "GateRequest",
    "IngestRequest",
    "IngestResult",
    "LedgerEntry",
    "LedgerHead",
    "Look",
    "Metric",
    "ModelScore",
    "ModelVersion",
    "PackageRequest",
    "PairedDifference",
    "PinnedTable",
    "PreflightReport",
    "PreflightRequest",
    "RegisterRequest",
    "Request",
    "RetrainRequest",
    "RetrainTicket",
    "RollbackRequest",
    "Rollout",
    "RolloutCheck",
    "Route",
    "RowCount",
    "RuleVerdict",
    "SliceScore",
    "SnapshotPart",
    "SnapshotRequest",
    "StepContext",
    "TakenBack",
    "TrainRequest",
    "TrainedFor",
    "TrainingRun",
    "ValidateRequest",
    "ValidationReport",
    "WithdrawRequest",
    "Withdrawal",
]
