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
    then = versions_then(lake, spec, versions, at)
    if then is None:
        return None
    if then == versions:
        return test
    try:
        rows = ask(lake, spec.data, then, widened=True)
    except InvalidQuery as error:
        print(f"No row counts as old: data.query fails on the tables as they were then ({then}): {error}")
        return None
    return test.filter(pa.array(same_rows(test, rows, spec.data.key, (spec.data.label,))))


def versions_then(
    lake: Lake, spec: PipelineSpec, versions: Mapping[str, int], at: datetime
) -> dict[str, int] | None:
    """The version of each table `gate.anchor_age_days` before `at`; None where one was not there yet."""
    cutoff = at - timedelta(days=spec.gate.anchor_age_days)
    try:
        return {name: min(version, lake.version_at(name, cutoff)) for name, version in versions.items()}
    except LakeError:
        return None
