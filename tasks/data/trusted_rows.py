"""Which rows of the test part are so old that somebody would have objected by now."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import pyarrow as pa

from tasks.data.model_query import ask
from tasks.errors import InvalidQuery, LakeError
from tasks.spec import PipelineSpec
from tasks.stores.lake import Lake
from tasks.stores.same_rows import same_rows


def aged(
    lake: Lake, spec: PipelineSpec, test: pa.Table, versions: Mapping[str, int], at: datetime
) -> pa.Table | None:
    """The rows of the test part that the model's query gave, in the same words, `gate.anchor_age_days` before
    `at`; None where its tables were not there then.

    A row that a later batch changed is not among them: there are two opinions of it.

    Args:
        versions: The versions that the test part is of.
    """
    cutoff = at - timedelta(days=spec.gate.anchor_age_days)
    try:
        then = {name: min(version, lake.version_at(name, cutoff)) for name, version in versions.items()}
    except LakeError:  # there was no such table yet
        return None
    if then == versions:
        return test
    try:
        rows = ask(lake, spec.data, then, widened=True)
    except InvalidQuery as error:
        print(f"No row counts as old: data.query fails on the tables as they were at {cutoff}: {error}")
        return None
    return test.filter(pa.array(same_rows(test, rows, spec.data.key, (spec.data.label,))))
