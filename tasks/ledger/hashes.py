"""What an entry's hashes cover, and whether they still say what a row has."""

import hashlib
import json
from typing import Any

import sqlalchemy as sa

GENESIS = "0" * 64
"""What the first entry follows."""


def is_whole(row: sa.Row[Any]) -> bool:
    """Whether a row's content is what its two hashes say, even where it is no JSON any more."""
    try:
        content = json.loads(row.evidence)
    except ValueError:
        return False
    return bool(
        sha256_of(content) == row.evidence_sha256
        and entry_hash_of({**row._asdict(), "evidence": content}) == row.entry_hash
    )


def entry_hash_of(fields: dict[str, Any]) -> str:
    """The hash of an entry with these fields, of which its own hash is none."""
    return sha256_of({name: value for name, value in fields.items() if name != "entry_hash"})


def sha256_of(value: Any) -> str:
    """The hash of anything that JSON can hold, whatever the order of its keys."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def canonical(value: Any) -> str:
    """The one text that is hashed, and kept, of what JSON can hold."""
    return json.dumps(value, sort_keys=True)
