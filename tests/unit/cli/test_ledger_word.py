"""`perennial ledger` on a real ledger: what it shows to whom, and that it notices who touched it."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from cli.place import Place
from tasks.contracts import Action
from tasks.errors import StoreUnreachable
from tasks.ledger import entries
from tasks.provenance.looks import look
from tasks.settings import settings
from tasks.stores import database, files
from tasks.stores.database import ledger_entries
from tests.unit.cli.conftest import Ask
from tests.unit.tampering import tamper


@contextmanager
def database_at(monkeypatch: pytest.MonkeyPatch, url: str) -> Iterator[None]:
    """The platform's database is elsewhere, and waited for only shortly."""
    with monkeypatch.context() as patched:
        patched.setenv("PERENNIAL_DATABASE_URL", url)
        patched.setenv("PERENNIAL_DATABASE_WAIT_SECONDS", "0.1")
        patched.setattr(database, "CONNECT_SECONDS", 1)
        settings.cache_clear()
        database.engine.cache_clear()
        yield
    settings.cache_clear()
    database.engine.cache_clear()


pytestmark = pytest.mark.usefixtures("ledger")


def test_a_pipe_gets_one_line_an_entry_with_the_same_columns_and_no_colours(ask: Ask) -> None:
    answer = ask("ledger")
    assert answer.code == 0
    assert answer.shown.splitlines()[0] == "ENTRY\tAT\tMODEL\tDECISION\tBEFORE\tAFTER\tBY\tWHY"
    assert {len(row) for row in answer.rows} == {8}
    assert [row[3] for row in answer.rows] == ["gate", "deploy", "champion"]
    assert answer.rows[0][7] == "accuracy 0.91 is above 0.8"
    assert "\x1b" not in answer.shown


def test_a_narrow_terminal_gets_every_word_of_every_entry(ask: Ask) -> None:
    wide, narrow = ask("ledger", columns=250), ask("ledger", columns=40)
    assert "ENTRY" in wide.shown.splitlines()[0]
    assert "WHY" in wide.shown.splitlines()[0]
    assert narrow.shown.count("DECISION") == 3
    assert max(map(len, narrow.shown.splitlines())) <= 40
    assert "".join(narrow.shown.split()).count("isabove0.8") == 3


def refuse(table: str, why: str, file: str) -> None:
    entries.record(
        model=table,
        actor="airflow:ingest",
        action=Action.INGEST,
        before=None,
        after="refused",
        why=why,
        evidence={"file": file},
    )


def test_what_was_decided_about_the_files_of_a_table_is_asked_for_by_its_name(ask: Ask) -> None:
    refuse("reviews", "It is no CSV.", "day.csv")
    assert [row[2:4] for row in ask("ledger", "reviews").rows] == [["reviews", "ingest"]]
    assert ask("ledger", "revews").code == 2


def test_what_somebody_wrote_does_not_steer_a_terminal_nor_break_a_document(ask: Ask) -> None:
    refuse("review_sentiment", "\x1b]0;owned\x07 day.csv", "half a pair: \ud800")
    shown = ask("ledger", "--last", "1", columns=250).shown
    assert "]0;owned  day.csv" in shown
    assert not {"\x1b", "\x07"} & set(shown)
    answer = ask("ledger", "--last", "1", "--json")
    assert answer.code == 0
    assert json.loads(answer.shown)["entries"][0]["evidence"] == {"file": "half a pair: \ud800"}


def test_programs_get_the_entries_as_they_are(ask: Ask) -> None:
    document = json.loads(ask("ledger", "--json", "--last", "1").shown)
    assert document["verified"] is None
    [entry] = document["entries"]
    assert (entry["sequence"], entry["action"], entry["evidence"]) == (3, "champion", {"action": "champion"})


def test_a_whole_ledger_is_verified(ask: Ask) -> None:
    answer = ask("ledger", "--verify")
    assert answer.code == 0
    assert "whole" in answer.said


