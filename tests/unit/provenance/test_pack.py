"""A pack of a version: the same bytes each time, and whatever is changed of it is found and named."""

import io
import json
import random
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tasks.contracts import Action, DriftDecision, EnergyAssumptions
from tasks.errors import InvalidSettings, LedgerBroken
from tasks.evaluation.preparation.kept_code import keep_code
from tasks.ledger import entries, heads
from tasks.provenance.card import gather
from tasks.provenance.pack import check_pack
from tasks.provenance.pack.check_pack import Refused, check, read, write
from tasks.provenance.pack.make import make, public_key
from tasks.settings import PROJECT, settings
from tasks.stores import registry
from tests.unit.cards import ASSUMED
from tests.unit.provenance.world import MODEL, World

KEY, FOREIGN = "1f" * 32, "2e" * 32
AT = datetime(2026, 2, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def key(world: World) -> Iterator[str]:
    """The platform's public key; the heads of the world, which had none, are signed with it."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PERENNIAL_LEDGER_KEY", KEY)
        settings.cache_clear()
        for place in heads.names():
            heads.set_aside(*place)
        for place in entries.links():
            heads.keep(*place)
        _check_drift(world)
        yield public_key()
    settings.cache_clear()


def _check_drift(world: World) -> None:
    """A drift check of the second version whose page lies in the store, and one whose page is gone."""
    (world.home / "drift.html").write_text("<h1>Quiet</h1>")
    for name, window_rows in (("drift.html", 500), ("gone.html", 600)):
        decision = DriftDecision(
            model=MODEL, champion_run_id=world.runs[1].run_id, window_start=AT, window_end=AT,
            window_rows=window_rows, reference_rows=500, verdict="quiet", domain_auc=0.5, null_auc=0.55,
            threshold=0.65, columns=(), new_rows=0, validation=None, why="Nothing has changed.",
            report_url=str(world.home / name),
        )  # fmt: skip
        entries.record(
            model=MODEL, actor="airflow:drift", action=Action.DRIFT, before=None, after="quiet",
            why=decision.why, evidence={"decision": decision},
        )  # fmt: skip


def packed(world: World) -> bytes:
    version = registry.get_version(MODEL, "2")
    card = gather.gather(world.spec, version, EnergyAssumptions.model_validate(ASSUMED), ask=False)
    return make(version, card.model_copy(update={"made_at": AT}), AT)


@pytest.fixture(scope="module")
def pack(world: World, key: str) -> bytes:
    return packed(world)


def places(pack: bytes) -> list[tuple[int, int, str]]:
    """Where each file's header with its content, its entry in the directory, and the end begin and end."""
    with zipfile.ZipFile(io.BytesIO(pack)) as archive:
        files, start = archive.infolist(), archive.start_dir
    begins = [each.header_offset for each in files] + [start]
    found = [(begins[number], begins[number + 1], each.filename) for number, each in enumerate(files)]
    for each in files:
        found.append((start, start + 46 + len(each.filename), each.filename))
        start = found[-1][1]
    return [*found, (start, len(pack), "The end of the archive")]


def changed(pack: bytes, place: int, by: int) -> bytes:
    return pack[:place] + bytes([pack[place] ^ by]) + pack[place + 1 :]


def signed(files: dict[str, bytes], key: str = KEY, /, **fields: object) -> bytes:
    """The pack of these files as somebody makes it anew, with a manifest and a signature of their own."""
    content = {name: each for name, each in files.items() if name not in {"manifest.json", "signature.json"}}
    hashes = {name: check_pack.hashlib.sha256(each).hexdigest() for name, each in content.items()}
    manifest = json.dumps({**json.loads(files["manifest.json"]), "files": hashes, **fields}).encode()
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key))
    signature = {
        "public_key": private.public_key().public_bytes_raw().hex(),
        "signature": private.sign(check_pack.signed_content(manifest)).hex(),
    }
    return write({**content, "manifest.json": manifest, "signature.json": json.dumps(signature).encode()})


# --- what holds ---------------------------------------------------------------------------------------------


