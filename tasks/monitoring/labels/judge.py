"""Judge new batches one after the other, each against those before it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tasks.contracts import Agreement, Association, BatchFindings, BatchVerdict, LabelNoise, UnusualShare
from tasks.evaluation.answers import Target
from tasks.monitoring.domain_classifier import Kind, kinds_of
from tasks.monitoring.labels import noise
from tasks.monitoring.labels.association import Known, Learnable, association
from tasks.monitoring.labels.decide import decide, level
from tasks.monitoring.labels.shares import unusual_share
from tasks.spec import DataSpec, label_text

SEED = 20_250_101
KIND_ROWS = 2_000
"""As many rows say whether a column is text."""


@dataclass(frozen=True)
class Rows:
    """Labelled rows of the model's query.

    Attributes:
        labels: Class codes, shape (rows,).
        batches: The batch that each row came in.
    """

    table: pa.Table
    labels: NDArray[np.int64]
    batches: NDArray[np.object_]
    target: Target

    @cached_property
    def places(self) -> dict[str, NDArray[np.int64]]:
        """The places of each batch's rows, found in one pass: each check asks for every earlier batch."""
        names, code = np.unique(self.batches.astype(str), return_inverse=True)
        ends = np.cumsum(np.bincount(code, minlength=len(names)))[:-1]
        return dict(zip(names.tolist(), np.split(np.argsort(code, kind="stable"), ends), strict=True))

    def of(self, batch_ids: Sequence[str]) -> NDArray[np.int64]:
        """The places of the rows of some batches."""
        found = [self.places[each] for each in set(batch_ids) if each in self.places]
        return np.sort(np.concatenate(found)) if found else np.array([], dtype=np.int64)

    def sizes(self) -> dict[str, int]:
        """How many rows each batch has."""
        return {name: len(rows) for name, rows in self.places.items()}

    def counts(self, batch_id: str) -> NDArray[np.int64]:
        """How often each label is in a batch, shape (classes,)."""
        return np.bincount(self.labels[self.of([batch_id])], minlength=len(self.target.classes))


@dataclass
class Measured:
    """What was found of a batch so far, and what could not be told."""

    found: dict[str, object] = field(default_factory=dict)
    untold: list[str] = field(default_factory=list)

    def add(self, name: str, value: object) -> None:
        """A sentence in place of a finding says why there is none."""
        if isinstance(value, str):
            self.untold.append(value)
        else:
            self.found[name] = value


def judge(
    rows: Rows,
    data: DataSpec,
    new: Sequence[str],
    accepted: Sequence[str],
    agreed: Mapping[str, Agreement | str],
    known: Known | None = None,
) -> Iterator[BatchVerdict]:
    """Each new batch against those before it; one that is quarantined is no history of the next.

    Args:
        new: The batches to judge, in the order of arrival.
        accepted: Those before them that are trained on.
        agreed: How each that has rows enough agrees with the champion, or why that is not known.
        known: How well the rows of batches tell their labels, as far as it was measured; more is added.
    """
    rules = data.label_check
    history = list(accepted)
    known = {} if known is None else known
    for batch_id in new:
        measured = Measured()
        own, before = rows.of([batch_id]), rows.of(history)
        if len(own) < rules.minimum_rows:
            measured.untold.append(
                f"it has {len(own)} labelled rows, fewer than the {rules.minimum_rows} of "
                "data.label_check.minimum_rows"
            )
        else:
            measured.add("share", _share(rows, data, batch_id, history))
            measured.add("noise", _noise(rows, data, own, before))
            measured.add("agreement", agreed[batch_id])
            measured.add("association", _association(rows, data, batch_id, history, known))
        findings = BatchFindings.model_validate(
            {"batch_id": batch_id, "rows": len(own), "history_rows": len(before)}
            | {**measured.found, "untold": tuple(measured.untold)}
        )
        verdict = decide(findings, rules)
        if verdict.state != "quarantined":
            history.append(batch_id)
        yield verdict


def _share(rows: Rows, data: DataSpec, batch_id: str, history: list[str]) -> UnusualShare | str:
    rules = data.label_check
    counts = np.array([rows.counts(each) for each in history]).reshape(len(history), -1)
    names = [label_text(label) for label in rows.target.classes]
    found = unusual_share(rows.counts(batch_id), counts, names, rules.tolerated_shift, level(rules))
    return found or f"{len(history)} earlier batches are too few to know how much their labels differ"


def _noise(rows: Rows, data: DataSpec, own: NDArray[np.int64], before: NDArray[np.int64]) -> LabelNoise | str:
    if not len(before):
        return "there are no earlier rows to estimate wrong labels from"
    features = rows.table.select(list(data.features))
    kinds = _kinds(features, data, before)
    history = _sample(before, noise.most_history_rows(kinds))
    batch = _sample(own, noise.rows_to_judge(len(history)))
    frames = [features.take(each).to_pandas() for each in (history, batch)]
    return noise.estimate(
        frames[0],
        rows.labels[history],
        frames[1],
        rows.labels[batch],
        kinds,
        data.label_check.maximum_noise_share,
    )


def _association(
    rows: Rows, data: DataSpec, batch_id: str, history: list[str], known: Known
) -> Association | str:
    before = {each: rows.of([each]) for each in history}
    if not history:
        return "there are no earlier batches to compare how well its rows tell its labels"
    features = rows.table.select(list(data.features))
    kinds = _kinds(features, data, np.concatenate(list(before.values())))
    learnable = Learnable(features, rows.labels, kinds, known)
    return association(learnable, batch_id, rows.of([batch_id]), before, level(data.label_check))


def _kinds(features: pa.Table, data: DataSpec, before: NDArray[np.int64]) -> dict[str, Kind]:
    return kinds_of(data.feature_types, features.take(_sample(before, KIND_ROWS)).to_pandas())


def _sample(places: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most so many of the rows, always the same ones."""
    if len(places) <= most:
        return places
    return np.sort(np.random.default_rng(SEED).choice(places, most, replace=False))
