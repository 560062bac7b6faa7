"""Check a pack of Perennial: `python check_pack.py PACK [--key FILE]`.

This one file needs Python 3.10 or later and the package `cryptography`, and nothing of Perennial, so that an
auditor can read and run it alone. A pack is a ZIP archive without compression whose every byte follows from
its files: one changed byte anywhere is found, and its file named. Nothing is unpacked, and nothing in the
pack is run.

It ends with 0 where everything holds, with 6 where something does not, and with 2 where it was called
wrongly. docs/model-cards.md says what is checked, in which order, and what that does not show.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import struct
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORMAT = "perennial pack 1"
MANIFEST, SIGNATURE = "manifest.json", "signature.json"
ENTRIES, LINKS, HEADS = "ledger/entries.jsonl", "ledger/links.json", "ledger/heads.json"
MOST_BYTES, MOST_FILES, LONGEST_NAME = 512 * 1024 * 1024, 2000, 200
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
GENESIS = "0" * 64
HELD, BROKEN, CALLED_WRONGLY = 0, 6, 2

LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
LOCAL_FIELDS, CENTRAL_FIELDS = struct.Struct("<4s5H3I2H"), struct.Struct("<4s6H3I5H2I")
END_FIELDS = struct.Struct("<4s4H2IH")
VERSION, STORED, DATE, UNIX, REGULAR_FILE = 20, 0, 0x21, 3, 0o100644 << 16
"""The one way in which a pack is written: 1 January 1980, plain files, no compression, nothing else."""


class Refused(Exception):
    """Something in a pack is not as it has to be; the sentence names the file."""


class NoKey(Exception):
    """A file that was given as a public key holds none: nothing is said of the pack."""


@dataclass(frozen=True)
class Checked:
    """What a pack that holds is about."""

    model: str
    version: str
    made_at: str
    public_key: str
    files: int
    entries: int
    proven_by_heads: int
    chain: int
    key_is_known: bool


def write(files: dict[str, bytes]) -> bytes:
    """The archive of these files, always the same bytes.

    Raises:
        Refused: A name or a size is none that a pack may have.
    """
    if len(files) > MOST_FILES:
        raise Refused(f"It would have {len(files)} files, and a pack has at most {MOST_FILES}.")
    body, directory = bytearray(), bytearray()
    for name in sorted(files):
        _require_name(name)
        content, offset = files[name], len(body)
        if offset + len(content) > MOST_BYTES:
            raise Refused(f"{name}: with it the pack would have more than {MOST_BYTES} bytes.")
        body += _local(name, zlib.crc32(content), len(content)) + content
        directory += _central(name, zlib.crc32(content), len(content), offset)
    pack = bytes(body + directory + _end(len(files), len(directory), len(body)))
    if len(pack) > MOST_BYTES:
        raise Refused(f"The pack would have more than {MOST_BYTES} bytes.")
    return pack


def _local(name: str, crc: int, size: int) -> bytes:
    fields = (LOCAL, VERSION, 0, STORED, 0, DATE, crc, size, size, len(name), 0)
    return LOCAL_FIELDS.pack(*fields) + name.encode("ascii")


def _central(name: str, crc: int, size: int, offset: int) -> bytes:
    made_by = UNIX << 8 | VERSION
    head = (CENTRAL, made_by, VERSION, 0, STORED, 0, DATE, crc, size, size)
    return CENTRAL_FIELDS.pack(*head, len(name), 0, 0, 0, 0, REGULAR_FILE, offset) + name.encode("ascii")


def _end(count: int, size: int, offset: int) -> bytes:
    return END_FIELDS.pack(END, 0, 0, count, count, size, offset, 0)


def read(pack: bytes) -> dict[str, bytes]:
    """The files of a pack.

    Raises:
        Refused: It is not, byte for byte, what `write` makes of its files.
    """
    count, offset = _read_end(pack)
    files: dict[str, bytes] = {}
    place = 0
    for name, crc, size, at in _read_directory(pack, count, offset):
        if at != place:
            raise Refused(f"{name}: the archive says that it begins at byte {at}, but it follows at {place}.")
        header = _local(name, crc, size)
        if pack[place : place + len(header)] != header:
            own = _header_name(pack, place)
            other = "" if own == name else f", for it calls the file {_shown(own)}"
            raise Refused(f"{name}: its header in the archive does not fit the directory{other}.")
        place += len(header)
        content = pack[place : place + size]
        if zlib.crc32(content) != crc:
            raise Refused(f"{name}: its content was changed.")
        place += size
        files[name] = content
    if place != offset:
        raise Refused(f"The archive has {offset - place} bytes that belong to no file.")
    return files


def _read_end(pack: bytes) -> tuple[int, int]:
    """How many files there are, and where the directory of their names begins."""
    if len(pack) > MOST_BYTES:
        raise Refused(f"The file has more than {MOST_BYTES} bytes, which no pack has.")
    if len(pack) < END_FIELDS.size:
        raise Refused("The file is too short to be a pack: it was cut off, or is something else.")
    found = pack[-END_FIELDS.size :]
    mark, _, _, count, _, size, offset, _ = END_FIELDS.unpack(found)
    if mark != END:
        raise Refused(
            "The end of the archive is missing or was changed: the file was cut off, something was added to "
            "it, or it is no pack."
        )
    if found != _end(count, size, offset) or offset + size + END_FIELDS.size != len(pack):
        raise Refused("The end of the archive was changed: it does not fit what stands before it.")
    if not 0 < count <= MOST_FILES:
        raise Refused(f"The archive has {count} files; a pack has 1 to {MOST_FILES}.")
    return count, offset


def _read_directory(pack: bytes, count: int, offset: int) -> list[tuple[str, int, int, int]]:
    """Name, checksum, size and place of each file."""
    found: list[tuple[str, int, int, int]] = []
    place, last, names = offset, len(pack) - END_FIELDS.size, _names_by_headers(pack, count)
    for number in range(count):
        called = _shown(names[number]) if number < len(names) else f"File {number + 1} of {count}"
        if place + CENTRAL_FIELDS.size > last:
            raise Refused(f"{called}: the archive's directory ends before its entry.")
        fields = CENTRAL_FIELDS.unpack(pack[place : place + CENTRAL_FIELDS.size])
        crc, size, length, at = fields[7], fields[8], fields[10], fields[16]
        raw = pack[place + CENTRAL_FIELDS.size : place + CENTRAL_FIELDS.size + length]
        name = raw.decode("ascii", "replace")
        if fields[4] != STORED:
            raise Refused(f"{called}: the directory says that it is compressed, and a pack has it as it is.")
        if fields[15] >> 28 not in {0, REGULAR_FILE >> 28}:
            raise Refused(f"{called}: the directory says that it is a link or a device, and no file.")
        _require_name(name, called)
        expected = _central(name, crc, size, at)
        if pack[place : place + len(expected)] != expected:
            raise Refused(f"{called}: its entry in the archive's directory was changed.")
        if number < len(names) and names[number] != name:
            raise Refused(f"{called}: the archive's directory calls it {name}: one of both was changed.")
        if found and found[-1][0] >= name:
            raise Refused(f"{called}: it is in the archive twice, or not in the order of the names.")
        found.append((name, crc, size, at))
        place += len(expected)
    if place != last:
        raise Refused("The archive's directory has bytes that belong to no file.")
    return found


def _names_by_headers(pack: bytes, count: int) -> list[str]:
    """What the files call themselves, up to the first header that is none: to name one whose entry in the
    directory was changed.
    """
    names: list[str] = []
    place = 0
    while len(names) < count and pack[place : place + 4] == LOCAL and place + LOCAL_FIELDS.size <= len(pack):
        fields = LOCAL_FIELDS.unpack(pack[place : place + LOCAL_FIELDS.size])
        names.append(_header_name(pack, place))
        place += LOCAL_FIELDS.size + fields[9] + fields[7]
    return names


def _header_name(pack: bytes, place: int) -> str:
    """What the file whose header is at `place` calls itself; empty where there is no header."""
    if place + LOCAL_FIELDS.size > len(pack):
        return ""
    length = LOCAL_FIELDS.unpack(pack[place : place + LOCAL_FIELDS.size])[9]
    place += LOCAL_FIELDS.size
    return pack[place : place + length].decode("ascii", "replace")


def _require_name(name: str, called: str = "") -> None:
    """Letters, digits, `_`, `.` and `-`, in folders below the pack: no path leads out of it."""
    if len(name) > LONGEST_NAME or not NAME.fullmatch(name):
        where = f"{called}: the directory calls it " if called else ""
        raise Refused(f"{where}{_shown(name)}, which is no name that a file of a pack may have.")


def _shown(name: str) -> str:
    """A text of the pack, without anything that could steer a terminal."""
    return ascii(name[:LONGEST_NAME])[1:-1]


def check(pack: bytes, key: str | None) -> Checked:
    """Check a pack.

    Args:
        key: The public key that has to have signed it, 64 hexadecimal digits, from another source than the
            pack; None to check it against the key that it names itself.

    Raises:
        Refused: Something does not hold; the sentence names the file.
    """
    files = read(pack)
    for name in (MANIFEST, SIGNATURE):
        if name not in files:
            raise Refused(f"{name} is missing, so the archive is no pack.")
    public_key = _check_signature(files[MANIFEST], _json(files, SIGNATURE), key)
    manifest = _json(files, MANIFEST)
    _check_manifest(manifest, files)
    try:
        proven, chain = _check_ledger(files, str(manifest["model"]), public_key)
    except RecursionError:  # who reads it stands higher than who writes it anew for its hash
        raise Refused(f"{ENTRIES}: an entry is nested too deeply to be checked.") from None
    return Checked(
        model=str(manifest["model"]),
        version=str(manifest["version"]),
        made_at=str(manifest["made_at"]),
        public_key=public_key,
        files=len(files),
        entries=len(_entries(files)),
        proven_by_heads=proven,
        chain=chain,
        key_is_known=key is not None,
    )


def signed_content(manifest: bytes) -> bytes:
    """What the signature covers."""
    return b"perennial pack\n" + hashlib.sha256(manifest).hexdigest().encode()


def _check_signature(manifest: bytes, signature: Any, key: str | None) -> str:
    named, signed = _fields(SIGNATURE, signature, "public_key", "signature")
    if key is not None and named.lower() != key.lower():
        raise Refused(
            f"{SIGNATURE}: the pack was signed with the key {_shown(named)}, and not with the one that was "
            f"given, {key}. It comes from another platform, or somebody made it anew."
        )
    if not _is_signed(named, signed, signed_content(manifest)):
        raise Refused(f"{SIGNATURE}: the signature is not one of {MANIFEST} with the key {_shown(named)}.")
    return named.lower()


def _is_signed(public_key: str, signature: str, content: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(
            bytes.fromhex(signature), content
        )
    except (InvalidSignature, ValueError):
        return False
    return True


def _check_manifest(manifest: Any, files: dict[str, bytes]) -> None:
    said, _, _, _ = _fields(MANIFEST, manifest, "format", "model", "version", "made_at")
    if said != FORMAT:
        raise Refused(f"{MANIFEST}: the format is {_shown(said)}, and this program reads {FORMAT!r}.")
    listed = manifest.get("files")
    if not isinstance(listed, dict):
        raise Refused(f"{MANIFEST}: its field files is missing.")
    present = set(files) - {MANIFEST, SIGNATURE}
    if missing := sorted(set(listed) - present):
        raise Refused(f"{_shown(missing[0])}: {MANIFEST} names it, and the archive does not have it.")
    if added := sorted(present - set(listed)):
        raise Refused(f"{added[0]}: it was added, {MANIFEST} does not name it.")
    for name in sorted(present):
        if hashlib.sha256(files[name]).hexdigest() != listed[name]:
            raise Refused(f"{name}: its SHA-256 is not the one in {MANIFEST}: it was changed.")


def _check_ledger(files: dict[str, bytes], model: str, public_key: str) -> tuple[int, int]:
    """How many entries a signed head of their own proves, and how long the chain is."""
    links = _links(files)
    for entry in _entries(files):
        _check_entry(entry, model, links)
    named = {_check_head(head, links, public_key) for head in _list(files, HEADS)}
    entries = {entry["sequence"]: entry for entry in _entries(files)}
    return sum(_is_proven(number, entries, named) for number in entries), len(links)


def _check_entry(entry: dict[str, Any], model: str, links: dict[int, str]) -> None:
    number = entry.get("sequence")
    where = f"{ENTRIES}: entry {_shown(str(number))}"
    if not isinstance(number, int) or number not in links:
        raise Refused(f"{where} is not in {LINKS}.")
    if entry.get("model") != model:
        raise Refused(f"{where} is about {_shown(str(entry.get('model')))} and not about {_shown(model)}.")
    if sha256_of(entry.get("evidence")) != entry.get("evidence_sha256"):
        raise Refused(f"{where}: its evidence is not what its hash says.")
    fields = {name: value for name, value in entry.items() if name != "entry_hash"}
    if sha256_of(fields) != entry.get("entry_hash") or entry["entry_hash"] != links[number]:
        raise Refused(f"{where}: its fields are not what its hash says.")
    if entry.get("previous_hash") != links.get(number - 1, GENESIS):
        raise Refused(f"{where} does not follow entry {number - 1} of the ledger.")


def _check_head(head: Any, links: dict[int, str], public_key: str) -> int:
    """Its entry's number."""
    number = head.get("sequence") if isinstance(head, dict) else None
    where = f"{HEADS}: the head of entry {_shown(str(number))}"
    entry_hash, at, signature = _fields(HEADS, head, "entry_hash", "at", "signature")
    if not isinstance(number, int) or links.get(number) != entry_hash:
        raise Refused(f"{where} names another entry than the chain has.")
    content = f"perennial ledger head\n{number}\n{entry_hash}\n{at}".encode("utf-8", "surrogatepass")
    if not _is_signed(public_key, signature, content):
        raise Refused(f"{where} was not signed with the key of the pack.")
    return number


