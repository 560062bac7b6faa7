"""Let the version that serves answer the rows of a table, and keep the answers in the lake.

The requests go through the gateway, so that the same archive answers and the same log has them. Killed
anywhere, the step goes on after the last row that the lake holds, which is part of the lake's own
transactions: each row is in the table once. What was answered and not yet appended is answered again, and is
twice in the gateway's log.
"""

import hashlib
import time
from collections.abc import Sequence

import pyarrow as pa

from tasks.contracts import BatchPredicted, PredictBatchRequest
from tasks.data.batch_answers import AWAY, PREDICTED, Answer, answers_of, as_line, as_rows, requests_of
from tasks.data.model_query import refuse_unrepeatable, tables_named
from tasks.errors import InvalidRequest, ServingError
from tasks.serving.gateway import Gateway
from tasks.stores.lake import Lake
from tasks.stores.lake_rows import ADDED, without_null_types
from tasks.stores.lake_sql import literal

ROWS_AN_APPEND = 10_000
ROWS_A_REQUEST = 1_000
BYTES_A_REQUEST = 4 * 2**20
WAITS_SECONDS = (1.0, 5.0)
"""Before rows are asked again that came to nothing through no fault of theirs."""


def predict_batch(request: PredictBatchRequest) -> BatchPredicted:
    """Append a prediction, or why there is none, for each row of the source.

    Raises:
        InvalidQuery: The source is wrong, or gives other rows each time.
        InvalidRequest: It lacks a feature of the model, or has a column of a name that predictions have;
            `into` holds something else.
        LakeError: There is no such table, it did not exist at `as_of`, or `into` has columns of other types.
        ServingError: The gateway does not answer, the model is not served, or nothing of a request was
            answered; what was appended before stays, and another try goes on after it.
    """
    lake, gateway = Lake(), Gateway()
    rows, job = _source(lake, request), job_of(request)
    _require_table_for(lake, request.into, rows.schema)
    features = rows.select(request.spec.data.features)
    done = _appended(lake, request.into, job)
    while done < len(rows):
        lines = [as_line(row) for row in features.slice(done, ROWS_AN_APPEND).to_pylist()]
        answers = [
            answer
            for body in requests_of(lines, ROWS_A_REQUEST, BYTES_A_REQUEST)
            for answer in _answered(gateway, request.spec.name, body)
        ]
        append(lake, request.into, as_rows(rows.slice(done, len(lines)), answers, job, done), job, done)
        done = _appended(lake, request.into, job)
    return _told(lake, request, job, len(rows))


def job_of(request: PredictBatchRequest) -> str:
    """The same for every try of one run, and for no other run."""
    return hashlib.sha256(request.context.run_key.encode()).hexdigest()[:16]


def append(lake: Lake, into: str, rows: pa.Table, job: str, done: int) -> None:
    """Append the rows after the first `done` of a job, unless another try of it has by now."""
    end = done + len(rows)
    batch = f"predictions-{job}-{done}-{end - 1}"
    lake.append(into, rows, batch_id=batch, app_id=_app_id(job), app_version=end, app_previous=done)


def _appended(lake: Lake, into: str, job: str) -> int:
    return lake.app_version(into, _app_id(job)) or 0


def _app_id(job: str) -> str:
    return f"predict_batch:{job}"


def _source(lake: Lake, request: PredictBatchRequest) -> pa.Table:
    """The rows to predict, the same and in the same order at each try."""
    refuse_unrepeatable(request.query)
    named = {name for name in tables_named(request.query) if _is_table(lake, name)}
    pinned = {name: (name, lake.version_at(name, request.as_of)) for name in named}
    keys = {each.table: each.key for each in request.spec.data.all_tables if each.table in named}
    found = lake.query(request.query, pinned, newest_by=keys)
    rows = found.select([name for name in found.column_names if name not in ADDED.names])
    if missing := sorted(set(request.spec.data.features) - set(rows.column_names)):
        raise InvalidRequest(
            f"The source does not return the columns {missing}, which {request.spec.name} predicts from; it "
            f"returns {rows.column_names}. Add them to the query."
        )
    if taken := sorted(set(PREDICTED.names) & set(rows.column_names)):
        raise InvalidRequest(
            f"The source returns the columns {taken}, and predictions have columns of these names. Rename "
            "them in the query (AS), or leave them out (SELECT * EXCLUDE ...)."
        )
    return rows.cast(without_null_types(rows.schema))


def _is_table(lake: Lake, name: str) -> bool:
    return name.isidentifier() and name.islower() and lake.exists(name)


def _require_table_for(lake: Lake, into: str, source: pa.Schema) -> None:
    """Make the table fit for the rows, or refuse one that holds something else."""
    wanted = pa.unify_schemas([PREDICTED, source])
    if not lake.exists(into):
        return
    there = set(lake.read(into, where_sql="false").column_names)
    if lacking := sorted(set(PREDICTED.names) - there):
        raise InvalidRequest(
            f"The table {into!r} is in the lake and is none of predictions: it has no {', '.join(lacking)}. "
            "Name another one in `into`."
        )
    lake.widen(into, wanted)


def _answered(gateway: Gateway, model: str, lines: Sequence[bytes]) -> list[Answer]:
    """The answer to each line. Those that came to nothing through no fault of the row are asked again.

    Raises:
        ServingError: None of them was answered then, either, or not all answers came.
    """
    told = _ask(gateway, model, lines)
    for seconds in WAITS_SECONDS:
        again = [place for place, answer in enumerate(told) if answer.get("status") in AWAY]
        if not again:
            return told
        time.sleep(seconds)
        anew = _ask(gateway, model, [lines[place] for place in again])
        for place, answer in zip(again, anew, strict=True):
            told[place] = answer
    if all(answer.get("status") in AWAY for answer in told):
        raise ServingError(
            f"{model} answered none of {len(lines)} rows: {told[0]['error']} What was appended before stays; "
            "the next try goes on after it."
        )
    return told


def _ask(gateway: Gateway, model: str, lines: Sequence[bytes]) -> list[Answer]:
    told = answers_of(gateway.predict_batch(model, lines), len(lines))
    if told is None:
        raise ServingError(f"The gateway's answer for {len(lines)} rows of {model} was cut off. Try again.")
    return told


def _told(lake: Lake, request: PredictBatchRequest, job: str, rows: int) -> BatchPredicted:
    """What the table has of the job."""
    into = request.into
    errors, versions = 0, tuple[str, ...]()
    if rows:
        told = lake.read(into, columns=("error", "model_version"), where_sql=f"job = {literal(job)}")
        errors = len(told) - told.column("error").null_count
        versions = tuple(sorted(set(told.column("model_version").to_pylist()) - {None}))
    return BatchPredicted(
        model=request.spec.name,
        into=into,
        job=job,
        rows=rows,
        errors=errors,
        versions=versions,
        table_version=lake.latest(into) if rows else None,
    )
