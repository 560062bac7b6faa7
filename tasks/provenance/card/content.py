"""What stands in a card: a pure function of what the records say, and of what people wrote."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tasks.contracts import (
    Column,
    DecisionOf,
    Energy,
    Explanation,
    Explanations,
    LedgerEntry,
    ModelCard,
    ModelVersion,
)
from tasks.provenance.card.limits import limits_of
from tasks.spec import PipelineSpec


@dataclass(frozen=True)
class Beside:
    """What the records do not say, and was asked or computed for the card.

    Attributes:
        not_explained: Why there are no explanations; a sentence.
        notes: What could not be found, and why; sentences.
    """

    explanations: Explanations | None = None
    not_explained: str | None = None
    energy: Energy | None = None
    notes: Sequence[str] = ()


def card_of(
    spec: PipelineSpec, version: ModelVersion, found: Explanation, beside: Beside, at: datetime
) -> ModelCard:
    """The card.

    Args:
        found: What `why` says of the version.
        at: When it is made.

    Raises:
        ValueError: `found` has no lineage, so it is not about a version.
    """
    if found.lineage is None:
        raise ValueError(f"What was found is about {found.subject.kind}, and a card is of a version.")
    report = found.evaluation
    return ModelCard(
        model=spec.name,
        version=version.version,
        run_id=version.run_id,
        made_at=at,
        description=spec.description,
        owner=spec.owner,
        task=spec.task,
        said=spec.card,
        columns=columns_of(spec),
        lineage=found.lineage,
        parent=report.champion.run_id if report and report.champion else None,
        evaluation=report,
        gate=found.gate,
        fairness_limits={each.column: {**each.maximum_gap} for each in spec.gate.fairness},
        measured_limits=limits_of(report) if report else (),
        explanations=beside.explanations,
        not_explained=beside.not_explained,
        energy=beside.energy,
        decisions=tuple(map(decision_of, found.decisions)),
        broken_entries=found.broken_entries,
        notes=(*found.lineage.notes, *beside.notes),
    )


def columns_of(spec: PipelineSpec) -> tuple[Column, ...]:
    """Each column that the model's rows have a use for, with the use; the features first."""
    types = {name: kind for table in reversed(spec.data.all_tables) for name, kind in table.columns.items()}
    uses: dict[str, list[str]] = {name: ["feature"] for name in spec.data.features}
    for name, use in (
        (spec.data.label, "label"),
        (spec.data.key, "key"),
        *((each.column, "slices of the evaluation") for each in spec.data.slice_by),
    ):
        uses.setdefault(name, []).append(use)
    return tuple(Column(name=name, type=types.get(name), use=", ".join(use)) for name, use in uses.items())


def decision_of(entry: LedgerEntry) -> DecisionOf:
    """An entry without its evidence, which the ledger keeps."""
    return DecisionOf(**{name: getattr(entry, name) for name in DecisionOf.model_fields if name in _OF_ENTRY})


_OF_ENTRY = frozenset(LedgerEntry.model_fields) - {"contract_version"}
