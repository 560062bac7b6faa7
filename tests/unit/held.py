"""Requests that are held at the door, and a person's word on them."""

import random
from pathlib import Path
from typing import Any

from tasks.contracts import DecideSenderRequest, SenderDecision
from tasks.data.door import held
from tasks.data.labels import land_labels
from tasks.ledger import entries
from tasks.monitoring.door.decide_sender import decide_sender
from tasks.spec import PipelineSpec
from tasks.stores.lake import Lake
from tests.unit.asked import WORDS
from tests.unit.reviews import SPEC, context

COPIED = " ".join(WORDS[5:400:22])


def land(spec: PipelineSpec = SPEC) -> int:
    """How many rows a collect lands."""
    return land_labels(Lake(), spec).rows


def near_copies(count: int) -> list[str]:
    """One text, each time with other words in one place."""
    rng = random.Random(7)
    return [f"{COPIED} {rng.choice(WORDS)} {number}" for number in range(count)]


def word(home: Path, decision: str, sender: str = "attacker", **more: Any) -> SenderDecision:
    asked = {"context": context(home, f"{decision}-{len(entries.history(SPEC.name))}"), "model": SPEC.name}
    return decide_sender(
        DecideSenderRequest.model_validate(
            {**asked, "sender": sender, "decision": decision, "reason": "I looked.", **more}
        )
    )


def counted() -> dict[tuple[str | None, str, str], int]:
    """How many rows of each sender and reason are in which state."""
    return {(each.sender, each.reason, each.state): each.rows for each in held.counts(Lake(), SPEC.name)}
