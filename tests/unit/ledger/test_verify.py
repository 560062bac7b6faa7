"""Whatever is done to the ledger by somebody who owns its database is told by its heads elsewhere."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from upath import UPath

from tasks.errors import InvalidSettings, LedgerBroken, ServiceAway
from tasks.ledger import entries, heads, restored, verify, whole_end
from tasks.ledger.hashes import GENESIS, entry_hash_of
from tasks.ledger.signature import sign
from tasks.settings import settings
from tasks.stores import files, mlflow_rest, registry
from tasks.stores.database import engine, ledger_entries
from tests.unit.ledger.test_ledger import decide
from tests.unit.tampering import tamper


@pytest.fixture(autouse=True)
def key(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key of this installation, and an MLflow in which no model is registered."""
    monkeypatch.setenv("PERENNIAL_LEDGER_KEY", "17" * 32)
    settings.cache_clear()
    monkeypatch.setattr(mlflow_rest, "registered_models", list)


def told() -> list[tuple[str, int | None]]:
    return [(finding.kind, finding.sequence) for finding in verify.verify()]


def rewrite(why: str) -> None:
    """Write the whole chain anew, the first entry's reason changed and every hash fresh."""
    with engine().connect() as connection:
        rows = [dict(row) for row in connection.execute(entries.AS_KEPT.order_by("sequence")).mappings()]
    rows[0]["why"], previous, statements = why, GENESIS, []
    for row in rows:
        row["previous_hash"] = previous
        fields = {**row, "evidence": json.loads(row["evidence"])}
        previous = row["entry_hash"] = entry_hash_of(fields)
        row["at"] = sa.literal(row["at"], sa.String)
        statements.append(
            ledger_entries.update().where(ledger_entries.c.sequence == row["sequence"]).values(row)
        )
    tamper(*statements)


def folder() -> Path:
    return Path(settings().ledger) / heads.FOLDER


def kept() -> list[Path]:
    return sorted(folder().rglob("*.json"))


def place_of(sequence: int, entry_hash: str) -> Path:
    return Path(heads.place_of(sequence, entry_hash).path)


def test_a_ledger_that_nobody_touched_has_a_signed_head_for_each_end(home: Path) -> None:
    for number in range(1, 4):
        decide(number)

    assert told() == []
    assert heads.names() == entries.links()
    verify.require_whole_end()


@pytest.mark.parametrize(
    ("harm", "kind", "sequence"),
    [
        (lambda: tamper(ledger_entries.delete().where(ledger_entries.c.sequence > 1)), "cut", 2),
        (lambda: rewrite("otherwise"), "rewritten", 1),
        (lambda: tamper(ledger_entries.delete()), "cut", 1),
    ],
)
def test_a_cut_end_and_a_chain_with_fresh_hashes_are_noticed_and_nothing_is_decided_by_them(
    home: Path, harm: Callable[[], None], kind: str, sequence: int
) -> None:
    for number in range(1, 4):
        decide(number)

    harm()

    assert entries.broken_entries() == []
    assert (kind, sequence) in told()
    with pytest.raises(LedgerBroken, match=r"docs/ledger\.md.*Nothing is decided by it"):
        verify.require_whole_end()


def test_a_head_that_another_signed_proves_nothing_and_hides_nothing(home: Path) -> None:
    first = decide(1)
    place_of(9, "f" * 64).write_text("no head", encoding="utf-8")
    forged = heads.made(8, "e" * 64).model_copy(update={"signature": "00" * 64})
    place_of(8, "e" * 64).write_text(forged.model_dump_json(), encoding="utf-8")
    verify.require_whole_end()
    assert told() == [("head", 8), ("head", None)]

    place_of(1, first.entry_hash).write_text(forged.model_dump_json(), encoding="utf-8")
    assert ("head", None) in told()


def test_a_head_that_cannot_be_read_is_told_and_stops_nobody(home: Path) -> None:
    decide(1)
    place_of(7, "e" * 64).write_bytes(b"\xff\xfe\x00")
    place_of(8, "f" * 64).mkdir()

    verify.require_whole_end()
    assert told() == [("head", None), ("head", None)]


