"""The words of an alert: one message of one model, however much there is to say of it."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tasks.contracts import Trouble
from tasks.monitoring.alerts.due import Item

Links = Callable[[Trouble], Sequence[str]]

TITLES = {
    "incident": "broken data",
    "drift": "drift",
    "ask": "a decision is waited for",
    "stopped": "nothing answers the alarm",
    "label_incident": "label incident",
    "quarantine": "a batch is quarantined",
    "rollback": "a release was taken back",
    "release": "a release by stages did not go through",
    "failed_step": "a run failed",
    "late": "a training is late",
    "objective": "an objective is missed, or about to be",
    "silent_loop": "the loop is silent",
}
HEADS = {"new": "New", "changed": "Changed", "reminder": "Still there", "resolved": "Over"}


@dataclass(frozen=True)
class Message:
    """What a channel is given.

    Attributes:
        key: The same for the same message, so that who gets it twice can tell.
        title: One line.
        text: The whole, in lines.
        items: The same for programs.
        page: The page of the model, or None where there is none.
    """

    key: str
    model: str
    title: str
    text: str
    items: tuple[dict[str, Any], ...]
    page: str | None = None


def compose(model: str, items: Sequence[Item], links: Links, page: str | None = None) -> Message:
    """Say everything that is due of one model.

    Args:
        links: Gives the pages about a trouble.
        page: The page about all of the model, told once, however much there is to say.
    """
    plain = tuple(_plain(item, links) for item in items)
    titles = dict.fromkeys(
        f"{'over: ' if item.kind == 'resolved' else ''}{TITLES[item.known.reason]}" for item in items
    )
    return Message(
        key=hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:32],
        model=model,
        title=f"[Perennial] {model}: {', '.join(titles)}",
        text="\n\n".join(["\n".join(_lines(item, links)) for item in items] + _about_all(page)),
        items=plain,
        page=page,
    )


def _about_all(page: str | None) -> list[str]:
    return [f"All about it: {page}"] if page else []


def _lines(item: Item, links: Links) -> list[str]:
    known = item.known
    head = f"{HEADS[item.kind]}: {TITLES[known.reason]} ({known.reason}, {known.subject})"
    if item.trouble is None:
        return [f"{head}, since {_at(known.since)}.", f"It was: {known.why}"]
    trouble = item.trouble
    serves = f" Version {trouble.version} serves." if trouble.version else ""
    entry = [f"Entry {trouble.entry} of the ledger."] if trouble.entry else []
    return [
        f"{head}, since {_at(trouble.since)}.{serves}",
        trouble.why,
        *([f"What: {', '.join(trouble.kinds)}."] if trouble.kinds else []),
        f"What to do: {trouble.next_step}",
        *entry,
        *links(trouble),
    ]


def _plain(item: Item, links: Links) -> dict[str, Any]:
    pages = list(links(item.trouble)) if item.trouble else []
    before = item.told.told_at.isoformat() if item.told else None
    about = item.known.model_dump(mode="json", exclude={"contract_version", "told_at"})
    return {"kind": item.kind, **about, "links": pages, "told_before": before}


def _at(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
