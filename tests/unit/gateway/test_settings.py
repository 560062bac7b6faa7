"""A gateway that others can reach asks for tokens; of those it keeps the hashes."""

import os
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from perennial_gateway.app import application
from perennial_gateway.database import as_text, connect, feedback, predictions
from perennial_gateway.feedback_limit import FeedbackLimit
from perennial_gateway.page import page
from perennial_gateway.routes import Route, Served
from perennial_gateway.settings import GatewaySettings, Unguarded, UnsafeFolder, is_loopback
from perennial_gateway.tokens import parse_tokens
from perennial_gateway.web import Refused
from pydantic import ValidationError

from tests.unit.reviews import DAY

TOKEN = "0123456789abcdef"


def settings(**changes: Any) -> GatewaySettings:
    own = {
        "gateway_token": "a token of the steps",
        "gateway_database_url": "sqlite://",
        "torchserve_inference_url": "http://127.0.0.1:1",
        "torchserve_key_file": "/nowhere",
    }
    return GatewaySettings.model_validate(own | changes)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_on_loopback_no_token_is_needed(host: str) -> None:
    assert is_loopback(host)
    assert settings(gateway_host=host).users == ()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "gateway", "localhost.example.org", ""])
def test_beyond_loopback_there_is_no_gateway_without_a_token(host: str) -> None:
    with pytest.raises(Unguarded, match=f"Others can reach {host}"):
        application(settings(gateway_host=host))
    application(settings(gateway_host=host, prediction_tokens=f"shop={TOKEN}"))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (TOKEN, "entry 1 is not name=token"),
        (f"shop={TOKEN},={TOKEN}", "entry 2 is not name=token"),
        (f"Shop={TOKEN}", "entry 1 is not name=token"),
        ("shop=short", "the token of 'shop' is shorter than 16"),
        ("shop=sha256:" + "F" * 64, "the hash of 'shop' is not sha256"),
        (f"shop={TOKEN},bank={TOKEN}", "have the same token"),
        ("shop=a token of the steps", "may not be a prediction token too"),
    ],
)
def test_a_wrong_list_of_tokens_is_refused_and_no_token_is_told(text: str, fault: str) -> None:
    with pytest.raises(ValidationError) as refused:
        settings(prediction_tokens=text)
    messages = [error["msg"] for error in refused.value.errors()]
    assert fault in messages[0]
    assert TOKEN not in messages[0]


def test_a_token_may_be_given_as_its_hash_and_is_kept_as_that() -> None:
    digest = sha256(TOKEN.encode())
    plain, hashed = parse_tokens(f"shop={TOKEN}, shop=sha256:{digest.hexdigest()},")
    assert plain == hashed == ("shop", digest.digest())


@pytest.mark.parametrize("text", ["", "many", "5", "5/fortnight"])
def test_a_limit_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="is no limit; an example is"):
        settings(feedback_limit=text)


def test_of_several_limits_each_holds_for_each_token() -> None:
    limit = FeedbackLimit("9/minute;6/day")
    limit.take("shop", 6)
    refusals = {1: "6 labels per day.* again in", 10: "per minute.* at most 9 labels at a time"}
    for labels, sentence in refusals.items():
        with pytest.raises(Refused, match=sentence) as refused:
            limit.take("shop", labels)
        assert refused.value.status == 429
        assert 1 <= int(refused.value.headers["Retry-After"]) <= 86_400
    limit.take("bank", 6)


def test_the_page_escapes_what_a_model_says_of_itself() -> None:
    route = Route(
        model="m",
        model_version="<b>1</b>",
        run_id="r",
        backend_version="1",
        archive_sha256="0",
        input_schema={"description": "</pre><script>alert(1)</script>"},
        label_schema={"enum": ["'<i>"]},
        input_example={"text": "it's <b>"},
        timeout_seconds=1,
    )
    shown = page([Served(route, "now")], 'host"><script>', with_token=False)
    assert "<script>" not in shown
    assert "<b>" not in shown
    assert "<i>" not in shown
    assert "&lt;b&gt;1&lt;/b&gt;" in shown


def test_a_database_of_an_earlier_version_gains_the_columns_that_it_lacks(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    engine = connect(url)
    row = {"prediction_id": "p", "model": "m", "label": "1", "received_at": as_text(DAY), "sent_by": None}
    with engine.begin() as connection:
        connection.execute(feedback.insert().values(row))
        for table in (predictions, feedback):
            connection.execute(sa.text(f"ALTER TABLE {table.name} DROP COLUMN sent_by"))
        connection.execute(sa.text("ALTER TABLE predictions DROP COLUMN latency_seconds"))
    engine.dispose()
    for _ in range(2):
        engine = connect(url)
        with engine.begin() as connection:
            connection.execute(feedback.insert().values(row | {"sent_by": "shop"}))
            found = connection.scalars(sa.select(feedback.c.sent_by).order_by(feedback.c.sequence)).all()
            asked = sa.inspect(connection).get_columns("predictions")
        engine.dispose()
    assert found == [None, "shop", "shop"]
    assert {"sent_by", "latency_seconds"} <= {column["name"] for column in asked}


def of_postgresql(name: str, *, password: str = "secret", **changes: Any) -> GatewaySettings:
    return settings(gateway_database_url=f"postgresql+psycopg://us:{password}@host/{name}", **changes)


def test_each_database_has_a_spool_folder_of_its_own_which_its_password_does_not_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    one = of_postgresql("one")
    staging = of_postgresql("one", gateway_environment="staging")
    folders = {each.spool for each in (one, of_postgresql("two"), staging)}

    assert len(folders) == 3
    assert all(folder.parent == tmp_path for folder in folders)
    assert of_postgresql("one", password="another").spool == one.spool
    made = one.make_spool()
    assert (made, made.stat().st_mode & 0o777) == (one.spool, 0o700)
    assert one.make_spool() == made


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
@pytest.mark.parametrize("linked", [False, True])
def test_a_spool_folder_that_another_user_made_is_refused(
    linked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    theirs = of_postgresql("one").spool
    if linked:
        (tmp_path / "ours").mkdir()
        theirs.symlink_to(tmp_path / "ours")
    else:
        theirs.mkdir()
    os.chown(theirs, 65534, 65534, follow_symlinks=False)

    with pytest.raises(UnsafeFolder, match=r"belongs to another user \(uid 65534\).*PERENNIAL_LOG_SPOOL"):
        of_postgresql("one").make_spool()
    assert of_postgresql("one", log_spool=theirs).make_spool() == theirs  # who names it answers for it
