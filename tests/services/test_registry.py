"""Evaluation, gate, registration and drift check against a real MLflow server."""

from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.entities import LoggedModelOutput
from mlflow.exceptions import MlflowException

from tasks.contracts import (
    Action,
    Archive,
    Champion,
    ChampionRequest,
    EvaluateRequest,
    EvaluationReport,
    GateDecision,
    GateRequest,
    ModelVersion,
    RegisterRequest,
    StepContext,
    TrainingRun,
)
from tasks.errors import (
    ArchiveMismatch,
    DeletedInMlflow,
    GateRefused,
    InvalidProject,
    InvalidRequest,
    RegistryError,
)
from tasks.evaluation import evaluate
from tasks.gate import champion, gate
from tasks.gate.decide import decide
from tasks.ledger import entries, precedent
from tasks.release import register
from tasks.settings import settings
from tasks.stores import files, registry
from tasks.stores.database import engine
from tests.services.conftest import TOKEN, Platform, build_archive
from tests.services.mlflow_server import MlflowServer
from tests.steps.evaluated import rows
from tests.unit import judged
from tests.unit.judged import part
from tests.unit.tampering import tamper

SPEC = judged.SPEC


class Candidates:
    """Makes candidates of one model that no other test knows."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.spec = SPEC.model_copy(update={"name": name})
        self.experiment = registry.client().create_experiment(name)

    def make(self, *, logs_a_model: bool = True) -> tuple[TrainingRun, Archive]:
        """A run as a training leaves it, with a file for an archive."""
        client = registry.client()
        run_id = client.create_run(self.experiment).info.run_id
        run = judged.run(model=self.spec.name, run_id=run_id, experiment_id=self.experiment)
        client.log_text(run_id, run.model_dump_json(), registry.LINEAGE)
        if logs_a_model:
            model = client.create_logged_model(self.experiment, name="model", source_run_id=run_id)
            client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
            client.finalize_logged_model(model.model_id, "READY")
        file = self.folder / f"{run_id}.mar"
        file.write_bytes(run_id.encode())
        sha256, size = files.sha256(str(file)), file.stat().st_size
        archive = judged.archive(
            model=self.spec.name, run_id=run_id, version=run_id, url=str(file), sha256=sha256, size_bytes=size
        )
        return run, archive

    def report(
        self, archive: Archive, *, accuracy: float = 0.92, champion: ModelVersion | None = None
    ) -> EvaluationReport:
        own = judged.score("candidate", accuracy, run_id=archive.run_id, archive_sha256=archive.sha256)
        serving = None
        if champion:
            serving = judged.score(
                "champion", 0.9, run_id=champion.run_id, archive_sha256=champion.archive.sha256
            )
        report = judged.evaluation(candidate=accuracy, champion=0.9 if champion else None, scored=own)
        return report.model_copy(update={"model": self.spec.name, "champion": serving})

    def judge(self, run: TrainingRun, archive: Archive, **how: Any) -> GateDecision:
        context = StepContext(actor=f"gate/{run.run_id}", step_key="gate", work_url="unused")
        report = self.report(archive, **how)
        return gate.gate(
            GateRequest(context=context, spec=self.spec, run=run, archive=archive, evaluation=report)
        )

    def register(self, run: TrainingRun, archive: Archive, decision: GateDecision) -> ModelVersion:
        context = StepContext(actor="register", step_key="register", work_url="unused")
        asked = RegisterRequest(context=context, spec=self.spec, run=run, archive=archive, decision=decision)
        return register.register(asked)


@pytest.fixture
def candidates(
    home: Path,
    mlflow_server: MlflowServer,
    services: Platform,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Candidates:
    monkeypatch.setenv("PERENNIAL_MLFLOW_URL", mlflow_server.url)
    for name, value in mlflow_server.admin().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PERENNIAL_GATEWAY_URL", services.gateway_url)
    monkeypatch.setenv("PERENNIAL_GATEWAY_TOKEN", TOKEN)
    settings.cache_clear()
    engine.cache_clear()
    return Candidates(home, f"m_{request.node.name[:50].lower()}".replace("[", "_").replace("]", ""))


def test_a_promoted_candidate_becomes_a_version_with_its_lineage_and_the_alias_stays(
    candidates: Candidates,
) -> None:
    run, archive = candidates.make()
    decision = candidates.judge(run, archive)

    version = candidates.register(run, archive, decision)

    assert (version.version, version.run_id, version.archive) == ("1", run.run_id, archive)
    assert version.decision_ledger_hash == decision.ledger_hash
    assert TrainingRun.model_validate_json(version.tags["perennial.training_run"]) == run
    expected = {
        "snapshot": run.snapshot.sha256,
        "table_version": "3",
        "code_commit": "abc",
        "lock_sha256": run.lock_sha256,
    }
    assert {name: version.tags[f"perennial.{name}"] for name in expected} == expected
    assert registry.champion(candidates.spec.name) is None
    assert registry.get_version(candidates.spec.name, "1") == version
    assert registry.training_run(run.run_id) == run


def test_registering_again_gives_the_same_version(candidates: Candidates) -> None:
    run, archive = candidates.make()
    decision = candidates.judge(run, archive)
    first = candidates.register(run, archive, decision)
    registry.set_champion(candidates.spec.name, first.version)

    assert candidates.register(run, archive, decision) == first
    assert registry.find_version(candidates.spec.name, run.run_id) == first
    assert registry.champion(candidates.spec.name) == first


def test_a_version_that_was_judged_once_more_names_the_later_decision(candidates: Candidates) -> None:
    run, archive = candidates.make()
    first = candidates.register(run, archive, candidates.judge(run, archive))
    later = candidates.judge(run, archive, accuracy=0.95)

    again = candidates.register(run, archive, later)

    assert (again.version, again.decision_ledger_hash) == (first.version, later.ledger_hash)
    assert again.tags["perennial.why"] == later.why
    assert precedent.promotion_of_version(again).entry_hash == later.ledger_hash


def test_the_decision_is_kept_with_the_run_also_when_it_is_refused(candidates: Candidates) -> None:
    run, archive = candidates.make()

    decision = candidates.judge(run, archive, accuracy=0.6)

    tags = registry.client().get_run(run.run_id).data.tags
    assert (tags["perennial.verdict"], tags["perennial.decision_hash"]) == ("reject", decision.ledger_hash)
    assert tags["perennial.reason"] == decision.why
    kept = mlflow.artifacts.load_text(f"runs:/{run.run_id}/gate/decision.json")
    assert GateDecision.model_validate_json(kept) == decision
    with pytest.raises(GateRefused, match="said 'reject'"):
        candidates.register(run, archive, decision)
    assert registry.find_version(candidates.spec.name, run.run_id) is None


def test_a_decision_that_was_made_up_or_changed_registers_nothing(candidates: Candidates) -> None:
    run, archive = candidates.make()
    refused = candidates.judge(run, archive, accuracy=0.6)
    other_run, other_archive = candidates.make()
    promoted = candidates.judge(other_run, other_archive)
    made_up = refused.model_copy(update={"verdict": "promote"})

    for forged in (
        made_up,
        made_up.model_copy(update={"ledger_hash": None}),
        made_up.model_copy(update={"ledger_hash": promoted.ledger_hash}),
        promoted.model_copy(update={"why": "because"}),
    ):
        with pytest.raises(GateRefused):
            candidates.register(run, archive, forged)
    with pytest.raises(GateRefused, match="not " + archive.sha256):
        candidates.register(run, archive, promoted)
    with pytest.raises(InvalidRequest):
        candidates.register(run, other_archive, promoted)
    assert registry.client().search_model_versions(f"name = '{candidates.spec.name}'") == []


def test_a_decision_whose_ledger_entry_was_changed_registers_nothing(candidates: Candidates) -> None:
    run, archive = candidates.make()
    decision = candidates.judge(run, archive)
    tamper(entries.entries.update().values(why="somebody else's words"))

    with pytest.raises(GateRefused, match="not a promotion in the ledger"):
        candidates.register(run, archive, decision)


def test_a_promotion_that_was_written_by_hand_and_not_decided_registers_nothing(
    candidates: Candidates,
) -> None:
    """The chain is whole and the decision is in it, but its evidence gives another one."""
    run, archive = candidates.make()
    evidence = {
        "evaluation": candidates.report(archive, accuracy=0.6),
        "rules": candidates.spec.gate,
        "archive": archive,
        "look": None,
    }
    refused = decide(evidence["evaluation"], candidates.spec.gate, archive, None)
    forged = refused.model_copy(update={"verdict": "promote"})
    by_hand = {name: value for name, value in evidence.items() if name != "look"}

    for written, reason in (
        (evidence, "gives 'reject', but the entry says 'promote'"),
        (by_hand, "lacks the level"),
    ):
        entry = entries.record(
            model=candidates.spec.name,
            actor="gate",
            action=Action.GATE,
            before=None,
            after="promote",
            why=forged.why,
            evidence={**written, "decision": forged},
        )
        with pytest.raises(GateRefused, match=reason):
            candidates.register(run, archive, forged.model_copy(update={"ledger_hash": entry.entry_hash}))
    assert entries.broken_entries() == []


def test_the_root_is_the_version_that_was_shown_to_be_better_and_follows_what_serves(
    candidates: Candidates,
) -> None:
    rules = candidates.spec.gate.model_copy(update={"policy": "non_inferiority"})
    candidates.spec = candidates.spec.model_copy(update={"gate": rules})
    context = StepContext(actor="champion", step_key="champion", work_url="unused")
    asked = ChampionRequest(context=context, spec=candidates.spec)
    best, equal = candidates.make(), candidates.make()
    decision = candidates.judge(*best)
    first = candidates.register(*best, decision)
    registry.set_champion(candidates.spec.name, first.version)
    found = champion.champion(asked)
    assert found.root is None
    assert found.anchor is not None
    assert found.anchor == decision.anchor

    second = candidates.register(*equal, candidates.judge(*equal, accuracy=0.9, champion=first))
    registry.set_champion(candidates.spec.name, second.version)

    found = champion.champion(asked)
    assert (found.version, found.root) == (second, first)
    registry.client().delete_model_version(candidates.spec.name, first.version)
    with pytest.raises(DeletedInMlflow, match=f"the version of the MLflow run {first.run_id}"):
        champion.champion(asked)


def test_what_an_earlier_perennial_decided_stands(candidates: Candidates) -> None:
    run, archive = candidates.make()
    report = candidates.report(archive)
    decision = decide(report, candidates.spec.gate, archive, None)
    entry = entries.record(
        model=candidates.spec.name,
        actor="gate",
        action=Action.GATE,
        before=None,
        after="promote",
        why=decision.why,
        evidence={
            "evaluation": report,
            "rules": candidates.spec.gate,
            "archive": archive,
            "decision": decision,
        },
    )

    decided = decision.model_copy(update={"ledger_hash": entry.entry_hash})
    assert candidates.register(run, archive, decided).version == "1"


def test_an_archive_that_was_changed_after_the_gate_is_not_registered(candidates: Candidates) -> None:
    run, archive = candidates.make()
    decision = candidates.judge(run, archive)
    Path(archive.url).write_bytes(b"something else")

    with pytest.raises(ArchiveMismatch, match="was changed"):
        candidates.register(run, archive, decision)


def test_a_candidate_that_beat_an_earlier_champion_must_meet_the_present_one(candidates: Candidates) -> None:
    slow, fast = candidates.make(), candidates.make()
    slow_decision, fast_decision = candidates.judge(*slow), candidates.judge(*fast)
    champion = candidates.register(*fast, fast_decision)
    registry.set_champion(candidates.spec.name, champion.version)

    with pytest.raises(GateRefused, match="judged against no champion"):
        candidates.register(*slow, slow_decision)

    again = candidates.judge(*slow, champion=champion)
    assert candidates.register(*slow, again).version == "2"


def test_a_run_that_logged_no_model_is_told_how_to(candidates: Candidates) -> None:
    run, archive = candidates.make(logs_a_model=False)
    decision = candidates.judge(run, archive)
    with pytest.raises(InvalidProject, match=r"mlflow\.pyfunc\.log_model"):
        candidates.register(run, archive, decision)


def test_a_champion_that_a_person_made_in_mlflow_is_not_taken_for_ours(candidates: Candidates) -> None:
    run, _ = candidates.make()
    client, name = registry.client(), candidates.spec.name
    client.create_registered_model(name)
    version = client.create_model_version(name, source=f"runs:/{run.run_id}/model", run_id=run.run_id)
    assert registry.champion(name) is None
    client.set_registered_model_alias(name, registry.ALIAS, version.version)

    with pytest.raises(RegistryError, match="not registered by Perennial"):
        registry.champion(name)
    assert registry.find_version(name, run.run_id) is None


def test_a_registry_that_is_down_is_not_a_model_without_champion(
    candidates: Candidates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next candidate would be judged as a first model, against nothing."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("PERENNIAL_MLFLOW_URL", "http://127.0.0.1:1")
    settings.cache_clear()

    with pytest.raises(MlflowException):
        registry.champion(candidates.spec.name)


def test_a_run_without_lineage_is_told_so(candidates: Candidates) -> None:
    run_id = registry.client().create_run(candidates.experiment).info.run_id
    with pytest.raises(RegistryError, match=r"lineage/training_run\.json"):
        registry.training_run(run_id)


def test_a_real_archive_is_evaluated_judged_and_refused_by_the_verbs(
    candidates: Candidates, home: Path
) -> None:
    """Its handler always answers 1: as good as the baseline, and not good enough to be a first model."""
    run, _ = candidates.make()
    archive = build_archive(home, candidates.spec.name, 1).model_copy(update={"run_id": run.run_id})
    parts = {name: part(home, name, rows(300)) for name in ("train", "test")}
    run = run.model_copy(update={"snapshot": run.snapshot.model_copy(update=parts)})
    context = StepContext(actor="train/run/evaluate", step_key="evaluate", work_url=str(home / "work"))

    report = evaluate.evaluate(
        EvaluateRequest(
            context=context,
            spec=candidates.spec,
            run=run,
            archive=archive,
            champion=Champion(model=candidates.spec.name, version=None, serves=False),
        )
    )
    decision = gate.gate(
        GateRequest(context=context, spec=candidates.spec, run=run, archive=archive, evaluation=report)
    )

    assert decision.verdict == "reject"
    assert {"first_model_minimum.accuracy", "gain_over_baseline"} <= {
        rule.rule for rule in decision.rules if not rule.passed
    }
    kept = mlflow.artifacts.load_text(f"runs:/{run.run_id}/evaluation/report.json")
    assert EvaluationReport.model_validate_json(kept) == report
    found = registry.client().get_run(run.run_id).data.metrics
    assert (found["test_accuracy"], found["test_accuracy_baseline"]) == (0.5, 0.5)


def test_files_and_numbers_of_an_evaluation_are_kept_with_the_run(candidates: Candidates, home: Path) -> None:
    run, _ = candidates.make()
    (home / "answers.parquet").write_bytes(b"PAR1")

    registry.log_file(run.run_id, "evaluation", str(home / "answers.parquet"))
    registry.log_metrics(run.run_id, {"test_accuracy": 0.9, "test_accuracy_low": 0.88})

    found = [each.path for each in registry.client().list_artifacts(run.run_id, "evaluation")]
    assert found == ["evaluation/answers.parquet"]
    assert registry.client().get_run(run.run_id).data.metrics == {
        "test_accuracy": 0.9,
        "test_accuracy_low": 0.88,
    }
