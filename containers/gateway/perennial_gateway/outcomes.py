"""What became of a model's requests since a time, by version and role: counted by the database.

The instances of a request are answered together, by one version, so that they say no more than one request
does: each counts for its part of it, and of all that is told the unit is the request.

The same statements are for SQLite and PostgreSQL. The gateway compares a shadow's answer when it comes, so
that here nothing is read but what is told.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import sqlalchemy as sa

from perennial_gateway.database import (
    NUL,
    as_text,
    failures,
    now,
    predictions,
    shadows,
)
from perennial_gateway.failures import SHADOW
from perennial_gateway.labelled import DIGITS, LossRule, labelled_of, losses_of, part_of_request
from perennial_gateway.web import Refused

BOUNDS = (
    *(0.0005, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.005, 0.0075),
    *(0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075),
    *(0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75),
    *(1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.5),
    *(10.0, 20.0, 30.0, 60.0),
)
"""Of latencies, in seconds."""

MOST_ANSWERS = 100
"""Different answers of a version that are told, the most frequent."""

MOST_REASONS = 3
"""Why a version did not answer, the most frequent."""

MOST_LABELLED = 100_000


def parse_since(text: str) -> str:
    """A time of a request, as the tables keep it.

    Raises:
        Refused: 422; it is no time with a zone.
    """
    refused = Refused(422, f"since={text[:40]!r} is not a time; send one such as 2026-11-01T00:00:00Z.")
    try:
        since = datetime.fromisoformat(text)
        in_utc = as_text(since.astimezone(UTC))
    except (ValueError, OverflowError) as error:
        raise refused from error
    if since.tzinfo is None:
        raise refused
    return in_utc


def outcomes_of(
    engine: sa.Engine, model: str, since: str, labelled: int, rule: LossRule | None = None
) -> bytes:
    """The contract `Outcomes` of the steps, as JSON. It blocks: call it in a thread.

    Args:
        since: As the tables keep times.
        labelled: How many labelled predictions are told at most, the oldest.
        rule: What the losses are of all that have a label; None where they are not asked for.
    """
    told: dict[str, Any] = {"model": model, "since": since, "until": now()}
    told |= {"versions": [], "shadows": [], "labelled": [], "losses": []}
    if NUL not in model:
        with engine.connect() as connection:
            told["versions"] = _versions(connection, model, since)
            told["shadows"] = _shadows(connection, model, since)
            told["labelled"] = labelled_of(connection, model, since, labelled)
            if rule is not None:
                told["losses"] = losses_of(connection, model, since, rule)
    return orjson.dumps(told)


def _versions(connection: sa.Connection, model: str, since: str) -> list[dict[str, Any]]:
    """What each version answered in each role, and how often it failed."""
    p = predictions.c
    by, of = (p.model_version, p.run_id, p.role), (p.model == model, p.predicted_at >= since)
    found = _counted(connection, by, of)
    for counts in found.values():
        counts["answered"] = round(counts["answered"])
    of_failed = (
        failures.c.model == model,
        failures.c.failed_at >= since,
        failures.c.role.is_distinct_from(SHADOW),
    )
    failed = sa.select(failures.c.model_version, failures.c.run_id, failures.c.role, _sum()).where(*of_failed)
    faults = {
        tuple(key): int(count)
        for *key, count in connection.execute(
            failed.group_by(failures.c.model_version, failures.c.run_id, failures.c.role)
        )
    }
    why = sa.select(failures.c.model_version, failures.c.run_id, failures.c.role, failures.c.reason, _sum())
    reasons = _most_frequent(connection.execute(why.where(*of_failed).group_by(*why.selected_columns[:4])))
    return [
        {
            "model_version": key[0],
            "run_id": key[1],
            "role": key[2],
            "failed": faults.get(key, 0),
            "reasons": reasons.get(key, {}),
            **found.get(key, _nothing()),
        }
        for key in sorted(found.keys() | faults.keys(), key=_order)
    ]


def _most_frequent(rows: Iterable[Any]) -> dict[tuple[Any, ...], dict[str, int]]:
    """Of rows of (key..., reason, count): the most frequent reasons of each key."""
    found: dict[tuple[Any, ...], dict[str, int]] = {}
    for *key, reason, count in sorted(rows, key=lambda row: (-row[-1], str(row[-2]))):
        of_key = found.setdefault(tuple(key), {})
        if len(of_key) < MOST_REASONS:
            of_key[reason] = int(count)
    return found


def _shadows(connection: sa.Connection, model: str, since: str) -> list[dict[str, Any]]:
    """What each version said to copies, how often it was what the caller was told, and how often nothing."""
    s, f = shadows.c, failures.c
    of = (s.model == model, s.predicted_at >= since)
    by = (s.model_version, s.run_id)
    found = _counted(connection, by, (*of, s.fault.is_(None)))
    part, faults = part_of_request(s.instances), sa.case((s.fault.is_not(None), 1), else_=0)
    agreed_of, failed_of = sa.func.sum(sa.func.coalesce(s.agreed, 0) * part), sa.func.sum(faults * part)
    sums: sa.Select[Any] = sa.select(*by, agreed_of, failed_of)
    rows = connection.execute(sums.where(*of).group_by(*by))
    compared = {(version, run): (agreed, round(failed)) for version, run, agreed, failed in rows}
    dropped = sa.select(f.model_version, f.run_id, _sum()).where(
        f.model == model, f.failed_at >= since, f.role == SHADOW
    )
    rows = connection.execute(dropped.group_by(f.model_version, f.run_id))
    drops = {(version, run): int(count) for version, run, count in rows}
    why = sa.select(*by, s.fault, sa.func.count()).where(*of, s.fault.is_not(None)).group_by(*by, s.fault)
    reasons = _most_frequent(connection.execute(why))
    told = []
    for key in sorted(compared.keys() | drops.keys()):
        counts = found.get(key, _nothing())
        agreed, failed = compared.get(key, (0.0, 0))
        answered = counts.pop("answered")
        told.append(
            {
                "model_version": key[0],
                "run_id": key[1],
                "compared": answered,
                "agreed": min(round(agreed, DIGITS), answered),
                "failed": failed,
                "reasons": reasons.get(key, {}),
                "dropped": drops.get(key, 0),
                **counts,
            }
        )
    return told


def _counted(
    connection: sa.Connection, by: tuple[sa.Column[Any], ...], of: tuple[sa.ColumnElement[bool], ...]
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Answers by version: how many, how many within each bound of latency, and how often each was given."""
    table = by[0].table
    bounded = sa.case(
        *((table.c.latency_seconds <= bound, at) for at, bound in enumerate(BOUNDS)), else_=None
    )
    requests = sa.func.sum(part_of_request(table.c.instances))
    latencies = sa.select(*by, bounded.label("bucket"), requests).where(*of)
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    buckets: dict[tuple[Any, ...], dict[int, float]] = {}
    for *key, bucket, count in connection.execute(latencies.group_by(*by, "bucket")):
        buckets.setdefault(tuple(key), {})[len(BOUNDS) if bucket is None else bucket] = count
    for version, of_version in buckets.items():
        found[version] = _nothing() | _cumulative(of_version)
    for *key, answer, count in connection.execute(_answers(by, of)):
        found[tuple(key)]["predictions"][answer] = round(count, DIGITS)
    return found