def _is_proven(number: int, entries: dict[int, dict[str, Any]], named: set[int]) -> bool:
    """Whether a signed head names the entry, or one that follows it without a gap in what is here."""
    while number in entries:
        if number in named:
            return True
        number += 1
    return False


def _links(files: dict[str, bytes]) -> dict[int, str]:
    hashes = _list(files, LINKS)
    if not all(isinstance(each, str) for each in hashes) or len(set(hashes)) != len(hashes):
        raise Refused(f"{LINKS}: it is no list of different hashes.")
    return dict(enumerate(hashes, start=1))


def _entries(files: dict[str, bytes]) -> list[dict[str, Any]]:
    if ENTRIES not in files:
        raise Refused(f"{ENTRIES} is missing.")
    try:
        found = [json.loads(line) for line in files[ENTRIES].decode().splitlines()]
    except (ValueError, RecursionError) as error:
        raise Refused(f"{ENTRIES}: it cannot be read: {_shown(str(error))}") from None
    if not all(isinstance(entry, dict) for entry in found):
        raise Refused(f"{ENTRIES}: not every line is an entry.")
    return found


def sha256_of(value: Any) -> str:
    """The hash of what JSON can hold: of its text with sorted keys, as Python's json module writes it."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _list(files: dict[str, bytes], name: str) -> list[Any]:
    found = _json(files, name)
    if not isinstance(found, list):
        raise Refused(f"{name}: it is no list.")
    return found


def _json(files: dict[str, bytes], name: str) -> Any:
    try:
        return json.loads(files[name])
    except KeyError:
        raise Refused(f"{name} is missing.") from None
    except (ValueError, RecursionError) as error:
        raise Refused(f"{name}: it cannot be read: {error}") from None


def _fields(where: str, document: Any, *names: str) -> tuple[str, ...]:
    found = tuple(document.get(name) if isinstance(document, dict) else None for name in names)
    for name, value in zip(names, found, strict=True):
        if not isinstance(value, str):
            raise Refused(f"{where}: its field {name} is missing or no text.")
    return found  # type: ignore[return-value]


def read_key(path: Path) -> str:
    """A public key from its file.

    Raises:
        NoKey: It is none.
    """
    text = path.read_text(encoding="ascii", errors="replace").strip()
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise NoKey(f"{path} is no public key: 64 hexadecimal digits are expected.")
    return text.lower()


def read_pack(path: Path) -> bytes:
    """A pack's bytes; never more than one may have.

    Raises:
        Refused: It is larger.
    """
    with path.open("rb") as file:
        pack = file.read(MOST_BYTES + 1)
    if len(pack) > MOST_BYTES:
        raise Refused(f"{path} has more than {MOST_BYTES} bytes, which no pack has.")
    return pack


def told(found: Checked) -> list[str]:
    """What was checked, in sentences."""
    version, model, made_at = (_shown(each) for each in (found.version, found.model, found.made_at))
    sentences = [
        f"The pack of version {version} of {model}, made at {made_at}, holds: "
        f"{found.files} files are as they were signed.",
        f"{found.entries} entries of the ledger fit a chain of {found.chain}; {found.proven_by_heads} of "
        "them are proven by heads that were signed when they were written, the others by the pack's "
        "signature alone.",
    ]
    if not found.key_is_known:
        sentences.append(
            f"Not checked: whose key {found.public_key} is. Whoever makes a pack anew signs it with a key of "
            "their own: get the platform's key by another way, and give it with --key."
        )
    return sentences


def main(words: list[str] | None = None) -> int:
    """Check the pack that the words name; returns the exit code."""
    parser = argparse.ArgumentParser(description="Check a pack of Perennial.")
    parser.add_argument("pack", type=Path)
    parser.add_argument(
        "--key", type=Path, help="A file with the platform's public key: 64 hexadecimal digits."
    )
    given = parser.parse_args(words)
    try:
        key = read_key(given.key) if given.key else None
        found = check(read_pack(given.pack), key)
    except OSError as error:
        print(f"{error.filename} cannot be read: {error.strerror}.", file=sys.stderr)
        return CALLED_WRONGLY
    except NoKey as error:
        print(error, file=sys.stderr)
        return CALLED_WRONGLY
    except ImportError:
        print("Python's package cryptography is missing: pip install cryptography", file=sys.stderr)
        return CALLED_WRONGLY
    except Refused as error:
        print(f"Refused: {error}", file=sys.stderr)
        return BROKEN
    print("\n".join(told(found)))
    return HELD


if __name__ == "__main__":
    sys.exit(main())
