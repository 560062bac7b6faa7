"""What candidate, champion and root score on each set of rows, and how they differ there."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tasks.contracts import Anchor, EvaluateRequest, FrozenSets, Metric, PairedDifference, SetScore
from tasks.evaluation import metrics
from tasks.evaluation.answers import Judged
from tasks.evaluation.frozen_rows import Frozen
from tasks.evaluation.sets import Known, Sets, anchor_of
from tasks.spec import PipelineSpec
from tasks.stores.same_rows import Mask


@dataclass(frozen=True)
class Answered:
    """Each model's answers to the same rows; None where there is no such model."""

    candidate: Judged
    champion: Judged | None
    root: Judged | None

    def where(self, rows: Mask) -> "Answered":
        """Their answers to some of the rows; a model that is the candidate itself stays it."""
        candidate = self.candidate.where(rows)

        def chosen(model: Judged | None) -> Judged | None:
            if model is None:
                return None
            return candidate if model is self.candidate else model.where(rows)

        return Answered(candidate, chosen(self.champion), chosen(self.root))


def frozen_sets(sets: Sets, answered: Answered, request: EvaluateRequest, known: Known) -> FrozenSets:
    """Score the anchor and the newest rows, and keep the anchor as it is from now on."""
    spec = request.spec

    def scored(rows: Mask | None) -> SetScore | None:
        return None if rows is None else set_score(answered.where(rows), spec, sets.frozen.where(rows))

    newest = scored(sets.newest)
    same = sets.newest is None or sets.suspect is None or np.array_equal(sets.newest, sets.suspect)
    return FrozenSets(
        anchor=Anchor(
            part=anchor_of(sets, request.run.snapshot, known, request.context.work_url),
            base_sha256=known.anchor.sha256 if known.anchor else None,
            added_rows=sets.added_rows,
            score=scored(sets.anchor),
            unusable=sets.unusable,
        ),
        unconfirmed_rows=int(sets.unconfirmed.sum()),
        newest=newest,
        suspect=newest if same else scored(sets.suspect),
        world_sha256=known.world.sha256 if known.world else None,
    )


def set_score(answered: Answered, spec: PipelineSpec, frozen: Frozen) -> SetScore:
    """The primary metric of each model on these rows."""
    name, champion = spec.gate.primary_metric, answered.champion
    dealt = champion and metrics.at_random(name, frozen.target, frozen.truth, champion.answers)
    return SetScore(
        rows=len(frozen.rows),
        candidate=_metric(answered.candidate, spec, frozen),
        champion=_metric(champion, spec, frozen),
        to_champion=overall_difference(answered.candidate, champion, spec, frozen),
        to_root=overall_difference(answered.candidate, answered.root, spec, frozen),
        at_random=dealt,
    )


def _metric(model: Judged | None, spec: PipelineSpec, frozen: Frozen) -> Metric | None:
    if model is None:
        return None
    found = metrics.measure([spec.gate.primary_metric], frozen.target, frozen.truth, model.answers).metrics
    return found[0] if found else None


def overall_difference(
    candidate: Judged, other: Judged | None, spec: PipelineSpec, frozen: Frozen
) -> PairedDifference | None:
    """Candidate minus another model on all rows; None where the metric is not defined for both."""
    if other is None:
        return None
    found = next(differences(candidate, other, spec, frozen), None)
    return found if found is not None and found.slice_value is None else None


def differences(
    candidate: Judged, champion: Judged, spec: PipelineSpec, frozen: Frozen
) -> Iterator[PairedDifference]:
    """Candidate minus champion on all rows, and on each slice where both are defined."""
    everything = np.ones(len(frozen.rows), dtype=np.bool_)
    for column, value, chosen in ((None, None, everything), *frozen.parts()):
        if candidate is champion:
            yield _no_difference(column, value, int(chosen.sum()))
            continue
        own, its = candidate.answers.where(chosen), champion.answers.where(chosen)
        found = metrics.difference(
            spec.gate.primary_metric, frozen.target, frozen.truth[chosen], own, its, value
        )
        if found is not None:
            yield found.model_copy(update={"slice_column": column})


def _no_difference(slice_column: str | None, slice_value: str | None, rows: int) -> PairedDifference:
    return PairedDifference(
        slice_value=slice_value,
        rows=rows,
        difference=0,
        low=0,
        high=0,
        p_value=1,
        p_not_better=1,
        p_not_worse=1,
        slice_column=slice_column,
    )
