"""The ledger's heads: each newest entry, signed and kept outside the database before anything follows.

A chain of hashes cannot show that its end was cut off, or that all of it was written anew. Its heads can
(RFC 6962 calls them signed tree heads): one file of the store for each newest entry, and a tag of each
registered model in MLflow. A file's name says sequence and hash, so that a look into a folder compares all in
it with the chain. A folder has at most a thousand: a look at the newest takes as long in an old ledger as in
a new one.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pydantic import ValidationError
from upath import UPath

from tasks.contracts import LedgerHead
from tasks.ledger.signature import can_sign, has_signature, sign
from tasks.settings import settings
from tasks.stores import files, mlflow_rest

FOLDER, ASIDE = "heads", "heads-set-aside"
TOGETHER = 1000
"""Heads of so many entries lie in one folder, whose name is the first of their numbers."""
THOUSAND = re.compile(r"\d{10}")
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
    if not sequence or (not can_sign() and _newest_has_signature()):
        return
    place = place_of(sequence, entry_hash)
    if not place.exists():
        content = made(sequence, entry_hash).model_dump_json(indent=2).encode()
        files.write_whole(place, content, durable=True)


def made(sequence: int, entry_hash: str) -> LedgerHead:
    """The head that says so now, signed where this process knows the key."""
    return sign(LedgerHead(sequence=sequence, entry_hash=entry_hash, at=datetime.now(UTC)))


def names() -> list[tuple[int, str]]:
    """Sequence and hash of every head in the store, by their files' names alone; the newest last."""
    found, thousands = _listed()
    return sorted(found.union(*map(_of_thousand, thousands)))


def recent() -> list[tuple[int, str]]:
    """The same of the newest heads, two at least where there are two."""
    found, thousands = _listed()
    newest: set[tuple[int, str]] = set()
    while thousands and len(newest) < 2:
        newest |= _of_thousand(thousands.pop())
    return sorted(found | newest)


def first() -> tuple[int, str] | None:
    """The same of the first head; None where there is none."""
    found, thousands = _listed()
    while thousands and not found:
        found = _of_thousand(thousands.pop(0))
    return min(found, default=None)


def read(sequence: int, entry_hash: str) -> Kept:
    """The head that lies in the store under this sequence and hash."""
    place = place_of(sequence, entry_hash)
    try:
        head = _parsed(place.read_bytes())
    except (FileNotFoundError, IsADirectoryError):
        head = None
    if head is not None and (head.sequence, head.entry_hash) != (sequence, entry_hash):
        head = None
    return Kept(str(place), head)


def set_aside(sequence: int, entry_hash: str) -> None:
    """Take a head out of the way of a ledger that was brought back from a backup; it is kept beside them."""
    place = place_of(sequence, entry_hash)
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
    known = recent()
    newest = read(*known[-1]).head if known else None
    return newest is not None and has_signature(newest)


def _listed() -> tuple[set[tuple[int, str]], list[str]]:
    """The heads that an earlier Perennial kept, which knew no folders; and the folders, in their order."""
    listed = [entry.name for entry in files.entries(files.at(settings().ledger, FOLDER))]
    return _heads_among(listed), sorted(name for name in listed if THOUSAND.fullmatch(name))


def _of_thousand(thousand: str) -> set[tuple[int, str]]:
    try:
        listed = files.entries(files.at(settings().ledger, FOLDER, thousand))
    except NotADirectoryError:
        return set()
    return {each for each in _heads_among(entry.name for entry in listed) if _thousand(each[0]) == thousand}


def _heads_among(listed: Iterable[str]) -> set[tuple[int, str]]:
    return {(int(name[1]), name[2]) for name in map(NAME.fullmatch, listed) if name}


def place_of(sequence: int, entry_hash: str) -> UPath:
    """Where a head lies, or belongs."""
    name = f"{sequence:010d}-{entry_hash}.json"
    earlier = files.at(settings().ledger, FOLDER, name)
    return earlier if earlier.exists() else files.at(settings().ledger, FOLDER, _thousand(sequence), name)


def _thousand(sequence: int) -> str:
    return f"{sequence - sequence % TOGETHER:010d}"


def _parsed(text: str | bytes) -> LedgerHead | None:
    try:
        return LedgerHead.model_validate_json(text)
    except ValidationError:
        return None