def test_an_entry_without_a_head_is_told_until_the_next_is_written(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide(1)
    with monkeypatch.context() as patched:
        patched.setattr(heads, "keep", lambda *_: None)
        decide(2)
    assert told() == [("uncovered", 2)]

    decide(3)

    assert told() == []


def test_a_head_in_mlflow_tells_of_a_cut_end_when_the_stores_are_gone(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide(1)
    second = decide(2)
    head = sign(heads.made(2, second.entry_hash)).model_dump_json()
    tags = [{"key": heads.TAG, "value": head}, {"key": "another", "value": "x"}]
    monkeypatch.setattr(mlflow_rest, "registered_models", lambda: [{"name": "reviews", "tags": tags}])
    assert told() == []

    tamper(ledger_entries.delete().where(ledger_entries.c.sequence == 2))
    place_of(2, second.entry_hash).unlink()

    assert told() == [("cut", 2)]


def test_a_ledger_from_a_backup_is_gone_on_with_once_a_person_says_so(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 4):
        decide(number)
    monkeypatch.setattr(registry, "registered_models", list)
    assert restored.accept("ada", "Nothing happened.") is None
    tamper(ledger_entries.delete().where(ledger_entries.c.sequence == 3))

    entry = restored.accept("ada", "Brought back from Monday's backup.")

    assert entry is not None
    assert (entry.sequence, [each[0] for each in entry.evidence["heads_set_aside"]]) == (3, [3])
    assert told() == []
    verify.require_whole_end()
    assert len(list(folder().with_name(heads.ASIDE).iterdir())) == 1


def test_without_the_key_or_mlflow_it_is_said_what_was_not_checked(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise ServiceAway("MLflow does not answer.")

    decide(1)
    monkeypatch.delenv("PERENNIAL_LEDGER_KEY")
    settings.cache_clear()
    monkeypatch.setattr(mlflow_rest, "registered_models", away)

    findings = verify.verify()

    assert [finding.kind for finding in findings] == ["unchecked", "unchecked"]
    assert "PERENNIAL_LEDGER_KEY" in findings[0].why
    assert "MLflow does not answer" in findings[1].why


def set_key(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("PERENNIAL_LEDGER_KEY", key)
    settings.cache_clear()


def replace_heads(*, signed_by_nobody: int = 3) -> None:
    """Let the newest heads be those of the chain that is there now, without a signature."""
    for sequence, entry_hash in entries.links()[-signed_by_nobody:]:
        for old in folder().rglob(f"{sequence:010d}-*"):
            old.unlink()
        head = heads.made(sequence, entry_hash).model_copy(update={"public_key": None, "signature": None})
        place_of(sequence, entry_hash).write_text(head.model_dump_json(), encoding="utf-8")


def test_a_rewritten_chain_with_unsigned_heads_is_hidden_by_no_later_entry(home: Path) -> None:
    for number in range(1, 4):
        decide(number)
    rewrite("otherwise")
    replace_heads()

    for refused in (verify.require_whole_end, lambda: decide(4)):
        with pytest.raises(LedgerBroken, match=r"newest head.*tasks\.ledger\.restored"):
            refused()
    assert len(entries.links()) == 3
    assert told() == [("head", 3)]


def test_heads_that_were_all_removed_stop_who_signs_them(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_end, "FIRST_HEAD_SECONDS", 0.0)
    decide(1)
    for head in kept():  # as if the first writer had been killed before it kept the head
        head.unlink()
    decide(2)
    for head in kept():
        head.unlink()

    with pytest.raises(LedgerBroken, match="No head of the ledger is kept in the store"):
        decide(3)


@pytest.mark.parametrize("before", ["", "23" * 32])
def test_a_key_that_is_new_or_another_one_is_gone_on_with_once_a_person_says_so(
    home: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    set_key(monkeypatch, before)
    decide(1)
    set_key(monkeypatch, "17" * 32)
    monkeypatch.setattr(registry, "registered_models", list)
    with pytest.raises(LedgerBroken, match="the key is new or another one"):
        decide(2)

    entry = restored.accept("ada", "The key is new.")

    assert entry is not None
    assert "is no head that this installation signed" in entry.evidence["fault"]
    assert told() == []
    decide(2)


def test_who_has_no_key_adds_an_entry_that_the_next_signed_head_covers(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    decide(1)
    set_key(monkeypatch, "")
    decide(2)
    verify.require_whole_end()
    assert "Not checked: PERENNIAL_LEDGER_KEY" in capsys.readouterr().out
    set_key(monkeypatch, "17" * 32)
    assert told() == [("uncovered", 2)]

    decide(3)

    assert told() == []
    verify.require_whole_end()


@pytest.mark.parametrize("replaced", [1, 2])
def test_without_the_key_a_head_without_a_signature_after_a_signed_one_is_noticed(
    home: Path, monkeypatch: pytest.MonkeyPatch, replaced: int
) -> None:
    for number in range(1, 4):
        decide(number)
    set_key(monkeypatch, "")
    replace_heads(signed_by_nobody=replaced)

    with pytest.raises(LedgerBroken, match="newest head"):
        decide(4)
    assert ("head", 3) in told()


@pytest.mark.parametrize("key", ["too short", "zz" * 32])
def test_a_key_that_is_none_is_refused_with_a_sentence(
    home: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("PERENNIAL_LEDGER_KEY", key)
    settings.cache_clear()

    with pytest.raises(InvalidSettings, match="give 64 hexadecimal digits"):
        decide(1)


def test_a_decision_looks_at_no_more_heads_in_an_old_ledger(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "TOGETHER", 3)
    for number in range(1, 12):
        decide(number)
    listed: list[str] = []
    entries_of = files.entries

    def counted(place: UPath) -> list[files.Entry]:
        found = entries_of(place)
        listed.extend(each.name for each in found if each.is_file)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(files, "entries", counted)
        decide(12)

    assert len(listed) <= 2 * 3
    assert heads.names() == entries.links()
    assert heads.first() == entries.links()[0]
    assert told() == []


def test_heads_that_an_earlier_perennial_kept_in_one_folder_are_believed(home: Path) -> None:
    for number in range(1, 4):
        decide(number)
    for head in kept():
        head.rename(folder() / head.name)
    decide(4)

    assert heads.names() == entries.links()
    assert told() == []
    tamper(ledger_entries.delete().where(ledger_entries.c.sequence > 2))
    place_of(4, heads.names()[-1][1]).unlink()
    with pytest.raises(LedgerBroken, match="cut off"):
        decide(5)


def test_folders_that_somebody_made_hide_no_cut_end(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "TOGETHER", 10)
    for number in range(1, 4):
        decide(number)
    tamper(ledger_entries.delete().where(ledger_entries.c.sequence > 2))
    (folder() / "0000000030").write_text("no folder", encoding="utf-8")
    (folder() / "0000000020" / "x").mkdir(parents=True)
    for number in (11, 12):
        place_of(number, "f" * 64).parent.mkdir(exist_ok=True)
        place_of(number, "f" * 64).write_text("no head", encoding="utf-8")

    with pytest.raises(LedgerBroken, match="cut off"):
        decide(4)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "ONCE_MORE_SECONDS", 0.0)


@pytest.mark.parametrize("newest", [1, 2, 100])
def test_a_look_at_the_end_finds_what_was_done_to_it(
    home: Path, at_once: None, monkeypatch: pytest.MonkeyPatch, newest: int
) -> None:
    monkeypatch.setattr(verify, "NEWEST", newest)
    for number in range(1, 4):
        decide(number)
    assert verify.verify_end() == []
    tamper(ledger_entries.update().where(ledger_entries.c.sequence == 3).values(why="otherwise"))
    assert [(each.kind, each.sequence) for each in verify.verify_end()] == [("entry", 3)]
    tamper(ledger_entries.delete().where(ledger_entries.c.sequence == 3))
    assert [(each.kind, each.sequence) for each in verify.verify_end()] == [("cut", 3)]


def test_a_look_at_the_end_finds_a_chain_that_was_written_anew(home: Path, at_once: None) -> None:
    for number in range(1, 4):
        decide(number)
    rewrite("otherwise")
    assert {each.kind for each in verify.verify_end()} >= {"rewritten"}


def test_an_entry_whose_head_is_being_kept_is_no_finding(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decide(1)
    with monkeypatch.context() as patched:
        patched.setattr(heads, "keep", lambda *_: None)
        decide(2)
    last = entries.newest()
    monkeypatch.setattr(verify.time, "sleep", lambda _: last and heads.keep(*last))
    assert verify.verify_end() == []
