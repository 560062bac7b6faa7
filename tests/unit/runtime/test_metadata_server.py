"""Access tokens as Google's metadata server hands them out: to who
knows the path, and for as long as they hold.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from tasks.runtime.metadata_server import Server, Tokens, credentials_of

TOKEN = "/computeMetadata/v1/instance/service-accounts/default/token"
Ask = Callable[[str], requests.Response]


@pytest.fixture
def ask() -> Iterator[Callable[[dict[str, Any]], Ask]]:
    """Starts a server of these credentials, and asks it."""
    started: list[Server] = []

    def start(info: dict[str, Any]) -> Ask:
        server = Server(Tokens(credentials_of(info), "our-project"))
        started.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return lambda path: requests.get(f"http://{server.address}{path}", timeout=10)

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def handed(seconds: float) -> dict[str, Any]:
    return {"access_token": "abc", "expires_at": time.time() + seconds}


def test_a_token_is_handed_out_with_the_seconds_that_it_still_holds(ask: Callable[[Any], Ask]) -> None:
    answer = ask(handed(1800))(TOKEN)
    assert (answer.status_code, answer.headers["Metadata-Flavor"]) == (200, "Google")
    token = answer.json()
    assert (token["access_token"], token["token_type"]) == ("abc", "Bearer")
    assert 1790 < token["expires_in"] <= 1800


def test_a_token_that_has_ended_and_cannot_be_renewed_is_refused(ask: Callable[[Any], Ask]) -> None:
    answer = ask(handed(-1))(TOKEN)
    assert answer.status_code == 401
    assert "Unauthorized: no access token can be had" in answer.text


def test_the_account_and_the_project_are_told(ask: Callable[[Any], Ask]) -> None:
    asked = ask(handed(1800))
    account = asked("/computeMetadata/v1/instance/service-accounts/default/?recursive=true").json()
    assert account["scopes"] == ["https://www.googleapis.com/auth/cloud-platform"]
    assert asked("/computeMetadata/v1/project/project-id").text == "our-project"
    assert asked("").headers["Metadata-Flavor"] == "Google"
    assert asked("/computeMetadata/v1/universe/universe-domain").status_code == 404


def test_who_does_not_know_the_path_gets_nothing(ask: Callable[[Any], Ask]) -> None:
    asked = ask(handed(1800))
    address = asked("").url.split("/")[2]
    for path in (TOKEN, f"/guess{TOKEN}", "/"):
        answer = requests.get(f"http://{address}{path}", timeout=10)
        assert (answer.status_code, "abc" in answer.text) == (404, False)


def test_an_impersonation_goes_to_the_address_that_it_names() -> None:
    source = {"type": "authorized_user", "client_id": "1", "client_secret": "2", "refresh_token": "3"}
    url = "https://iam.example/v1/projects/-/serviceAccounts/lake@p.example:generateAccessToken"
    impersonation = {
        "type": "impersonated_service_account",
        "service_account_impersonation_url": url,
        "delegates": ["middle@p.example"],
        "source_credentials": source,
    }
    found = credentials_of(json.loads(json.dumps(impersonation)))
    assert found.service_account_email == "lake@p.example"
    assert (found._iam_endpoint_override, found._delegates) == (url, ["middle@p.example"])


@pytest.mark.parametrize("info", [{}, {"type": "external_account"}, {"type": "service_account"}])
def test_credentials_that_are_not_known_or_not_whole_are_refused(info: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"not known|not in the expected format"):
        credentials_of(info)
