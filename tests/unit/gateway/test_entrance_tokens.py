"""A token that was made, at the one public address: the reverse proxy's configuration before a real gateway.

It needs nginx on this machine; tests/containers/test_entrance.py runs the same in its container.
"""

import json
import secrets
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from embedded.ports import free_port
from tests.conftest import PROJECT
from tests.unit.gateway.models import Models, route, serving
from tests.unit.gateway.processes import Gateway, running, until

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed here")

FOLDER = PROJECT / "containers" / "compose" / "entrance"
NAMED = "a-token-of-the-setting"
PREDICT = "/v1/models/m/predict"
BODY = {"instances": [{"text": "a"}]}


class Grafana(BaseHTTPRequestHandler):
    """In Grafana's place: it says what it was told of a caller."""

    def do_GET(self) -> None:
        body = json.dumps({name: self.headers.get(name, "") for name in ("Cookie", "Authorization")}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def grafana() -> Iterator[int]:
    """The port of a server in Grafana's place."""
    server = HTTPServer(("127.0.0.1", 0), Grafana)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def configuration(folder: Path, gateway: Gateway, grafana: int, port: int) -> str:
    """What entrance.sh would fill in, without TLS and Docker's name server, all in one folder."""
    text = (FOLDER / "entrance.conf").read_text(encoding="utf-8")
    filled = {
        "HOST": "localhost",
        "PORT": "",
        "STRICT": "",
        "INSIDE": "internal|metrics",
        "OTHERS": "0",
        "TOKENS": NAMED,
        "MLFLOW_REALM": "off",
        "MLFLOW_LOGIN": "x",
    }
    for name, value in filled.items():
        text = text.replace(f"@{name}@", value)
    lines = [line for line in text.splitlines() if "ssl_" not in line and "resolver" not in line]
    text = (
        "\n".join(lines).replace("/tmp/", f"{folder}/").replace("gateway:8000", f"127.0.0.1:{gateway.port}")
    )
    text = text.replace("listen 8443 ssl http2;", f"listen 127.0.0.1:{port};")
    text = text.replace("listen 8080;", f"listen unix:{folder}/plain.sock;")
    text = text.replace("/dev/stdout", f"{folder}/access.log").replace("/etc/perennial", str(folder))
    text = text.replace("http://grafana:3000", f"http://127.0.0.1:{grafana}")
    for away in ("airflow-apiserver:8080", "mlflow:5000"):
        text = text.replace(f"http://{away}", "http://127.0.0.1:1")
    return text


@pytest.fixture(scope="module")
def models() -> Iterator[Models]:
    with serving() as made:
        made.add("1", 1)
        yield made


@pytest.fixture
def gateway(models: Models, tmp_path: Path) -> Iterator[Gateway]:
    """One that asks for tokens, with a model."""
    with running(
        models, tmp_path, f"sqlite:///{tmp_path / 'g.db'}", workers=1, prediction_tokens=f"default={NAMED}"
    ) as started:
        started.put(route("1"))
        yield started


@pytest.fixture
def entrance(gateway: Gateway, grafana: int) -> Iterator[str]:
    """The address of the reverse proxy before it."""
    folder, port = Path(tempfile.mkdtemp(prefix="entrance-")), free_port()  # short: a socket lies in it
    shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
    folder.chmod(0o755)
    for file in folder.glob("to_*.conf"):
        text = file.read_text(encoding="utf-8").replace("/tmp/", f"{folder}/")
        text = text.replace("gateway:8000", f"127.0.0.1:{gateway.port}")
        file.write_text(text.replace("mlflow:5000", "127.0.0.1:1"), encoding="utf-8")
    (folder / "mlflow.users").touch()
    (folder / "nginx.conf").write_text(configuration(folder, gateway, grafana, port), encoding="utf-8")
    process = subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")])
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: requests.get(f"{url}/healthy", timeout=5).ok, "the reverse proxy")
        yield url
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder)


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def make(gateway: Gateway, **rights: Any) -> tuple[str, str]:
    """A token as `perennial token make` makes it, and its id."""
    token = "perennial_" + secrets.token_urlsafe(32)
    grant = {"name": "shop", "sha256": sha256(token.encode()).hexdigest(), "made_by": "person:ann"}
    made = gateway.internal("POST", "/tokens", json={"scopes": ["predict"]} | grant | rights)
    return token, made["id"]


def predict(entrance: str, token: str) -> requests.Response:
    return requests.post(f"{entrance}{PREDICT}", json=BODY, headers=bearing(token), timeout=30)


def burst(ask: Callable[[], requests.Response], count: int = 30) -> list[int]:
    return [ask().status_code for _ in range(count)]


