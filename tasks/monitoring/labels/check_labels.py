"""Look at the labels of batches that nobody has judged yet, before anything is trained on them.

Each batch is compared with the batches that came before it and are not quarantined, in the order of arrival.
It runs in the model's own environment, because the champion answers, and so writes nothing down: the verb
`quarantine` does.
"""

import numpy as np
import pandas as pd

from tasks.contracts import (
    Agreement,
    BatchFindings,
    BatchState,
    BatchVerdict,
    CheckLabelsRequest,
    LabelCheck,
    PinnedTable,
)
from tasks.data import batches as known_batches
from tasks.data.model_query import ask, pin, training_rows
from tasks.evaluation.answers import Target
from tasks.monitoring.labels.agreement import agreements
from tasks.monitoring.labels.decide import decide
from tasks.monitoring.labels.judge import Rows, judge
from tasks.spec import PipelineSpec, declared_classes, in_order
from tasks.stores import registry
from tasks.stores.lake import Lake
from tasks.stores.lake_sql import IS_MARK, IS_RECALL, quote

FIRST = "it is of the first batches of this table, so there are none to compare it with"
NOT_CLASSES = "labels that are numbers are not judged"


def check_labels(request: CheckLabelsRequest) -> LabelCheck:
    """Judge the labels of each new batch of the model's table.

    At a model's first check there is nothing to compare with: what is there then is what later batches are
    compared with.

    Raises:
        InvalidProject: The model's query is wrong.
        LakeError: There is no such table, or it did not exist at `as_of`.
    """
    spec, lake = request.spec, Lake()
    versions = pin(lake, spec.data, request.as_of)
    states = known_batches.states(lake, spec.name, spec.data.table)
    order = _in_order_of_arrival(lake, spec, versions)
    new = [batch_id for batch_id in order if batch_id not in states] if spec.data.label_check.enabled else []
    accepted = [
        batch_id for batch_id in order if states.get(batch_id) in {"passed", "cannot_tell", "released"}
    ]
    if not new or not states or spec.task == "regression":
        why = NOT_CLASSES if spec.task == "regression" else FIRST
        verdicts = [_untold(batch_id, why, spec) for batch_id in new]
    else:
        rows = _rows(lake, spec, versions, states)
        verdicts = list(judge(rows, spec.data, new, accepted, _agreements(rows, spec, new)))
    for verdict in verdicts:
        print(verdict.why, flush=True)
    tables = tuple(
        PinnedTable(table=name, version=version, version_at=lake.committed_at(name, version))
        for name, version in versions.items()
    )
    return LabelCheck(model=spec.name, table=spec.data.table, tables=tables, verdicts=tuple(verdicts))


def _untold(batch_id: str, why: str, spec: PipelineSpec) -> BatchVerdict:
    findings = BatchFindings(batch_id=batch_id, rows=0, history_rows=0, untold=(why,))
    return decide(findings, spec.data.label_check)


def _in_order_of_arrival(lake: Lake, spec: PipelineSpec, versions: dict[str, int]) -> list[str]:
    table = spec.data.table
    listed = (
        f"SELECT batch_id FROM {table} WHERE NOT {IS_MARK} AND NOT {IS_RECALL} AND batch_id IS NOT NULL "  # noqa: S608 - names of the specification
        "GROUP BY batch_id ORDER BY min(ingested_at), batch_id"
    )
    found: list[str] = lake.query(listed, {table: (table, versions[table])})["batch_id"].to_pylist()
    return found


def _rows(lake: Lake, spec: PipelineSpec, versions: dict[str, int], states: dict[str, BatchState]) -> Rows:
    """The labelled rows of every batch that is not quarantined, in the order of their key."""
    data = spec.data
    bad = [batch_id for batch_id, state in states.items() if state in known_batches.LEFT_OUT]
    without = known_batches.without(data.table, bad)
    rows = training_rows(lake, spec, versions, without)
    of_key = f"SELECT {quote(data.key)} AS key, batch_id FROM {data.table}"  # noqa: S608 - names of the specification
    came_in = ask(lake, data, versions, of_key, without=without).to_pandas().drop_duplicates("key")
    batch_of = came_in.set_index("key")["batch_id"]
    batches = batch_of.reindex(rows[data.key].to_pandas()).to_numpy(dtype=object)
    labels = rows[data.label].to_pylist()
    classes = declared_classes(spec.serving.label_schema) or in_order(
        label for label in labels if label is not None
    )
    target = Target(spec.task, classes)
    codes = target.encode(labels)
    usable = np.flatnonzero((codes >= 0) & ~pd.isna(batches))
    usable = usable[np.argsort(np.array(rows[data.key].to_pylist(), dtype=object)[usable], kind="stable")]
    return Rows(rows.take(usable), codes[usable], batches[usable], target)


def _agreements(rows: Rows, spec: PipelineSpec, new: list[str]) -> dict[str, Agreement | str]:
    """How each batch that has rows enough agrees with the version that MLflow's alias names."""
    enough = spec.data.label_check.minimum_rows
    batch_ids = [batch_id for batch_id in new if len(rows.of([batch_id])) >= enough]
    if not batch_ids:
        return {}
    aliased = registry.aliased_version(spec.name)
    if aliased is None:
        return dict.fromkeys(batch_ids, "there is no champion yet that the labels could agree with")
    champion = registry.get_version(spec.name, aliased)
    run = registry.training_run(champion.run_id)
    return agreements(spec, champion, run, rows, batch_ids)