def _answers(by: tuple[sa.Column[Any], ...], of: tuple[sa.ColumnElement[bool], ...]) -> sa.Select[Any]:
    """The most frequent answers of each version."""
    answer = by[0].table.c.prediction
    count = sa.func.sum(part_of_request(by[0].table.c.instances)).label("count")
    place = sa.func.row_number().over(partition_by=by, order_by=(count.desc(), answer)).label("place")
    grouped = sa.select(*by, answer, count, place).where(*of).group_by(*by, answer).subquery()
    columns = [grouped.c[column.name] for column in (*by, answer)]
    return (
        sa.select(*columns, grouped.c["count"])
        .where(grouped.c.place <= MOST_ANSWERS)
        .order_by(grouped.c.place)
    )


def _cumulative(buckets: Mapping[int, float]) -> dict[str, Any]:
    told, so_far = {}, 0.0
    for at, bound in enumerate(BOUNDS):
        so_far += buckets.get(at, 0.0)
        told[f"{bound:g}"] = round(round(so_far, DIGITS))
    return {"answered": round(so_far + buckets.get(len(BOUNDS), 0.0), DIGITS), "latency_buckets": told}


def _nothing() -> dict[str, Any]:
    return {**_cumulative({}), "predictions": {}}


def _sum() -> sa.Label[Any]:
    return sa.func.sum(failures.c.requests).label("failed")


def _order(key: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(part or "" for part in key)
