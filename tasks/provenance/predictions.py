"""Predictions as they were logged: in the gateway's own log, and in the lake once they were collected."""

import json
from typing import Any

from tasks.contracts import Answer, Answers, Label
from tasks.serving.gateway import Gateway
from tasks.stores import files
from tasks.stores.lake import Lake
from tasks.stores.lake_sql import literal, quote

GATEWAY = "the gateway's log"
PREDICTIONS = "__predictions"


def at_gateway(row: dict[str, Any]) -> Answer:
    """A row of the gateway's log."""
    labels = tuple(
        Label(label=each["label"], received_at=each["received_at"], sent_by=each["sent_by"])
        for each in row["labels"]
    )
    own = {"request": row["features"], "prediction": row["prediction"], "labels": labels}
    return Answer(**_shared(row), **own, kept_in=GATEWAY)


def in_lake(lake: Lake, prediction_id: str) -> Answer | None:
    """The prediction with this id, of whichever model; None where it was never collected."""
    for entry in sorted(entry.name for entry in files.entries(files.at(lake.url))):
        if entry.endswith(PREDICTIONS) and lake.exists(entry):
            rows = lake.read(entry, where_sql=f"prediction_id = {literal(prediction_id)}").to_pylist()
            if rows:
                return _collected(lake, entry, rows[0])
    return None


def _collected(lake: Lake, table: str, row: dict[str, Any]) -> Answer:
    model = table.removesuffix(PREDICTIONS)
    own = {"request": json.loads(row["request"]), "prediction": json.loads(row["prediction"])}
    labels = tuple(_labels(lake, f"{model}__feedback", row["prediction_id"]))
    where = f"the lake's table {table}"
    return Answer(**_shared(row | {"model": model}), **own, labels=labels, kept_in=where)


def _labels(lake: Lake, table: str, prediction_id: str) -> list[Label]:
    if not lake.exists(table):
        return []
    where = f"prediction_id = {literal(prediction_id)} ORDER BY sequence"
    rows = lake.read(table, where_sql=where).to_pylist()
    return [
        Label(label=json.loads(row["label"]), received_at=row["received_at"], sent_by=row.get("sent_by"))
        for row in rows
    ]


def _shared(row: dict[str, Any]) -> dict[str, Any]:
    names = ("prediction_id", "model", "model_version", "run_id", "predicted_at", "score")
    return {name: row[name] for name in names} | {
        name: row.get(name) for name in ("latency_seconds", "sent_by")
    }


def answers_of(lake: Lake, model: str, run_id: str, gateway: Gateway | None) -> Answers:
    """How many answers a run gave: those in the lake, and those that the gateway has beyond them.

    Args:
        gateway: None where it does not answer.
    """
    table = f"{model}{PREDICTIONS}"
    where = f"run_id = {literal(run_id)}"
    query = f"SELECT * FROM {table} WHERE {where}"  # noqa: S608 - for people, over the table of the lake
    counting = f"""
        SELECT count(*) AS rows, min(predicted_at) AS first_at, max(predicted_at) AS last_at
        FROM {quote(table)} WHERE {where}
    """  # noqa: S608 - quoted
    counts = lake.query(counting, [table]).to_pylist() if lake.exists(table) else []
    if gateway is not None:
        collected = lake.app_version(table, f"collect:{model}:predictions:{gateway.log_id()}") or 0
        counts.append(gateway.answers(model, run_id, collected))
    parts = [Answers(**count, query=query) for count in counts]
    first = [part.first_at for part in parts if part.first_at]
    last = [part.last_at for part in parts if part.last_at]
    return Answers(
        rows=sum(part.rows for part in parts),
        first_at=min(first, default=None),
        last_at=max(last, default=None),
        query=query,
    )
