"""Who may say what is true: the gateway beyond loopback, with named tokens, before the real TorchServe."""

import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import requests

from tasks.stores.lake import Lake
from tests.services.conftest import ENVIRONMENTS, PROJECT, TOKEN, Model, Platform
from tests.services.test_collect import run

SHOP, BANK = "a-token-of-the-shop", "a-token-of-the-bank"
MOST, WINDOW_SECONDS = 1000, 2
NO_TOKEN = ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {SHOP}"})


@pytest.fixture(scope="module")
def guarded(services: Platform, steady: Model) -> Iterator[Platform]:
    """The gateway where others can reach it; each token may send 1000 labels in 2 seconds."""
    hashed = sha256(BANK.encode()).hexdigest()
    with services.listening(
        GATEWAY_HOST="0.0.0.0",
        PREDICTION_TOKENS=f"shop={SHOP},bank=sha256:{hashed}",
        FEEDBACK_LIMIT=f"{MOST} per {WINDOW_SECONDS} second",
    ):
        yield services


def by(token: str) -> dict[str, dict[str, str]]:
    return {"headers": {"Authorization": f"Bearer {token}"}}


def ask(platform: Platform, model: Model, *texts: str, token: str = SHOP) -> list[str]:
    answer = platform.predict(model.name, *texts, **by(token))
    assert answer.status_code == 200, answer.text
    return [each["prediction_id"] for each in answer.json()["predictions"]]


def tell(platform: Platform, model: Model, ids: list[str], **how: Any) -> requests.Response:
    items = [{"prediction_id": prediction_id, "label": 1} for prediction_id in ids]
    return platform.post(f"/v1/models/{model.name}/feedback", {"feedback": items}, **how)


def test_900_false_labels_without_a_token_change_nothing(guarded: Platform, steady: Model) -> None:
    (known,) = ask(guarded, steady, "a")
    before = len(guarded.logged("feedback", steady.name))

    def lie(number: int) -> requests.Response:
        return tell(guarded, steady, [known] * 30, headers=NO_TOKEN[number % len(NO_TOKEN)])

    with ThreadPoolExecutor(8) as senders:
        answers = list(senders.map(lie, range(30)))
    assert {answer.status_code for answer in answers} == {401}
    assert "Authorization: Bearer" in answers[0].json()["error"]
    assert answers[0].headers["WWW-Authenticate"] == "Bearer"
    assert len(guarded.logged("feedback", steady.name)) == before


@pytest.mark.parametrize("headers", [*NO_TOKEN, {"Authorization": f"Bearer {TOKEN}"}])
def test_nothing_below_v1_answers_without_a_users_token(
    guarded: Platform, steady: Model, headers: dict[str, str]
) -> None:
    before = len(guarded.logged("predictions", steady.name))
    assert guarded.predict(steady.name, "a", headers=headers).status_code == 401
    for path in ("models", f"models/{steady.name}", "nothing", "models/", "/models"):
        answer = requests.get(f"{guarded.gateway_url}/v1/{path}", headers=headers, timeout=30)
        assert (path, answer.status_code) == (path, 401)
    assert len(guarded.logged("predictions", steady.name)) == before


def test_a_users_token_opens_nothing_of_the_steps(guarded: Platform, steady: Model) -> None:
    for path in (f"routes/{steady.name}", "log/feedback", "takebacks", "nothing"):
        assert (
            requests.get(f"{guarded.gateway_url}/internal/{path}", timeout=30, **by(SHOP)).status_code == 403
        )
    assert requests.get(f"{guarded.gateway_url}/healthz", timeout=30).status_code == 200


def test_the_log_says_who_asked_and_who_sent_a_label(guarded: Platform, steady: Model) -> None:
    (first,), (second,) = ask(guarded, steady, "a"), ask(guarded, steady, "b", token=BANK)
    assert tell(guarded, steady, [first, second], **by(BANK)).status_code == 202
    asked = {row["prediction_id"]: row["sent_by"] for row in guarded.logged("predictions", steady.name)}
    assert (asked[first], asked[second]) == ("shop", "bank")
    assert [row["sent_by"] for row in guarded.logged("feedback", steady.name)[-2:]] == ["bank", "bank"]


def test_a_token_sends_labels_up_to_its_limit_and_others_are_not_kept_waiting(
    guarded: Platform, steady: Model
) -> None:
    (known,) = ask(guarded, steady, "a")
    time.sleep(WINDOW_SECONDS)  # a window of its own
    assert tell(guarded, steady, [known] * (MOST - 1), **by(SHOP)).status_code == 202
    before = len(guarded.logged("feedback", steady.name))
    refused = tell(guarded, steady, [known] * 2, **by(SHOP))
    assert refused.status_code == 429
    assert "'shop' may send 1000 labels per 2 seconds" in refused.json()["error"]
    assert "1 more now" in refused.json()["error"]
    assert len(guarded.logged("feedback", steady.name)) == before
    assert tell(guarded, steady, [known] * 2, **by(BANK)).status_code == 202
    time.sleep(int(refused.headers["Retry-After"]))
    assert tell(guarded, steady, [known] * 2, **by(SHOP)).status_code == 202