def test_a_made_token_passes_with_its_scopes_and_models_and_is_never_slowed_down(
    entrance: str, gateway: Gateway
) -> None:
    token, _ = make(gateway)
    other, _ = make(gateway, models=["another"])

    assert set(burst(lambda: predict(entrance, token), 60)) == {200}
    assert set(burst(lambda: predict(entrance, NAMED), 60)) == {200}
    labels = requests.post(f"{entrance}/v1/models/m/feedback", json={}, headers=bearing(token), timeout=30)
    assert (labels.status_code, "not send labels" in labels.json()["error"]) == (403, True)
    assert predict(entrance, other).status_code == 403
    assert "is for another" in predict(entrance, other).json()["error"]


def test_its_limit_is_counted_by_the_gateway_and_each_request_once(entrance: str, gateway: Gateway) -> None:
    token, _ = make(gateway, rate="5/minute")
    answers = [predict(entrance, token) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert "may send 5 requests per minute" in answers[-1].json()["error"], "the gateway's own sentence"
    assert int(answers[-1].headers["Retry-After"]) > 10


def test_its_largest_body_is_the_gateway_s(entrance: str, gateway: Gateway) -> None:
    token, _ = make(gateway, body_bytes=1024)
    body = {"instances": [{"text": "a" * 2000}]}
    answer = requests.post(f"{entrance}{PREDICT}", json=body, headers=bearing(token), timeout=30)
    assert (answer.status_code, "larger than 1024 bytes" in answer.json()["error"]) == (413, True)


def test_a_revoked_token_is_refused_at_once_however_well_it_was_known(
    entrance: str, gateway: Gateway
) -> None:
    token, token_id = make(gateway)
    assert predict(entrance, token).status_code == 200
    gateway.internal("DELETE", f"/tokens/{token_id}", params={"by": "person:ann"})
    time.sleep(1)
    for seconds in (0, 6):  # while the reverse proxy remembers it, and after that
        time.sleep(seconds)
        answer = predict(entrance, token)
        assert (answer.status_code, "was revoked" in answer.json()["error"]) == (401, True)


@pytest.mark.parametrize("form", ["made", "other"])
def test_who_guesses_is_slowed_down_and_who_knows_a_token_meanwhile_is_not(
    entrance: str, gateway: Gateway, form: str
) -> None:
    def guess() -> requests.Response:
        token = secrets.token_urlsafe(32)
        return predict(entrance, f"perennial_{token}" if form == "made" else token)

    first, statuses = guess(), burst(guess, 40)
    assert (first.status_code, "Bearer" in first.json()["error"]) == (401, True)
    assert set(statuses) == {401, 429}
    assert statuses.count(429) >= 10
    refused = guess()
    assert ("Retry-After" in refused.headers, "wrong token" in refused.json()["error"]) == (True, True)
    assert predict(entrance, make(gateway)[0]).status_code == 200


@pytest.mark.parametrize("rights", [{"scopes": ["admin"]}, {}], ids=["admin", "predict"])
def test_a_made_token_opens_nothing_but_v1(entrance: str, gateway: Gateway, rights: dict[str, Any]) -> None:
    token, _ = make(gateway, **rights)
    assert predict(entrance, token).status_code == 200
    targets = ["/internal/routes/m", "/metrics", "/is-known", "/v1/../internal/tokens"]
    targets += ["/v1/%2e%2e/internal/tokens", "//internal/tokens", "/v1//internal/tokens"]
    assert asked(entrance, token, targets) <= {400, 404}


def asked(entrance: str, token: str, targets: Sequence[str]) -> set[int]:
    """The statuses of requests whose paths no client makes better."""
    statuses = set()
    for target in targets:
        request = requests.Request("GET", entrance, headers=bearing(token)).prepare()
        request.url = f"{entrance}{target}"
        with requests.Session() as session:
            statuses.add(session.send(request, timeout=30).status_code)
    return statuses


def test_a_model_s_page_asks_for_no_token_and_what_is_beside_it_does(entrance: str) -> None:
    shown = {"docs", "openapi.json", "page", "page.js", "page_answer.js", "page.css"}
    guarded = {"docs/x", "predictions", "page/x", "page.json", "explain"}
    for path, status in [*((each, 200) for each in shown), *((each, 401) for each in guarded)]:
        assert requests.get(f"{entrance}/v1/models/m/{path}", timeout=30).status_code == status


@pytest.mark.parametrize("path", ["/grafana/", "/grafana/login", "/grafana/api/admin/users"])
def test_grafana_is_told_its_own_cookie_alone_and_no_password(entrance: str, path: str) -> None:
    cookies = {"_token": "the session in Airflow", "grafana_session": "its own"}
    told = requests.get(f"{entrance}{path}", cookies=cookies, auth=("admin", "guess"), timeout=30).json()
    assert told == {"Cookie": "grafana_session=its own; grafana_session_expiry=", "Authorization": ""}


def test_where_the_gateway_is_away_a_made_token_is_told_so(entrance: str, gateway: Gateway) -> None:
    token, _ = make(gateway)
    gateway.process.kill()
    gateway.process.wait(20)
    answer = predict(entrance, token)
    assert (answer.status_code, "does not answer" in answer.json()["error"]) == (503, True)
