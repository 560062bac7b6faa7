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
    Anchor,
    AsTrained,
    EvaluateRequest,
    EvaluationReport,
    FrozenSets,
    Metric,
    ModelScore,
    PairedDifference,
    SetScore,
    SliceScore,
)
from tasks.contracts.gate import Circumstances, GateDecision, GateRequest, Look, RuleVerdict
from tasks.contracts.held import Held, HeldRequest, TakeUpRequest
from tasks.contracts.label_incident import JoinedBatch, LabelIncidentAnswer, LabelIncidentRequest
from tasks.contracts.ledger import Action, LedgerEntry
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
    "Anchor",
    "Archive",
    "AsTrained",
    "Champion",
    "ChampionRequest",
    "Circumstances",
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
    "FrozenSets",
    "GateDecision",
    "GateRequest",
    "Held",
    "HeldRequest",
    "IngestRequest",
    "IngestResult",
    "JoinedBatch",
    "LabelIncidentAnswer",
    "LabelIncidentRequest",
    "LedgerEntry",
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
    "SetScore",
    "SliceScore",
    "SnapshotPart",
    "SnapshotRequest",
    "StepContext",
    "TakeUpRequest",
    "TakenBack",
    "TrainRequest",
    "TrainedFor",
    "TrainingRun",
    "ValidateRequest",
    "ValidationReport",
    "WithdrawRequest",
    "Withdrawal",
]