def test_what_a_verification_could_not_look_at_is_told(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERENNIAL_LEDGER_KEY", "")
    settings.cache_clear()
    assert "Not checked: PERENNIAL_LEDGER_KEY is not set" in ask("ledger", "--verify").said
    assert len(json.loads(ask("ledger", "--verify", "--json").shown)["unchecked"]) >= 1


def test_a_changed_entry_ends_with_a_code_of_its_own_and_is_named(ask: Ask) -> None:
    tamper(sa.update(ledger_entries).where(ledger_entries.c.sequence == 2).values(why="otherwise"))
    answer = ask("ledger", "--verify")
    assert answer.code == 6
    assert "Entry 2 of the ledger is changed" in answer.said
    assert len(answer.rows) == 3, "what is there is shown all the same"
    document = json.loads(ask("ledger", "--verify", "--json").shown)
    assert (document["verified"], len(document["faults"])) == (False, 1)
    assert ask("ledger").code == 0, "only who asks for it waits for a verification"


def test_an_entry_that_nobody_can_read_is_named_too(ask: Ask) -> None:
    tamper(sa.update(ledger_entries).where(ledger_entries.c.sequence == 3).values(evidence="{"))
    answer = ask("ledger", "--verify")
    assert (answer.code, answer.rows) == (6, [])
    assert "Entry 3" in answer.said
    unasked = ask("ledger")
    assert (unasked.code, unasked.shown) == (6, "")
    assert "--verify" in unasked.said


def test_a_ledger_that_is_no_database_is_said_in_a_sentence(ask: Ask, home: Path) -> None:
    (home / "perennial.db").write_text("This is a note of somebody's. " * 100)
    for more in home.glob("perennial.db-*"):
        more.unlink()
    answer = ask("ledger")
    assert answer.code == 4
    assert "file is not a database" in answer.said
    assert str(home) in answer.said
    (home / "perennial.db").unlink()


def test_an_unknown_model_is_refused_with_the_nearest_one(ask: Ask) -> None:
    answer = ask("ledger", "review_sentimnt")
    assert answer.code == 2
    assert "review_sentiment" in " ".join(answer.said.split())


def test_a_model_that_decided_nothing_yet_has_no_line(ask: Ask) -> None:
    assert ask("ledger", "flight_delay").rows == []
    assert "nothing was decided" in ask("ledger", "flight_delay", columns=100).shown


@pytest.mark.parametrize(
    ("url", "code", "said"),
    [
        ("nonsense", 20, "PERENNIAL_DATABASE_URL is no URL of a database"),
        ("postgresql+psycopg://u:secret@h:port/x", 20, "PERENNIAL_DATABASE_URL is no URL of a database"),
        ("postgresql+psycopg://u:p@secret@h/x", 20, "special letters of the password as %XX"),
        ("postgresql+psycopg://u:p@b/secret@h/x", 20, "special letters of the password as %XX"),
        ("postgresql+psycopg://127.0.0.1:1/x?user=u&password=secret", 4, "//127.0.0.1:1/x (connection"),
        ("nothing://u:secret@h/x", 20, "cannot be opened here, nothing://u:***@h/x"),
        ("oracle+cx_oracle://u:secret@h/x", 20, "cannot be opened here, oracle"),
        ("postgresql+psycopg://u:secret@127.0.0.1:1/x", 4, "u:***@127.0.0.1:1/x (connection failed"),
        ("sqlite:////no/such/folder/x.db", 4, "unable to open database file"),
    ],
)
def test_a_database_that_cannot_be_opened_is_told_in_a_sentence(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, url: str, code: int, said: str
) -> None:
    with database_at(monkeypatch, url):
        answers = [ask("ledger"), ask("ledger", "--verify"), ask("reproduce", "nothing", "--here")]
    for answer in answers:
        assert (answer.code, said in answer.said, "secret" in answer.said) == (code, True, False), answer.said


def test_a_database_that_never_answers_is_not_waited_for_without_end(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with database_at(monkeypatch, f"postgresql+psycopg://u@127.0.0.1:{port}/x"):
            answer = ask("ledger")
    assert (answer.code, "timeout expired" in answer.said) == (4, True), answer.said


@pytest.mark.parametrize("words", [["ledger"], ["ledger", "--json"], ["--help"]])
def test_output_that_nobody_takes_ends_with_a_sentence_or_in_silence(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", os.fdopen(os.open("/dev/full", os.O_WRONLY), "w", encoding="utf-8"))
        full = ask(*words)
    reader, writer = os.pipe()
    os.close(reader)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", os.fdopen(writer, "w", encoding="utf-8"))
        closed = ask(*words)
    assert (full.code, closed.code) == (1, 1)
    assert "cannot be written: No space left on device" in full.said
    assert "Traceback" not in full.said + closed.said
    assert "cannot be written" not in closed.said


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "2>&-"])
def test_an_output_that_was_closed_is_no_fault_of_the_command(ledger: None, closed: str) -> None:
    told = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m cli ledger {closed}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == (0 if closed == "2>&-" else 1)
    assert "Traceback" not in told.stderr
    assert ("cannot be written: Bad file descriptor" in told.stderr) == (closed == ">&-")


def test_a_store_that_does_not_answer_is_told_in_a_sentence(
    ledger: None, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    from botocore.exceptions import EndpointConnectionError

    def away(_: object) -> None:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:9")

    monkeypatch.setattr(files, "entries", away)
    answer = ask("ledger", "--verify")
    assert (answer.code, "object store" in answer.said, "does not answer" in answer.said) == (4, True, True)
    with pytest.raises(StoreUnreachable):  # which `status` tells among what is wrong
        Place().wrong_at_end()
    looks = look("day.csv", only="batch")
    assert (looks.found, "does not answer" in looks.away[0]) == ([], True)
