"""What a step can be asked: each verb with its module, its request and its result."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tasks import contracts
from tasks.contracts import Contract, Request


@dataclass(frozen=True)
class Verb:
    """A verb: the module whose function of the verb's name does it, and the contracts on its two sides."""

    module: str
    request: type[Request]
    result: type[Contract]

    def function(self) -> Callable[[Any], Contract]:
        """The function, its module imported only now: a step pays for the libraries of its own verb."""
        does: Callable[[Any], Contract] = getattr(
            importlib.import_module(self.module), self.module.rpartition(".")[2]
        )
        return does


VERBS: dict[str, Verb] = {
    "ingest": Verb("tasks.data.ingest", contracts.IngestRequest, contracts.IngestResult),
    "count": Verb("tasks.data.count", contracts.CountRequest, contracts.RowCount),
    "preflight": Verb("tasks.training.preflight", contracts.PreflightRequest, contracts.PreflightReport),
    "check_labels": Verb(
        "tasks.monitoring.labels.check_labels", contracts.CheckLabelsRequest, contracts.LabelCheck
    ),
    "quarantine": Verb(
        "tasks.monitoring.labels.quarantine", contracts.QuarantineRequest, contracts.Quarantine
    ),
    "decide_batch": Verb(
        "tasks.monitoring.labels.decide_batch", contracts.DecideBatchRequest, contracts.BatchDecision
    ),
    "decide_sender": Verb(
        "tasks.monitoring.door.decide_sender", contracts.DecideSenderRequest, contracts.SenderDecision
    ),
    "snapshot": Verb("tasks.data.snapshot", contracts.SnapshotRequest, contracts.DataSnapshot),
    "validate": Verb("tasks.data.validate", contracts.ValidateRequest, contracts.ValidationReport),
    "train": Verb("tasks.training.train", contracts.TrainRequest, contracts.TrainingRun),
    "package": Verb("tasks.training.package", contracts.PackageRequest, contracts.Archive),
    "champion": Verb("tasks.gate.champion", contracts.ChampionRequest, contracts.Champion),
    "evaluate": Verb("tasks.evaluation.evaluate", contracts.EvaluateRequest, contracts.EvaluationReport),
    "gate": Verb("tasks.gate.gate", contracts.GateRequest, contracts.GateDecision),
    "label_incident": Verb(
        "tasks.gate.label_incident", contracts.LabelIncidentRequest, contracts.LabelIncidentAnswer
    ),
    "register": Verb("tasks.release.register", contracts.RegisterRequest, contracts.ModelVersion),
    "describe": Verb("tasks.provenance.describe", contracts.DescribeRequest, contracts.Described),
    "deploy": Verb("tasks.release.deploy", contracts.DeployRequest, contracts.Rollout),
    "enter": Verb("tasks.release.enter", contracts.EnterRequest, contracts.Passage),
    "accept": Verb("tasks.release.accept", contracts.AcceptRequest, contracts.Acceptance),
    "open_stage": Verb("tasks.release.open_stage", contracts.OpenStageRequest, contracts.Stage),
    "judge_stage": Verb("tasks.release.judge_stage", contracts.JudgeStageRequest, contracts.StageDecision),
    "promote": Verb("tasks.release.promote", contracts.PromoteRequest, contracts.Rollout),
    "plan_cloud_run": Verb(
        "tasks.release.cloud_run.plan_cloud_run", contracts.PlanCloudRunRequest, contracts.CloudRunPlan
    ),
    "judge_cloud_run": Verb(
        "tasks.release.cloud_run.judge_cloud_run", contracts.JudgeCloudRunRequest, contracts.CloudRunDecision
    ),
    "close_cloud_run": Verb(
        "tasks.release.cloud_run.close_cloud_run", contracts.CloseCloudRunRequest, contracts.OnCloudRun
    ),
    "held": Verb("tasks.release.held", contracts.HeldRequest, contracts.Held),
    "take_up": Verb("tasks.release.take_up", contracts.TakeUpRequest, contracts.TrainingRun),
    "rollback": Verb("tasks.release.rollback", contracts.RollbackRequest, contracts.Rollout),
    "withdraw": Verb("tasks.release.withdraw", contracts.WithdrawRequest, contracts.Withdrawal),
    "reconcile": Verb("tasks.release.reconcile", contracts.ReconcileRequest, contracts.Reconciliation),
    "collect": Verb("tasks.data.collect", contracts.CollectRequest, contracts.CollectResult),
    "predict_batch": Verb(
        "tasks.data.predict_batch", contracts.PredictBatchRequest, contracts.BatchPredicted
    ),
    "calibrate": Verb("tasks.monitoring.calibrate", contracts.CalibrateRequest, contracts.Calibrated),
    "drift": Verb("tasks.monitoring.drift", contracts.DriftRequest, contracts.DriftDecision),
    "retrain": Verb("tasks.monitoring.retrain", contracts.RetrainRequest, contracts.RetrainTicket),
    "close_breaker": Verb(
        "tasks.monitoring.close_breaker", contracts.CloseBreakerRequest, contracts.ClosedBreaker
    ),
    "silence": Verb("tasks.monitoring.silence", contracts.SilenceRequest, contracts.Silenced),
    "triggers": Verb("tasks.monitoring.triggers", contracts.TriggersRequest, contracts.Triggers),
    "reproduce": Verb("tasks.provenance.reproduce", contracts.ReproduceRequest, contracts.Reproduction),
    "attest": Verb("tasks.provenance.attest", contracts.AttestRequest, contracts.Reproduction),
    "explain": Verb("tasks.provenance.explain", contracts.ExplainRequest, contracts.Explained),
    "recall": Verb("tasks.provenance.recall", contracts.RecallRequest, contracts.Recall),
}