def test_a_pack_holds_and_says_what_it_is_about(pack: bytes, key: str, world: World) -> None:
    found = check(pack, key)
    assert (found.model, found.version, found.public_key, found.key_is_known) == (MODEL, "2", key, True)
    assert found.entries == found.proven_by_heads == len(entries.history(MODEL))
    assert found.chain == len(entries.links())
    files = read(pack)
    assert {
        "README.txt", "card/card.html", "card/card.json", "card/card.md", "check_pack.py", "lineage.json",
        "ledger/entries.jsonl", "ledger/heads.json", "ledger/links.json", "manifest.json", "signature.json",
        "reports/evaluation.json", "reports/gate.json", "reports/validation/report.html",
        "reports/validation/report.json",
    } <= set(files)  # fmt: skip
    assert world.runs[1].run_id in files["lineage.json"].decode()
    pages = sorted(name for name in files if name.startswith("reports/drift/") and name.endswith(".html"))
    assert [files[name] for name in pages] == [b"<h1>Quiet</h1>"]
    assert sum(name.startswith("reports/drift/") for name in files) == 3
    missing, gone = json.loads(files["manifest.json"])["notes"]
    assert missing == "spec/pipeline.yaml is missing: it was not kept with the training."
    assert gone.endswith(".html is missing: it is not in the store any more, or too large.")


def test_the_specification_is_the_one_that_was_trained_by(world: World, key: str, tmp_path: Path) -> None:
    version = registry.get_version(MODEL, "1")
    card = gather.gather(world.spec, version, EnergyAssumptions.model_validate(ASSUMED), ask=False)
    keep_code(PROJECT / "models", MODEL, str(tmp_path))
    assert card.lineage.run is not None
    run = card.lineage.run.model_copy(update={"model_files_url": str(tmp_path / "model")})
    lineage = card.lineage.model_copy(update={"run": run})
    files = read(make(version, card.model_copy(update={"lineage": lineage}), AT))
    shipped = PROJECT / "models" / MODEL / "pipeline.yaml"
    assert files["spec/pipeline.yaml"] == shipped.read_bytes()
    assert json.loads(files["manifest.json"])["notes"] == []


def test_the_same_records_make_the_same_bytes_and_any_program_can_open_them(
    pack: bytes, world: World, tmp_path: Path
) -> None:
    assert packed(world) == pack
    with zipfile.ZipFile(io.BytesIO(pack)) as archive:
        assert archive.testzip() is None
        assert {each.filename: archive.read(each) for each in archive.infolist()} == read(pack)