def take_back(platform: Platform, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command of docs/operate.md."""
    command = [
        str(ENVIRONMENTS / "gateway" / "bin" / "python"),
        "containers/gateway/take_back.py",
        *arguments,
    ]
    environment = {"PERENNIAL_GATEWAY_URL": platform.gateway_url, "PERENNIAL_GATEWAY_TOKEN": TOKEN}
    return subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=30, check=False
    )


def test_what_a_token_sent_is_taken_back_by_one_command_and_stays_in_the_log(
    guarded: Platform, steady: Model
) -> None:
    (known,) = ask(guarded, steady, "a", token=BANK)
    tell(guarded, steady, [known], **by(BANK))
    since = datetime.now(UTC)
    tell(guarded, steady, [known, known], **by(BANK))
    tell(guarded, steady, [known], **by(SHOP))
    labels = guarded.logged("feedback", steady.name)

    done = take_back(guarded, "bank", "--since", since.isoformat(), "--why", "its key was stolen")

    assert done.returncode == 0, done.stderr
    assert f"{steady.name}: 2 labels" in done.stdout
    assert f"collect_{steady.name}" in done.stdout
    (record,) = guarded.logged("takebacks", steady.name)[-1:]
    assert (record["sent_by"], record["labels"], record["why"]) == ("bank", 2, "its key was stolen")
    assert datetime.fromisoformat(record["since"]) == since
    assert guarded.logged("feedback", steady.name) == labels


def test_labels_that_were_taken_back_are_in_the_lake_and_never_land(
    guarded: Platform, steady: Model, settled: Path
) -> None:
    (honest,), (false,) = ask(guarded, steady, "a"), ask(guarded, steady, "b")
    tell(guarded, steady, [honest], **by(SHOP))
    run(steady.spec)
    tell(guarded, steady, [false], **by(BANK))
    take_back(guarded, "bank", "--why", "its key was stolen")

    result = run(steady.spec)

    assert (result.feedback_rows, result.labelled_rows, result.taken_back) == (1, 0, ())
    labels = Lake().read(f"{steady.name}__feedback", columns=["prediction_id", "sent_by"]).to_pylist()
    assert {row["sent_by"] for row in labels if row["prediction_id"] in {honest, false}} == {"shop", "bank"}
    asked = Lake().read(f"{steady.name}__predictions", columns=["sent_by"]).column("sent_by").to_pylist()
    assert set(asked) == {"shop", "bank"}
    (why,) = Lake().read(f"{steady.name}__takebacks", columns=["why"]).column("why").unique().to_pylist()
    assert why == "its key was stolen"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nobody", "--why", "a"), "No label was sent by the token 'nobody'"),
        (
            ("shop", "--why", "a", "--since", "2099-01-01T00:00:00Z"),
            "No label was sent by the token 'shop' since",
        ),
        (("shop", "--why", "a", "--since", "yesterday"), "since: "),
        (("shop",), "--why"),
    ],
)
def test_a_request_that_takes_nothing_back_says_so(
    guarded: Platform, arguments: tuple[str, ...], sentence: str
) -> None:
    done = take_back(guarded, *arguments)
    assert done.returncode != 0
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_time_without_a_zone_is_not_guessed(guarded: Platform, steady: Model) -> None:
    local = (datetime.now(UTC) - timedelta(hours=1)).replace(tzinfo=None).isoformat()
    answer = guarded.internal("POST", "/takebacks", json={"sent_by": "shop", "since": local, "why": "a"})
    assert (answer.status_code, "timezone" in answer.json()["error"]) == (422, True)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "gateway"])
def test_beyond_loopback_the_gateway_does_not_start_without_a_token(platform: Platform, host: str) -> None:
    environment = platform.gateway.environment | {"PERENNIAL_GATEWAY_HOST": host}
    environment["PERENNIAL_PREDICTION_TOKENS"] = " , "
    ended = subprocess.run(
        platform.gateway.command, env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 1
    assert f"Others can reach {host}" in ended.stderr
    assert "PERENNIAL_PREDICTION_TOKENS" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_page_shows_how_to_send_a_token(guarded: Platform, steady: Model) -> None:
    page = requests.get(guarded.gateway_url, timeout=30).text
    assert "Authorization: Bearer $PREDICTION_TOKEN" in page.replace("&#34;", '"')
    assert SHOP not in page
