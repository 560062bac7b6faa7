"""Make a pack: everything that the records say of a version, in one signed archive for auditors."""

import hashlib
import json
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic_core import to_jsonable_python

from tasks.contracts import ModelCard, ModelVersion
from tasks.errors import InvalidRequest, InvalidSettings
from tasks.evaluation.preparation.kept_code import fetch_code
from tasks.ledger.signature import sign_bytes
from tasks.provenance.card import html_of, markdown_of
from tasks.provenance.pack import check_pack
from tasks.provenance.pack.ledger_part import LedgerPart, ledger_part
from tasks.stores import files as store
from tasks.stores import registry
from tasks.stores.utc_time import as_text

VALIDATION = ("report.json", "report.html")
OF_SPEC = ("pipeline.yaml", "behaviour.yaml")
MOST_PAGES, LARGEST_PAGE = 5, 20 * 1024 * 1024
MOST_CHECKS = 1000
"""Of the drift checks the newest pages, and none that is larger; every verdict is in the ledger's part."""
README = """This archive is a pack of Perennial: what the records of a platform say of one version of a model.

card/      the model card, as JSON, Markdown and a page
lineage.json   where the version came from
ledger/    every decision about the model (entries.jsonl), the chain of hashes that they are links of
           (links.json), and heads that were signed when they were written (heads.json)
reports/   what was found of its data, of its answers, and of the traffic since
spec/      pipeline.yaml as it was when it was trained
manifest.json   the SHA-256 of each file; signature.json signs it (Ed25519)

To check it, take check_pack.py from the project's own source and not from here, for who changes a pack may
change that, too; it needs Python and the package cryptography:

    python check_pack.py PACK --key FILE

FILE has the platform's public key, which its operator gives you by another way than this archive.
"""


def make(version: ModelVersion, card: ModelCard, at: datetime) -> bytes:
    """The pack of a version, always the same bytes of the same records, card and time.

    Args:
        card: Of the version, with the decisions until now.
        at: When it is made.

    Raises:
        InvalidSettings: This process has no key to sign it with.
        LedgerBroken: The ledger is not whole.
        InvalidRequest: It would be larger than a pack may be.
    """
    if sign_bytes(b"") is None:
        raise InvalidSettings(
            "A pack is signed with the ledger's key, and PERENNIAL_LEDGER_KEY is not set here. Ask on the "
            "platform's own machine, or set it (docs/ledger.md)."
        )
    part, notes = ledger_part(version.model), list[str]()
    found = {
        "README.txt": README.encode(),
        "check_pack.py": Path(check_pack.__file__).read_bytes(),
        **_of_card(card),
        **_of_ledger(part),
        **_of_spec(card, notes),
        **_of_validation(version, notes),
        **_of_drift(part, version.run_id, notes),
    }
    try:
        return check_pack.write(found | _signed(found, version, at, notes))
    except check_pack.Refused as error:
        raise InvalidRequest(str(error)) from error


def public_key() -> str:
    """What whoever checks packs of this platform has to be given, by another way than a pack.

    Raises:
        InvalidSettings: This process has no key.
    """
    signed = sign_bytes(b"")
    if signed is None:
        raise InvalidSettings("PERENNIAL_LEDGER_KEY is not set here, so there is no public key of it.")
    return signed[0]


def _signed(
    found: dict[str, bytes], version: ModelVersion, at: datetime, notes: list[str]
) -> dict[str, bytes]:
    manifest = _json(
        {
            "format": check_pack.FORMAT,
            "model": version.model,
            "version": version.version,
            "run_id": version.run_id,
            "archive_sha256": version.archive.sha256,
            "made_at": as_text(at),
            "notes": notes,
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in found.items()},
        }
    )
    key, signature = sign_bytes(check_pack.signed_content(manifest)) or ("", "")
    signed = {"algorithm": "Ed25519", "public_key": key, "signature": signature}
    return {check_pack.MANIFEST: manifest, check_pack.SIGNATURE: _json(signed)}


def _of_card(card: ModelCard) -> dict[str, bytes]:
    reports = {"evaluation": card.evaluation, "gate": card.gate}
    return {
        "card/card.json": _json(card),
        "card/card.md": markdown_of(card).encode("utf-8", "backslashreplace"),
        "card/card.html": html_of(card).encode("utf-8", "backslashreplace"),
        "lineage.json": _json(card.lineage),
        **{f"reports/{name}.json": _json(each) for name, each in reports.items() if each is not None},
    }


def _of_ledger(part: LedgerPart) -> dict[str, bytes]:
    heads = [
        {
            "sequence": each.sequence,
            "entry_hash": each.entry_hash,
            "at": each.at.isoformat(),
            "signature": each.signature,
        }
        for each in part.heads
    ]
    lines = "".join(json.dumps(entry, sort_keys=True) + "\n" for entry in part.entries)
    return {
        check_pack.ENTRIES: lines.encode(),
        check_pack.LINKS: _json(part.links),
        check_pack.HEADS: _json(heads),
    }


def _of_spec(card: ModelCard, notes: list[str]) -> dict[str, bytes]:
    run = card.lineage.run
    with tempfile.TemporaryDirectory(prefix="perennial-pack-") as name:
        kept = fetch_code(run, Path(name)) if run else None
        folder = kept / card.model if kept else None
        if folder is None or not (folder / "pipeline.yaml").is_file():
            notes.append("spec/pipeline.yaml is missing: it was not kept with the training.")
            return {}
        there = [file for file in OF_SPEC if (folder / file).is_file()]
        return {f"spec/{file}": (folder / file).read_bytes() for file in there}


def _of_validation(version: ModelVersion, notes: list[str]) -> dict[str, bytes]:
    found = {}
    for name in VALIDATION:
        text = registry.read_text(version.run_id, f"validation/{name}")
        if text is None:
            notes.append(f"reports/validation/{name} is missing: MLflow's run does not have it.")
        else:
            found[f"reports/validation/{name}"] = text.encode()
    return found


def _of_drift(part: LedgerPart, run_id: str, notes: list[str]) -> dict[str, bytes]:
    """What was said of the traffic while the version served, and the newest pages of it."""
    about = [(entry["sequence"], _drift(entry)) for entry in part.entries if entry["action"] == "drift"]
    own = [(number, said) for number, said in about if said.get("champion_run_id") == run_id]
    if len(own) > MOST_CHECKS:
        notes.append(
            f"reports/drift has the newest {MOST_CHECKS} of {len(own)} checks. {check_pack.ENTRIES} has all."
        )
        own = own[-MOST_CHECKS:]
    found = {f"reports/drift/{number:010d}.json": _json(said) for number, said in own}
    pages = [(number, said.get("page_url") or said.get("report_url")) for number, said in own]
    for number, url in [(number, url) for number, url in pages if url][-MOST_PAGES:]:
        name = f"reports/drift/{number:010d}.html"
        content = _page(url)
        if content is None:
            notes.append(f"{name} is missing: it is not in the store any more, or too large.")
        else:
            found[name] = content
    return found


def _drift(entry: dict[str, Any]) -> dict[str, Any]:
    return entry["evidence"].get("decision") or {}


def _page(url: str) -> bytes | None:
    place = store.at(url)
    try:
        return place.read_bytes() if place.stat().st_size <= LARGEST_PAGE else None
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None


def _json(document: Any) -> bytes:
    plain = to_jsonable_python(document, inf_nan_mode="strings")
    return (json.dumps(plain, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace")
