"""Make a card from the records, asking nothing of the archive but where that is wanted."""

from datetime import UTC, datetime

from tasks.contracts import (
    Energy,
    EnergyAssumptions,
    EvaluationReport,
    Explanation,
    Explanations,
    ModelCard,
    ModelVersion,
    Subject,
)
from tasks.errors import CheckFailed, InvalidProject, InvalidRequest, ServingError
from tasks.provenance.card.content import Beside, card_of, decision_of
from tasks.provenance.card.energy import energy_of, seconds_of
from tasks.provenance.card.explain import explain
from tasks.provenance.notes import Notes
from tasks.provenance.why import explain as explain_subject
from tasks.spec import PipelineSpec
from tasks.stores import registry

NOT_EXPLAINABLE = (CheckFailed, InvalidProject, InvalidRequest, ServingError)
"""Why a card may have no explanations, and stay a card: nothing of it depends on them."""


def gather(spec: PipelineSpec, version: ModelVersion, assumed: EnergyAssumptions, *, ask: bool) -> ModelCard:
    """The card of a version, as it is to be told now.

    Args:
        ask: Whether its archive is asked what moves its answers, which takes up to minutes.

    Raises:
        LedgerBroken: The ledger cannot be read.
        RegistryError: MLflow does not answer.
    """
    found, notes = _found(version), Notes()
    energy = notes.unless_missing("What its training took", lambda: _energy(spec, version, assumed))
    explanations, why = _explanations(spec, version, found) if ask else (None, None)
    beside = Beside(explanations, why, energy, tuple(notes))
    return card_of(spec, version, found, beside, datetime.now(UTC))


def with_decisions_since(card: ModelCard, version: ModelVersion) -> ModelCard:
    """The card with what the ledger says of the version by now. Raises as `gather`."""
    found = _found(version)
    return card.model_copy(
        update={
            "decisions": tuple(map(decision_of, found.decisions)),
            "broken_entries": found.broken_entries,
        }
    )


def _found(version: ModelVersion) -> Explanation:
    return explain_subject(
        Subject(kind="version", model=version.model, version=version.version, run_id=version.run_id)
    )


def _energy(spec: PipelineSpec, version: ModelVersion, assumed: EnergyAssumptions) -> Energy | None:
    wall = registry.run_seconds(version.run_id)
    if wall is None:
        return None
    return energy_of(seconds_of(wall, registry.run_tags(version.run_id), spec.resources), assumed)


def _explanations(
    spec: PipelineSpec, version: ModelVersion, found: Explanation
) -> tuple[Explanations | None, str | None]:
    run = found.lineage.run if found.lineage else None
    if run is None:
        return None, "What it was trained and tested on is not known."
    try:
        return explain(spec, run, version.archive, _latency(found.evaluation)), None
    except NOT_EXPLAINABLE as error:
        return None, str(error)


def _latency(report: EvaluationReport | None) -> float | None:
    return report.candidate.latency_p50_seconds if report else None
