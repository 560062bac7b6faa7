"""The ledger's heads: each newest entry, signed and kept outside the database before anything follows.

A chain of hashes cannot show that its end was cut off, or that all of it was written anew. Its heads can
(RFC 6962 calls them signed tree heads): one file of the store for each newest entry, and a tag of each
registered model in MLflow. A file's name says sequence and hash, so that one look into the folder compares
all of them with the chain.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pydantic import ValidationError

from tasks.contracts import LedgerHead
from tasks.ledger.signature import can_sign, has_signature, sign
from tasks.settings import settings
from tasks.stores import files, mlflow_rest

FOLDER, ASIDE = "heads", "heads-set-aside"
NAME = re.compile(r"(\d{10})-([0-9a-f]{64})\.json")
TAG = "perennial.ledger_head"


class Kept(NamedTuple):
    """A head as it was found; `head` is None where what lies there is none."""

    where: str
    head: LedgerHead | None


def keep(sequence: int, entry_hash: str) -> None:
    """Note the ledger's newest entry in the store, once.

    Who has no key keeps none after a signed one: it would stand where only a signed one is believed. The next
    signed head covers the entry.
    """
    place = files.at(settings().ledger, FOLDER, _name(sequence, entry_hash))
    if not sequence or place.exists() or (not can_sign() and _newest_has_signature()):
        return
    files.write_whole(place, made(sequence, entry_hash).model_dump_json(indent=2).encode())


def made(sequence: int, entry_hash: str) -> LedgerHead:
    """The head that says so now, signed where this process knows the key."""
    return sign(LedgerHead(sequence=sequence, entry_hash=entry_hash, at=datetime.now(UTC)))


def names() -> list[tuple[int, str]]:
    """Sequence and hash of every head in the store, by their files' names alone; the newest last."""
    listed = files.entries(files.at(settings().ledger, FOLDER))
    found = (NAME.fullmatch(entry.name) for entry in listed)
    return sorted((int(name[1]), name[2]) for name in found if name)


def read(sequence: int, entry_hash: str) -> Kept:
    """The head that lies in the store under this sequence and hash."""
    place = files.at(settings().ledger, FOLDER, _name(sequence, entry_hash))
    try:
        head = _parsed(place.read_bytes())
    except (FileNotFoundError, IsADirectoryError):
        head = None
    if head is not None and (head.sequence, head.entry_hash) != (sequence, entry_hash):
        head = None
    return Kept(str(place), head)


def set_aside(sequence: int, entry_hash: str) -> None:
    """Take a head out of the way of a ledger that was brought back from a backup; it is kept beside them."""
    place = files.at(settings().ledger, FOLDER, _name(sequence, entry_hash))
    files.write_whole(files.at(settings().ledger, ASIDE, place.name), place.read_bytes())
    files.remove(place)


def in_mlflow() -> Iterator[Kept]:
    """The heads that MLflow's registered models carry.

    Raises:
        ServiceAway: MLflow does not answer.
        MlflowRefused: It does not answer this user.
    """
    return of_models(mlflow_rest.registered_models())


def of_models(registered: Iterable[Mapping[str, Any]]) -> Iterator[Kept]:
    """The heads that these registered models carry, as `mlflow_rest.registered_models` gives them."""
    for model in registered:
        for tag in model.get("tags", []):
            if tag["key"] == TAG:
                yield Kept(
                    f"the tag {TAG} of MLflow's registered model {model['name']}", _parsed(tag["value"])
                )


def _newest_has_signature() -> bool:
    known = names()
    newest = read(*known[-1]).head if known else None
    return newest is not None and has_signature(newest)


def _name(sequence: int, entry_hash: str) -> str:
    return f"{sequence:010d}-{entry_hash}.json"


def _parsed(text: str | bytes) -> LedgerHead | None:
    try:
        return LedgerHead.model_validate_json(text)
    except ValidationError:
        return None