def test_a_bare_environment_elsewhere_checks_it(pack: bytes, key: str, tmp_path: Path) -> None:
    """An interpreter with `cryptography` alone, in an empty folder and with another home."""
    python = _bare_python(tmp_path)
    folder = tmp_path / "auditor"
    folder.mkdir()
    (folder / "check.py").write_bytes(read(pack)["check_pack.py"])
    (folder / "v2.pack").write_bytes(pack)
    (folder / "key").write_text(f"{key}\n")
    (folder / "bad.pack").write_bytes(changed(pack, len(pack) // 2, 1))

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [python, "-I", "check.py", *words], cwd=folder, env={"HOME": str(folder), "PATH": ""},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    held = run("v2.pack", "--key", "key")
    assert (held.returncode, held.stderr) == (0, "")
    assert held.stdout.startswith(f"The pack of version 2 of {MODEL}")
    assert "Not checked: whose key" in run("v2.pack").stdout
    found = run("bad.pack", "--key", "key")
    assert (found.returncode, found.stdout) == (6, "")
    assert found.stderr.startswith("Refused: ")
    assert run("nothing.pack").returncode == 2
    (folder / "text").write_text("my key")
    no_key = run("v2.pack", "--key", "text")
    said = "text is no public key: 64 hexadecimal digits are expected.\n"
    assert (no_key.returncode, no_key.stdout, no_key.stderr) == (2, "", said)
    shutil.rmtree(next((tmp_path / "bare" / "lib").iterdir()) / "site-packages" / "cryptography")
    lacks = run("v2.pack")
    assert (lacks.returncode, lacks.stdout) == (2, "")
    assert lacks.stderr == "Python's package cryptography is missing: pip install cryptography\n"
    assert run("-h").returncode == 0


def _bare_python(folder: Path) -> str:
    """A virtual environment that has the installed `cryptography` with what it needs, and nothing else."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "bare"], check=True)
    site = next((folder / "bare" / "lib").iterdir()) / "site-packages"
    for name in ("cryptography", "cffi", "_cffi_backend", "pycparser"):
        module = __import__(name)
        source = Path(str(module.__file__))
        if source.name == "__init__.py":
            shutil.copytree(source.parent, site / name)
        else:
            shutil.copy(source, site)
    python = str(folder / "bare" / "bin" / "python")
    lacks = subprocess.run([python, "-I", "-c", "import pydantic"], capture_output=True, check=False)
    assert lacks.returncode == 1, "it is not bare"
    return python


# --- what was changed ---------------------------------------------------------------------------------------


def test_one_changed_byte_anywhere_is_found_and_its_file_named(pack: bytes, key: str) -> None:
    drawn, spans = random.Random(7), places(pack)
    tried = {drawn.randrange(len(pack)) for _ in range(300)}
    for begin, end, _ in spans:  # the bytes that no file's content covers, and both ends of what does
        tried |= {begin + drawn.randrange(min(80, end - begin)) for _ in range(10)} | {begin, end - 1}
    for place in sorted(tried):
        with pytest.raises(Refused) as refused:
            check(changed(pack, place, 1 << drawn.randrange(8)), key)
        name = next(name for begin, end, name in spans if begin <= place < end)
        assert name in str(refused.value), (place, str(refused.value))


def test_a_pack_that_was_cut_off_or_added_to_is_refused(pack: bytes, key: str) -> None:
    for length in (0, 1, 21, 22, 100, len(pack) // 2, len(pack) - 1):
        with pytest.raises(Refused, match=r"too short|end of the archive"):
            check(pack[:length], key)
    for more in (pack + b"x", b"x" + pack, pack + pack):
        with pytest.raises(Refused):
            check(more, key)


def _zipped(files: dict[str, bytes], **options: int) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", options.get("compression", zipfile.ZIP_STORED)) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, (options.get("year", 1980), 1, 1, 0, 0, 0))
            entry.external_attr, entry.create_system = options.get("mode", 0o100644) << 16, 3
            entry.compress_type = options.get("compression", zipfile.ZIP_STORED)
            archive.writestr(entry, content)
    return made.getvalue()


def _tarred(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()


HOSTILE: dict[str, tuple[Callable[[dict[str, bytes]], bytes], str]] = {
    "re-zipped": (lambda files: _zipped(files, year=2026), "in the archive's directory was changed"),
    "compressed": (lambda files: _zipped(files, compression=zipfile.ZIP_DEFLATED), "compressed"),
    "a bomb": (
        lambda files: _zipped({**files, "bomb": bytes(30_000_000)}, compression=zipfile.ZIP_DEFLATED),
        "compressed",
    ),
    "a link": (lambda files: _zipped({"a": b"/etc/passwd"}, mode=0o120777), "link or a device"),
    "a path out of it": (lambda files: _zipped({"../../etc/cron.d/x": b"x"}), "no name"),
    "an absolute path": (lambda files: _zipped({"/etc/x": b"x"}), "no name"),
    "a path of Windows": (lambda files: _zipped({"a\\..\\b": b"x"}), "no name"),
    "too many files": (lambda files: _zipped({f"f{n:05d}": b"" for n in range(2001)}), "has 2001 files"),
    "another kind": (_tarred, "end of the archive"),
    "no manifest": (lambda files: write({"a": b"x"}), "manifest.json is missing"),
    "another key": (lambda files: signed(files, FOREIGN), "was signed with the key"),
    "a file more": (
        lambda files: write({**files, "reports/extra.json": b"{}"}),
        "reports/extra.json: it was added",
    ),
    "a file less": (
        lambda files: write({name: each for name, each in files.items() if name != "lineage.json"}),
        "lineage.json: manifest.json names it",
    ),
    "a file changed with its checksum": (
        lambda files: write({**files, "card/card.md": b"All is well."}),
        "card/card.md: its SHA-256",
    ),
    "another format": (lambda files: signed(files, format="perennial pack 2"), "manifest.json: the format"),
    "no text": (lambda files: write({**files, "signature.json": b"[" * 100_000}), "signature.json"),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_what_is_no_pack_of_this_platform_is_refused_with_a_sentence(how: str, pack: bytes, key: str) -> None:
    made, said = HOSTILE[how]
    with pytest.raises(Refused, match=said):
        check(made(read(pack)), key)


def _with_entry(files: dict[str, bytes], number: int, **fields: object) -> dict[str, bytes]:
    lines = [json.loads(line) for line in files["ledger/entries.jsonl"].splitlines()]
    lines[number] |= fields
    return {**files, "ledger/entries.jsonl": "".join(json.dumps(line) + "\n" for line in lines).encode()}


def _linked(files: dict[str, bytes], change: Callable[[list[str]], None]) -> dict[str, bytes]:
    links = json.loads(files["ledger/links.json"])
    change(links)
    return {**files, "ledger/links.json": json.dumps(links).encode()}


LEDGERS: dict[str, tuple[Callable[[dict[str, bytes]], dict[str, bytes]], str]] = {
    "a reason": (
        lambda files: _with_entry(files, 0, why="Because."),
        "its fields are not what its hash says",
    ),
    "evidence": (lambda files: _with_entry(files, 0, evidence={}), "its evidence is not what its hash says"),
    "whom it is about": (lambda files: _with_entry(files, 0, model="other"), "is about other"),
    "a number": (lambda files: _with_entry(files, 0, sequence=9999), "is not in ledger/links.json"),
    "the chain": (lambda files: _linked(files, lambda links: links.insert(0, "a" * 64)), "entry"),
    "half a character": (
        lambda files: {
            **files,
            "ledger/heads.json": files["ledger/heads.json"].replace(b"+00:00", b"\\ud83d"),
        },
        "was not signed with the key of the pack",
    ),
    "a head": (
        lambda files: {
            **files,
            "ledger/heads.json": files["ledger/heads.json"].replace(b"+00:00", b"+01:00"),
        },
        "was not signed with the key of the pack",
    ),
}


@pytest.mark.parametrize("what", LEDGERS)
def test_who_holds_the_key_can_change_a_decision_only_so_that_it_shows(
    what: str, pack: bytes, key: str
) -> None:
    change, said = LEDGERS[what]
    with pytest.raises(Refused, match=said):
        check(signed(change(read(pack))), key)


def test_nothing_of_a_pack_steers_the_terminal(pack: bytes, key: str) -> None:
    steers = "\x1b[2J\ud800\nAll is well."
    files = {**read(pack), "ledger/heads.json": b"[]"}
    told = check_pack.told(check(signed(files, FOREIGN, version=steers, made_at=steers), None))
    assert all(each.isprintable() for each in told)
    with pytest.raises(Refused, match="names it") as refused:
        check(signed(files, FOREIGN, files={steers: "0"}), None)
    assert str(refused.value).isprintable()


def test_an_entry_that_is_nested_too_deeply_is_refused_with_a_sentence(pack: bytes, key: str) -> None:
    said = set()
    for depth in range(850, 1000, 2):  # from what can be hashed to what cannot be read
        evidence = "[" * depth + "]" * depth
        line = f'{{"sequence": 1, "model": "{MODEL}", "evidence": {evidence}}}'
        files = {**read(pack), "ledger/entries.jsonl": line.encode()}
        with pytest.raises(Refused) as refused:
            check(signed(files), key)
        said.add(str(refused.value).partition(": ")[2][:20])
    assert len(said) > 1


def test_entries_that_no_head_proves_are_counted_apart(pack: bytes, key: str) -> None:
    found = check(signed({**read(pack), "ledger/heads.json": b"[]"}), key)
    assert (found.proven_by_heads, found.entries) == (0, len(entries.history(MODEL)))


# --- what is not packed -------------------------------------------------------------------------------------


def test_nothing_is_packed_without_a_key_or_of_a_ledger_that_is_not_whole(
    world: World, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("PERENNIAL_LEDGER_KEY", "")
        settings.cache_clear()
        with pytest.raises(InvalidSettings, match="signed with the ledger's key"):
            packed(world)
    settings.cache_clear()
    newest = heads.names()[-1]
    heads.set_aside(*newest)
    heads.keep(newest[0], "a" * 64)
    with pytest.raises(LedgerBroken, match="Nothing is packed of a ledger that is not whole"):
        packed(world)


def test_no_pack_is_written_that_nobody_could_check() -> None:
    with pytest.raises(Refused, match="2001 files, and a pack has at most 2000"):
        write({f"{number}.json": b"{}" for number in range(2001)})
