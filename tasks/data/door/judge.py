"""Judge labelled requests before they land, and hold those that look like no ordinary traffic.

A request is judged among all of its day whose labels have come so far, landed or not, so that a flood is seen
whose labels come in small portions; what a load test or a health check asks, and nobody labels, counts for
nothing. The ledger says what is held and why before it is.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.contracts import Action, DoorScales, LedgerEntry
from tasks.data.door import held
from tasks.data.door.decide import decide
from tasks.data.door.look_at import Looked, look_at
from tasks.data.door.reference import scales_of
from tasks.data.door.told import Suspicious, held_name, of_all, of_one
from tasks.data.typed_values import from_python
from tasks.ledger import entries
from tasks.spec import PipelineSpec
from tasks.stores.lake import Lake
from tasks.stores.lake_sql import literal, quote

MOST_OF_A_DAY = 10_000
"""So many labelled requests of a day are looked at; beside those that are judged, their ids say which."""


def hold_back(
    lake: Lake, spec: PipelineSpec, candidates: pa.Table, versions: tuple[int, int], actor: str
) -> None:
    """Hold those of the candidates that are suspicious and were not judged so before.

    Args:
        candidates: With the column `prediction_id`; what is labelled and has not landed.
        versions: Of the tables of predictions and of labels that they are of.
        actor: Who the ledger says held them.

    Raises:
        InvalidQuery: The model's query is wrong.
        LedgerBroken: Nothing can be recorded, so nothing lands.
    """
    while spec.data.door.enabled:
        number = held.newest_number(lake, spec.name) + 1
        known = held.states(lake, spec.name)["prediction_id"].combine_chunks()
        ids = candidates["prediction_id"].combine_chunks()
        asked = ids.filter(pc.invert(pc.is_in(ids, known)))
        if not len(asked):
            return
        requests = _requests(lake, spec, asked, versions)
        scales = _scales(lake, spec, requests)
        if scales is None:
            print(f"Not judged at the door: {spec.data.table} has too few rows to tell what is ordinary.")
            return
        found = list(_suspicious(requests, scales, spec))
        if not found:
            return
        held.hold(lake, spec.name, number, list(_recorded(spec, number, found, scales, actor)))
        # Once more: where another collect took this number, it may not have held all of these.


def _requests(lake: Lake, spec: PipelineSpec, asked: pa.Array, versions: tuple[int, int]) -> pa.Table:
    """All labelled requests of the days of those that are asked for, with `judged` of these; of a day with
    too many some others are left out.
    """
    table = (f"{spec.name}__predictions", versions[0])
    told = (f"{spec.name}__feedback", versions[1])
    named = {"asked": pa.table({"prediction_id": asked}), "logged": table, "told": told}
    columns = lake.query("SELECT * FROM logged LIMIT 0", {"logged": table}).column_names
    sender = "sent_by" if "sent_by" in columns else "NULL::VARCHAR"
    features = [name for name in spec.data.feature_types if name in columns]
    listed = ", ".join(["prediction_id", "run_id", "request", "predicted_at", *map(quote, features)])
    sql = f"""
        WITH days AS (
            SELECT DISTINCT date_trunc('day', predicted_at) AS day
            FROM logged JOIN asked USING (prediction_id)
        )
        SELECT {listed}, {sender} AS sender, date_trunc('day', predicted_at) AS day,
            prediction_id IN (SELECT prediction_id FROM asked) AS judged
        FROM logged WHERE date_trunc('day', predicted_at) IN (SELECT day FROM days)
        AND prediction_id IN (SELECT prediction_id FROM told)
        QUALIFY judged OR row_number() OVER (
            PARTITION BY date_trunc('day', predicted_at) ORDER BY hash(prediction_id), prediction_id
        ) <= {MOST_OF_A_DAY}
        ORDER BY predicted_at, prediction_id
    """  # noqa: S608 - quoted names and our own
    return lake.query(sql, named)


def _scales(lake: Lake, spec: PipelineSpec, requests: pa.Table) -> DoorScales | None:
    """Those of the version that answered the newest of the requests."""
    run_id = requests["run_id"][-1].as_py() or ""
    first = lake.read(
        f"{spec.name}__predictions",
        columns=["predicted_at"],
        where_sql=f"run_id = {literal(run_id)} ORDER BY predicted_at LIMIT 1",
    )
    at = first["predicted_at"] if len(first) else requests["predicted_at"]
    return scales_of(lake, spec, run_id, at[0].as_py().astimezone(UTC))


def _suspicious(requests: pa.Table, scales: DoorScales, spec: PipelineSpec) -> Iterator[Suspicious]:
    for day in pc.unique(requests["day"]).to_pylist():
        own = requests.filter(pc.equal(requests["day"], pa.scalar(day, requests["day"].type)))
        ids, judged = own["prediction_id"].to_pylist(), np.asarray(own["judged"])
        senders = own["sender"].to_pylist()
        for looked in look_at(_features(own, spec), senders, _utc(day), scales, spec):
            for place, reason in _reasons(looked):
                if judged[place]:
                    yield Suspicious(ids[place], reason, looked)


def _features(requests: pa.Table, spec: PipelineSpec) -> pa.Table:
    """The features; those that the model has got since the log's table was made are read from the request."""
    kinds = spec.data.feature_types
    if set(kinds) <= set(requests.column_names):
        return requests.select(list(kinds))
    return from_python([json.loads(one) for one in requests["request"].to_pylist()], kinds).rows


def _reasons(looked: Looked) -> Iterator[tuple[int, str]]:
    """The places of the requests that are kept out, and for what."""
    verdict = decide(looked.measured)
    found = {
        "out_of_distribution": looked.far & verdict.far,
        "flood": looked.alike > verdict.flood_above,
        "probing": looked.apart > verdict.probing_above,
    }
    for number in np.flatnonzero(np.logical_or.reduce(list(found.values()))):
        yield int(looked.places[number]), ",".join(name for name, rows in found.items() if rows[number])


def _recorded(
    spec: PipelineSpec, number: int, found: list[Suspicious], scales: DoorScales, actor: str
) -> Iterator[dict[str, Any]]:
    """The rows to hold, each after the ledger's entry about its sender."""
    by_sender: dict[str | None, list[Suspicious]] = {}
    for each in found:
        by_sender.setdefault(each.looked.measured.sender, []).append(each)
    for sender, own in by_sender.items():
        entry = _record(spec, number, sender, own, scales, actor)
        for each in own:
            yield {
                "prediction_id": each.prediction_id,
                "sender": sender,
                "day": each.looked.measured.day,
                "reason": each.reason,
                "why": of_one(each),
                "ledger_hash": entry.entry_hash,
            }


def _record(
    spec: PipelineSpec,
    number: int,
    sender: str | None,
    own: list[Suspicious],
    scales: DoorScales,
    actor: str,
) -> LedgerEntry:
    days = {each.looked.measured.day: each.looked.measured for each in own}
    return entries.record(
        model=spec.name,
        actor=actor,
        action=Action.DOOR,
        before=held_name(sender),
        after="held",
        why=(
            f"{of_all(sender, own)} Look at them in {held.name_of(spec.name)}, then release or confirm them, "
            "all or by reason: DAG decide_sender_model."
        ),
        evidence={
            "number": number,
            "days": [{"measured": day, "verdict": decide(day)} for day in days.values()],
            "rows": len(own),
            "scales_of_run": scales.run_id,
            "tables": scales.tables,
            "rules": spec.data.door,
        },
    )


def _utc(day: datetime) -> datetime:
    return day.replace(tzinfo=UTC) if day.tzinfo is None else day.astimezone(UTC)
